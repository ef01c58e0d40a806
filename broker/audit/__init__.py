"""The record of every external connection, and the proof that it was not altered.

Deliberately not here: when something is recorded (`broker.core` says) and the database's connection (`broker.shell`).
"""

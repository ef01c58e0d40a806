"""The record of every external connection, and the proof that it was not altered.

In this room: the format of a record and the catalogue of its types, the tree and the signed heads over it,
the ledger that appends, verification and search.

Deliberately not here: when something is recorded (`broker.core` says) and who opens the database
(`broker.shell`).
"""

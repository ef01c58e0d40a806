"""The browser client and the operator's console: plain ES modules, styles and pages, served as they are.

Deliberately not here: Python. The files of this folder are package data; `broker.shell` serves them.
"""

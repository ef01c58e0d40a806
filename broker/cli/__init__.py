"""The command line: one sub-command per file, assembled by `main`.

In this room: reading arguments, calling one function of another room, printing its result. Results go to
stdout, logs and errors to stderr; an administrator's mistake ends with exit status 1 and one line for each,
never with a traceback.

Deliberately not here: anything a second caller would want. That belongs to the room it is about.
"""

"""Doctor: looks at the host, the files, the network and the directory that an edge needs, and says in plain
words what to change.

In this room: for each noun (certificate, clock, directory, disk, ports, record, relay) what its facts mean,
as pure functions from facts to findings; beside them the looking itself, which always ends in time, in the
files that end in `_facts`. `examination` puts them in order.

Deliberately not here: mending. Nothing is changed but for a temporary file and ports held for a moment; no
password is sent but the service account's own, and no finding holds a secret.
"""

"""The broker's I/O: what turns events into calls of the core, and commands into bytes on the wire and rows on
disk.

In this room: the driver (output commit), the writer thread and the store, the journal for what never waits,
the HTTP and WebSocket listeners, the link to the relay, the watched files of policy and people, and `serve`,
which puts them together.

Deliberately not here: any rule of the product. Who may do what is asked in `broker.core.gate`; what follows
from an event is in the noun's file under `broker.core`.
"""

"""The TURN server's control (RFC 8656): events in, commands out, the time and randomness passed in.

In this room: one file per noun of the RFC; `server.TurnServer.handle` is the only way in.

Deliberately not here: sockets, tasks and clocks (`relay.service`), per-packet forwarding (`relay.planes`),
and who may talk to whom, which arrives as an admission.
"""

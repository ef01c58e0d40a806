"""Forwarding planes: what carries packets by the rows control installs.

In this room: `asyncio_plane`, the portable one that needs no compiler, and its parts; `native_plane`, this
side of the one in `relay/native`, whose threads forward; `choice`, which takes the best there is. All planes
keep the contract of `relay.vocabulary.Plane`, and one suite of tests is run against each.

Deliberately not here: authentication, sessions, lifetimes. A plane knows rows and no time of day.
"""

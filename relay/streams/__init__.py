"""Clients that come by TCP or TLS: connections, cut into messages on the way in, bounded on the way out.

In this room: `stream`, one connection; `streams`, all of them with their bounds.

Deliberately not here: what a message means (`relay.turn`), where media goes (`relay.planes`), and the
handshake of TLS, which is the event loop's.
"""

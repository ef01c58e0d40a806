"""The Python client of Turngate: the browser's protocol for participants without a screen.

In this room: sign-in and redemption over HTTPS, one WebSocket connection with typed frames, chat, invitations
and the lobby, and calls with synthetic media through the relay, by whichever way to it the network leaves
open. `participant.join` puts them together.

Deliberately not here: anything of the broker but its wire frames (`broker.core`), recording of media, and
retries: a connection that ended stays ended, and the caller decides whether to `join` again. `media` is the
only file that knows the media library.
"""

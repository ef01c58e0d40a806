"""Resolving names in bounded time: the system's own call knows no timeout."""

from __future__ import annotations

import socket
from queue import Empty, SimpleQueue
from threading import Thread

SECONDS = 8.0


def addresses_of(host: str) -> list[str]:
    """The addresses of a name, or the address itself, as the system orders them. Raises OSError (TimeoutError
    among them) whose `strerror` says why there is none."""
    outcome: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def resolve() -> None:
        try:
            told = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            outcome.put(list(dict.fromkeys(str(address[0]) for *_, address in told)))
        except OSError as unknown:
            outcome.put(unknown)
        except UnicodeError:
            outcome.put(OSError(None, "it cannot be a name"))

    # Left behind when it takes too long: it ends with the process.
    Thread(target=resolve, name="resolving", daemon=True).start()
    try:
        found = outcome.get(timeout=SECONDS)
    except Empty:
        raise TimeoutError(None, f"no answer within {SECONDS:.0f} s") from None
    if isinstance(found, OSError):
        raise found
    return found

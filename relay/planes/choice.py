"""Which plane to use."""

from __future__ import annotations

from typing import NamedTuple

from config.relay import RelaySettings
from relay.planes.asyncio_plane import AsyncioPlane
from relay.vocabulary import Plane


class PlaneUnavailableError(Exception):
    """The plane that was asked for by name is not there."""


class ChosenPlane(NamedTuple):
    name: str
    plane: Plane


def choose_plane(settings: RelaySettings) -> ChosenPlane:
    """Raises PlaneUnavailableError. `auto` takes the best there is."""
    if settings.plane == "native":
        raise PlaneUnavailableError("the native plane is not built; use plane auto or asyncio")
    # Twice what is answered: an answer is worth nothing if the request that it leads to is not heard.
    heard_per_second = 2 * settings.unauthenticated_answers_per_second
    burst = settings.unauthenticated_answers_burst
    return ChosenPlane("asyncio", AsyncioPlane(settings.socket_buffer_bytes, heard_per_second, burst))

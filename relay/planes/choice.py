"""Which plane to use."""

from __future__ import annotations

from typing import Literal, NamedTuple

from relay.planes.asyncio_plane import AsyncioPlane
from relay.vocabulary import Plane


class PlaneUnavailableError(Exception):
    """The plane that was asked for by name is not there."""


class ChosenPlane(NamedTuple):
    name: str
    plane: Plane


def choose_plane(wanted: Literal["auto", "native", "asyncio"], socket_buffer_bytes: int) -> ChosenPlane:
    """Raises PlaneUnavailableError. `auto` takes the best there is."""
    if wanted == "native":
        raise PlaneUnavailableError("the native plane is not built; use plane auto or asyncio")
    return ChosenPlane("asyncio", AsyncioPlane(socket_buffer_bytes))

"""Which plane to use."""

from __future__ import annotations

from typing import NamedTuple

from config.relay import RelaySettings
from relay.planes.asyncio_plane import AsyncioPlane
from relay.vocabulary import Plane

try:
    from relay.planes.native_plane import NativePlane
except ImportError:
    NativePlane = None  # type: ignore[assignment,misc] # not built where there was no compiler


class PlaneUnavailableError(Exception):
    """The plane that was asked for by name is not there."""


class ChosenPlane(NamedTuple):
    name: str
    plane: Plane


def choose_plane(settings: RelaySettings) -> ChosenPlane:
    """Raises PlaneUnavailableError. `auto` takes the best there is."""
    # Twice what is answered: an answer is worth nothing if the request that it leads to is not heard.
    heard_per_second = 2 * settings.unauthenticated_answers_per_second
    bounds = (settings.socket_buffer_bytes, heard_per_second, settings.unauthenticated_answers_burst)
    if settings.plane == "asyncio" or (settings.plane == "auto" and NativePlane is None):
        return ChosenPlane("asyncio", AsyncioPlane(*bounds))
    if NativePlane is None:
        raise PlaneUnavailableError("the native plane is not built; use plane auto or asyncio")
    return ChosenPlane("native", NativePlane(*bounds, settings.plane_workers))

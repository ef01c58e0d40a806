"""Which plane forwards: the best there is, or the one that was asked for by name."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from config.relay import RelaySettings
from relay.planes import choice
from relay.planes.choice import PlaneUnavailableError, choose_plane

needs_native = pytest.mark.skipif(find_spec("relay._native") is None, reason="not built: no compiler")


@needs_native
@pytest.mark.parametrize("wanted", ["auto", "native"])
def test_the_native_plane_forwards_where_it_is_built(wanted: str) -> None:
    assert choose_plane(RelaySettings(plane=wanted)).name == "native"  # type: ignore[arg-type]


def test_the_portable_plane_forwards_when_it_is_asked_for() -> None:
    assert choose_plane(RelaySettings(plane="asyncio")).name == "asyncio"


def test_without_the_extension_the_portable_plane_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "NativePlane", None)
    assert choose_plane(RelaySettings()).name == "asyncio"
    with pytest.raises(PlaneUnavailableError, match="not built"):
        choose_plane(RelaySettings(plane="native"))

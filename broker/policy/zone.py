"""Where an insider is, as network and directory together tell it."""

from __future__ import annotations

from dataclasses import dataclass

from auth.principal import Insider
from broker.policy.index import PolicyIndex
from config.policy.zone import Sensitivity


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """`zone` is None outside every zone. `known` is False when there was no network to ask and no mark in the
    directory."""

    zone: str | None
    high: bool = False
    known: bool = True
    agreed: bool = True
    """False when network and directory contradict each other or the address cannot be read."""


NOWHERE = Whereabouts(None)


def locate(policy: PolicyIndex, insider: Insider, source_address: str | None) -> Whereabouts:
    """Find the insider's zone. `source_address` None means not connected: then the directory alone speaks."""
    marked = policy.marked(insider.attributes)
    if len(marked) > 1:
        return Whereabouts(None, agreed=False)
    by_directory = marked[0] if marked else None
    if source_address is None:
        if by_directory is None:
            return Whereabouts(None, known=False)
        return Whereabouts(by_directory.id, high=by_directory.sensitivity is Sensitivity.HIGH)
    try:
        by_network = policy.around(source_address)
    except ValueError:
        return Whereabouts(None, agreed=False)
    expected = by_network if by_network is not None and by_network.attribute is not None else None
    if by_directory is not expected:
        return Whereabouts(None, agreed=False)
    if by_network is None:
        return Whereabouts(None)
    return Whereabouts(by_network.id, high=by_network.sensitivity is Sensitivity.HIGH)

"""Judge a client program by what it says of itself: its name and its version, for insiders and for guests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from config.policy.client import ClientEffect, ClientProgram, Clients, ClientSide

_STRICTNESS = {ClientEffect.ALLOW: 0, ClientEffect.WARN: 1, ClientEffect.REFUSE: 2}
_MESSAGES = {
    ClientEffect.WARN: "This version of the program is out of date. Please get a newer one.",
    ClientEffect.REFUSE: "Please get a version that is allowed here.",
}
"""Where the policy says nothing of its own."""
_REMEMBERED_RANGES = 256
"""More than one policy has entries."""


@dataclass(frozen=True, slots=True)
class ClientVerdict:
    """What becomes of a program; `link` and `message` are for its person, and empty where it is allowed."""

    effect: ClientEffect
    link: str = ""
    message: str = ""


def judge_client(clients: Clients | None, side: ClientSide, name: str, version: str) -> ClientVerdict:
    """The strictest effect among the entries that cover the program, of equals the one written first; what
    none covers is `otherwise`. Without a section every program is allowed."""
    if clients is None:
        return ClientVerdict(ClientEffect.ALLOW)
    parsed = _parsed(version)
    covering = [program for program in clients.programs if _covers(program, side, name, parsed)]
    if not covering:
        return _verdict(clients.otherwise, clients.otherwise_link, None)
    strictest = max(covering, key=lambda program: _STRICTNESS[program.effect])
    return _verdict(strictest.effect, strictest.link, strictest.message)


def _covers(program: ClientProgram, side: ClientSide, name: str, version: Version | None) -> bool:
    if program.name != name or program.side not in (side, ClientSide.BOTH):
        return False
    if program.versions is None:
        return True
    return version is not None and _range(program.versions).contains(version, prereleases=True)


def _parsed(version: str) -> Version | None:
    """None for what is no version: it is in no range. Only ASCII is one: ignoring case, the parser takes some
    letters of other scripts for those of its keywords."""
    if not version.isascii():
        return None
    try:
        return Version(version)
    except InvalidVersion:
        return None


@lru_cache(maxsize=_REMEMBERED_RANGES)
def _range(versions: str) -> SpecifierSet:
    return SpecifierSet(versions)


def _verdict(effect: ClientEffect, link: str | None, message: str | None) -> ClientVerdict:
    if effect is ClientEffect.ALLOW:
        return ClientVerdict(effect)
    return ClientVerdict(effect, link or "", message or _MESSAGES[effect])

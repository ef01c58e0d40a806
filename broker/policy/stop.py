"""Stop: what an emergency stop covers. A stop denies, whatever rules say, and no rule can deny a stop."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote

from auth.case_ignore import case_ignore_key
from auth.personal import Personal
from auth.principal import PartyId
from broker.policy.decision import Inputs, PartyInputs
from config.policy.action import ADMINISTRATION, Action


class ScopeKind(StrEnum):
    ALL = "all"
    """Everything but administration."""
    ZONE = "zone"
    """Whatever an insider in the zone takes part in."""
    PEER = "peer"
    """Whatever guests of the peer take part in, and those of whom it is not known that they are not of it."""
    USER = "user"
    """Whatever one person takes part in."""
    MODALITY = "modality"
    """One kind of communication, between anybody."""


MODALITIES: dict[str, frozenset[Action]] = {
    "audio": frozenset({Action.CALL_AUDIO}),
    "video": frozenset({Action.CALL_VIDEO}),
    "call": frozenset({Action.CALL_AUDIO, Action.CALL_VIDEO}),
    "screen": frozenset({Action.SCREEN_SHARE}),
    "chat": frozenset({Action.CHAT_SEND}),
    "guests": frozenset({Action.EDGE_JOIN, Action.GUEST_INVITE, Action.GUEST_ADMIT}),
}
MAX_QUOTED_CHARACTERS = 200
"""Of a name with everything quoted that a URL would: it has to fit into the name of a file."""
_NAME = re.compile(r"[^\x00-\x1f\x7f/]{1,64}")


class ScopeError(ValueError):
    """The text names no scope; says what would."""


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """`name` is that of the zone, peer, person (login or party id; a peer may also be a domain) or modality;
    empty for all."""

    kind: ScopeKind
    name: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind.value


ALL = Scope(ScopeKind.ALL)


@dataclass(frozen=True, slots=True)
class Stop:
    """An emergency stop that is latched."""

    scope: Scope
    since_ms: int
    how: str
    """`console`, `latch` (a file that somebody or `turngate emergency stop` put there), or `restart`."""
    by: PartyId | None = None
    """The administrator; None where a file speaks."""
    login: Personal | None = None
    """The administrator's."""
    told_by: Personal | None = None
    """Who the file says put it there."""
    reason: Personal | None = None


def parse_scope(text: str) -> Scope:
    """`all`, `zone:NAME`, `peer:NAME`, `user:NAME` or `modality:NAME`. Raises ScopeError."""
    kind, colon, name = text.partition(":")
    if not colon and kind == ScopeKind.ALL:
        return ALL
    if kind not in (one.value for one in ScopeKind if one is not ScopeKind.ALL) or not _NAME.fullmatch(name):
        raise ScopeError("not a scope: all, zone:NAME, peer:NAME, user:NAME or modality:NAME")
    try:
        quoted = quote(name)
    except UnicodeEncodeError:
        raise ScopeError("not a name: it is no text") from None
    if len(quoted) > MAX_QUOTED_CHARACTERS:
        raise ScopeError("the name is too long")
    scope = Scope(ScopeKind(kind), name)
    if scope.kind is ScopeKind.MODALITY and name not in MODALITIES:
        raise ScopeError(f"not a modality: {', '.join(sorted(MODALITIES))}")
    return scope


def covers(scope: Scope, inputs: Inputs) -> bool:
    """Whether the stop is about what was asked with these inputs. None is about administration."""
    if inputs.action in ADMINISTRATION:
        return False
    match scope.kind:
        case ScopeKind.ALL:
            return True
        case ScopeKind.MODALITY:
            return inputs.action in MODALITIES[scope.name]
        case ScopeKind.ZONE:
            return any(party.zone == scope.name for _, party in _parties(inputs))
        case ScopeKind.PEER:
            return any(_of_peer(scope.name, role, party, inputs) for role, party in _parties(inputs))
        case ScopeKind.USER:
            return any(is_named(scope, party.party, party.login) for _, party in _parties(inputs))


def is_named(scope: Scope, party: str | None, login: Personal | None) -> bool:
    """Whether a stop of one person names this one, by party id or login."""
    if scope.kind is not ScopeKind.USER:
        return False
    by_login = login is not None and case_ignore_key(login.reveal()) == case_ignore_key(scope.name)
    return by_login or party == scope.name


def _parties(inputs: Inputs) -> Iterator[tuple[str, PartyInputs]]:
    yield "actor", inputs.actor
    if inputs.counterpart is not None:
        yield "counterpart", inputs.counterpart


def _of_peer(name: str, role: str, party: PartyInputs, inputs: Inputs) -> bool:
    if party.kind != "guest":
        return False
    domain = inputs.personal.get(f"{role}_domain")
    if domain is None or party.peer == name:
        return True
    lower = name.lower()
    return domain.reveal() == lower or domain.reveal().endswith(f".{lower}")


def stopped(stops: Iterable[Scope], inputs: Inputs) -> bool:
    """Whether one of the stops is about what was asked."""
    return any(covers(scope, inputs) for scope in stops)

"""Loading: a policy from TOML, or everything that is wrong with it at once."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.policy.bandwidth import Bandwidth
from config.policy.client import ClientProgram, Clients
from config.policy.declaration import PolicyDeclaration
from config.policy.document import MAX_RULES, Policy
from config.policy.peer import Peer
from config.policy.rule import Rule, RuleLimits, Who, With
from config.policy.when import When
from config.policy.zone import Zone

MAX_POLICY_BYTES = 4 << 20
"""Larger files are refused before they are parsed."""
MAX_ERROR_CHARACTERS = 300
MAX_DOTS_OF_A_NAME = 256
"""Reading a dotted name takes the square of its length."""
MAX_ERRORS = 100
"""Told of one file; what a hundred mended lines leave is told the next time."""


_PARTS = (Zone, Peer, Bandwidth, Rule, Who, With, When, RuleLimits, Clients, ClientProgram)
_NAME = re.compile(r"[\w.\-\"' \t]+")
_NAMES = {field.alias or name for part in _PARTS for name, field in part.model_fields.items()}


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    policy: Policy
    sha256: str
    """Of the file's bytes, in hex; every decision and record carries it beside the revision."""


@dataclass(frozen=True, slots=True)
class PolicyError:
    path: str
    """Such as `rules[2].expires`; empty for the file as a whole."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class PolicyErrors(Exception):  # noqa: N818 - it carries all errors, not one
    """Everything that is wrong with a policy file."""

    def __init__(self, source_name: str, errors: Iterable[PolicyError]) -> None:
        self.source_name = source_name
        self.errors = tuple(errors)[:MAX_ERRORS]
        super().__init__("\n".join(f"{source_name}: {error}" for error in self.errors))


def load_policy(text: str | bytes, source_name: str) -> LoadedPolicy:
    """Parse and check a policy file (TOML, UTF-8, at most `MAX_POLICY_BYTES`).

    Raises PolicyErrors, with every problem that can be told at once; `source_name` is what it calls the file.
    """
    try:
        raw = text.encode() if isinstance(text, str) else bytes(text)
        if len(raw) > MAX_POLICY_BYTES:
            raise ValueError(f"larger than {MAX_POLICY_BYTES} bytes")
        decoded = raw.decode()
        if any(name[0].count(".") > MAX_DOTS_OF_A_NAME for name in _NAME.finditer(decoded)):
            raise ValueError(f"a name with more than {MAX_DOTS_OF_A_NAME} dots")
        document = tomllib.loads(decoded)
    except (ValueError, RecursionError) as error:
        raise PolicyErrors(source_name, [PolicyError("", f"not readable as TOML: {error}")]) from None
    errors: list[PolicyError] = []
    # One entry at a time: one that is broken hides neither its neighbours nor what contradicts them.
    zones = list(_entries(Zone, "zones", document.get("zones"), errors))
    peers = list(_entries(Peer, "peers", document.get("peers"), errors))
    rules = list(_entries(Rule, "rules", document.get("rules"), errors))
    bandwidth = list(_entries(Bandwidth, "bandwidth", document.get("bandwidth"), errors))
    read: dict[str, list[Any]] = {"zones": zones, "peers": peers, "rules": rules, "bandwidth": bandwidth}
    policy = _whole(
        document, {name: tuple(entry for _, entry in entries) for name, entries in read.items()}, errors
    )
    errors += _contradictions(zones, peers, rules)
    errors += _bandwidth_of_nothing({zone.id for _, zone in zones}, bandwidth)
    if policy is None or errors:
        raise PolicyErrors(source_name, errors)
    return LoadedPolicy(policy, hashlib.sha256(raw).hexdigest())


_Entry = TypeVar("_Entry", bound=PolicyDeclaration)


def _entries(
    model: type[_Entry], name: str, entries: Any, errors: list[PolicyError]
) -> Iterator[tuple[int, _Entry]]:
    if not isinstance(entries, list) or len(entries) > MAX_RULES:
        return
    for index, entry in enumerate(entries):
        try:
            yield index, model.model_validate(entry)
        except ValidationError as error:
            errors += _told(error, (name, index))


def _whole(
    document: Mapping[str, Any], read: Mapping[str, tuple[PolicyDeclaration, ...]], errors: list[PolicyError]
) -> Policy | None:
    """What is not an entry of a list, and the number of entries; those themselves have been read."""
    whole = dict(document)
    for name, entries in read.items():
        if isinstance(whole.get(name), list) and len(whole[name]) <= MAX_RULES:
            whole[name] = entries
    try:
        return Policy.model_validate(whole)
    except ValidationError as error:
        errors += _told(error, ())
    return None


def _told(error: ValidationError, place: tuple[int | str, ...]) -> Iterator[PolicyError]:
    for one in error.errors()[:MAX_ERRORS]:
        yield PolicyError(_path((*place, *one["loc"]), one["type"]), _mend(one, place)[:MAX_ERROR_CHARACTERS])


def _mend(error: ErrorDetails, place: tuple[int | str, ...]) -> str:
    """What is wrong, in words that say what to do about it."""
    match error["type"]:
        case "missing":
            return "required, and not there: add it"
        case "extra_forbidden":
            names = _NAMES if place else Policy.model_fields
            alike = get_close_matches(str(error["loc"][-1])[:64], names, n=1)
            return f"no such name here: did you mean {alike[0]}?" if alike else "no such name here: remove it"
        case "string_pattern_mismatch" if "A-Za-z0-9" in str(error.get("ctx", {}).get("pattern")):
            return (
                "write up to 64 letters, digits, dots, hyphens and underscores, the first a letter or digit"
            )
        case _:
            return error["msg"].removeprefix("Value error, ")


def _contradictions(
    zones: list[tuple[int, Zone]], peers: list[tuple[int, Peer]], rules: list[tuple[int, Rule]]
) -> Iterator[PolicyError]:
    zone_ids = dict[str, int]()
    attributes = dict[str, str]()
    for index, zone in zones:
        yield from _taken(zone_ids, zone.id, "zones", index)
        if zone.attribute is not None:
            first = attributes.setdefault(zone.attribute.casefold(), zone.id)
            if first != zone.id:
                yield PolicyError(f"zones[{index}].attribute", f"already marks zone {first}")
    yield from _overlaps(zones)
    peer_ids = dict[str, int]()
    domains = dict[str, str]()
    for index, peer in peers:
        yield from _taken(peer_ids, peer.id, "peers", index)
        for position, domain in enumerate(peer.domains):
            if domains.setdefault(domain, peer.id) != peer.id:
                yield PolicyError(f"peers[{index}].domains[{position}]", f"already of peer {domains[domain]}")
    rule_ids = dict[str, int]()
    for index, rule in rules:
        yield from _taken(rule_ids, rule.id, "rules", index)
        if rule.who.zone is not None and rule.who.zone not in zone_ids:
            yield PolicyError(f"rules[{index}].who.zone", f"there is no zone {rule.who.zone}")
        peers_named = (rule.with_.peers if rule.with_ is not None else None) or ()
        for position, peer_id in enumerate(peers_named):
            if peer_id not in peer_ids:
                yield PolicyError(f"rules[{index}].with.peers[{position}]", f"there is no peer {peer_id}")


def _bandwidth_of_nothing(
    zone_ids: set[str], bandwidth: list[tuple[int, Bandwidth]]
) -> Iterator[PolicyError]:
    ids = dict[str, int]()
    for index, entry in bandwidth:
        yield from _taken(ids, entry.id, "bandwidth", index)
        if entry.zone is not None and entry.zone not in zone_ids:
            yield PolicyError(f"bandwidth[{index}].zone", f"there is no zone {entry.zone}")


def _taken(taken: dict[str, int], name: str, kind: str, index: int) -> Iterator[PolicyError]:
    if name in taken:
        yield PolicyError(f"{kind}[{index}].id", f"already the id of {kind}[{taken[name]}]")
    taken.setdefault(name, index)


def _overlaps(zones: list[tuple[int, Zone]]) -> Iterator[PolicyError]:
    """Networks of different zones that share an address. Sorted, what overlaps follows at once."""
    spans = sorted(
        (net.version, int(net.network_address), -int(net.broadcast_address), index, position, zone.id)
        for index, zone in zones
        for position, net in enumerate(zone.networks)
    )
    # CIDR networks nest or are apart, so comparing with the outermost one that is still open is enough.
    open_version, open_last, open_zone = 0, -1, ""
    for version, first, minus_last, index, position, zone_id in spans:
        if version != open_version or first > open_last:
            open_version, open_last, open_zone = version, -minus_last, zone_id
        elif zone_id != open_zone:
            yield PolicyError(
                f"zones[{index}].networks[{position}]", f"overlaps a network of zone {open_zone}"
            )


def _path(location: tuple[int | str, ...], error_type: str) -> str:
    if location[-1] == "with_" and error_type == "value_error":
        location = (*location[:-1], "with")  # pydantic names a default by its attribute, not by its key
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = (part if part.isascii() and part.replace("_", "").isalnum() else ascii(part))[:80]
            path += f".{name}" if path else name
    return path

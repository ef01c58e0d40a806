"""Bandwidth: what each party of each call may send of each medium, so that no limit of policy is exceeded.

Worked out anew from the calls and the limits there are: every flow gets its floor, and of what is left above
it the same part as all others that one limit is about. A call whose floors do not fit is refused. Clients are
told (`media.limit`, and `b=TIAS` in descriptions), and the relay holds each party to the sum.

A limit is about an insider's two ways: what they send, and what they are sent by whomever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from auth.principal import Guest, Insider, PartyId
from broker.core.call import Call, CallState
from broker.core.commands import Answer, Command, Narrowing, ShareBandwidth, Tell
from broker.core.frames import MediaLimit
from broker.core.house import House
from config.policy.bandwidth import Bandwidth, BandwidthOf, Media

Medium = str
"""`audio`, `video` or `screen`."""
FLOOR: Mapping[Medium, int] = {"audio": 40_000, "video": 100_000, "screen": 100_000}
"""Bits per second below which a medium is of no use."""
ASK: Mapping[Medium, int] = {"audio": 64_000, "video": 2_500_000, "screen": 2_500_000}
"""More than that nobody needs."""
RAISED_BY = 1.1
"""A limit that grows by less than this is not worth telling."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One capacity, and whom it is about: the policy's entry, the way, and whose where each has their own."""

    id: str
    way: Literal["from_inside", "to_inside", "rule"]
    whose: str
    bits_per_second: int


@dataclass(frozen=True, slots=True)
class Flow:
    """One medium from one party of a call to the other."""

    call_id: str
    sender: PartyId
    medium: Medium
    limits: tuple[Limit, ...]


Shares = Mapping[tuple[str, PartyId], Mapping[Medium, int]]
"""By call and sender; what is not there is not limited."""


@dataclass(frozen=True, slots=True)
class LiveFlow:
    """A call as whoever measures it needs it: of each party the zones it is in, None for who is outside."""

    call_id: str
    ends: tuple[frozenset[str] | None, frozenset[str] | None]


def live_flows(house: House) -> list[LiveFlow]:
    """Of every call that has been answered."""
    return [
        LiveFlow(call.call_id, (_end(call, call.caller), _end(call, call.callee)))
        for call in house.calls.values()
        if call.state is CallState.ACTIVE
    ]


def _end(call: Call, principal: Insider | Guest) -> frozenset[str] | None:
    return _zones(call, principal.party) if isinstance(principal, Insider) else None


def flows(house: House, call: Call, sharer: PartyId | None = None) -> tuple[Flow, ...]:
    """Everything that may be sent in a call, as if `sharer` showed a screen, if one is named."""
    made_of = (_made_of(house, call), sharer)
    if call.flows is None or call.flows[0] != made_of:
        call.flows = (made_of, tuple(_flows(house, call, sharer)))
    return call.flows[1]


def _made_of(house: House, call: Call) -> tuple[object, ...]:
    """What the flows of a call depend on, cheap to compare."""
    decisions = call.reviewed or call.answer_decisions
    latest = decisions[0].id if decisions else ""
    return (house.gate.policy.loaded.sha256, latest, call.state, call.sharing, call.bits_per_second)


def _flows(house: House, call: Call, sharer: PartyId | None) -> Iterator[Flow]:
    shows = sharer if sharer is not None else call.sharing
    zones = {party: _zones(call, party) for party in call.grant.parties}
    for sender in call.grant.parties:
        media = [*call.media, *(["screen"] if shows == sender else [])]
        for medium in media:
            limits = tuple(_limits(house, call, sender, medium, zones))
            if limits:
                yield Flow(call.call_id, sender, medium, limits)


def _zones(call: Call, party: PartyId) -> frozenset[str]:
    """Where the party is, by every decision that let this call be."""
    decisions = call.reviewed or call.answer_decisions or call.grant.decisions
    sides = [side for d in decisions for side in (d.inputs.actor, d.inputs.counterpart) if side is not None]
    return frozenset(side.zone for side in sides if side.party == party and side.zone is not None)


def _limits(
    house: House, call: Call, sender: PartyId, medium: Medium, zones: Mapping[PartyId, frozenset[str]]
) -> Iterator[Limit]:
    receiver = call.other(sender)
    insiders = {p.party for p in (call.caller, call.callee) if isinstance(p, Insider)}
    for entry in house.gate.policy.loaded.policy.bandwidth:
        if entry.media not in (Media.ALL, medium):
            continue
        outward, inward = entry.from_inside_bits_per_second, entry.to_inside_bits_per_second
        if outward is not None and sender in insiders and _is_about(entry, zones[sender]):
            yield Limit(entry.id, "from_inside", _whose(entry, call, sender), outward)
        if inward is not None and receiver in insiders and _is_about(entry, zones[receiver]):
            yield Limit(entry.id, "to_inside", _whose(entry, call, receiver), inward)
    if call.bits_per_second is not None:
        yield Limit("", "rule", f"{call.call_id} {sender}", call.bits_per_second)


def _is_about(entry: Bandwidth, zones: frozenset[str]) -> bool:
    return entry.of is not BandwidthOf.ZONE or entry.zone in zones


def _whose(entry: Bandwidth, call: Call, insider: PartyId) -> str:
    match entry.of:
        case BandwidthOf.USER:
            return insider
        case BandwidthOf.CALL:
            return f"{call.call_id} {insider}"
        case _:
            return ""


def exceeded(house: House, call: Call, sharer: PartyId | None = None) -> str | None:
    """The id of a limit that has no room for this call's floors beside those of all others."""
    wanted: dict[Limit, int] = {}
    for flow in flows(house, call, sharer):
        for limit in flow.limits:
            if limit.way != "rule":  # a rule's own rate may be as low as it likes
                wanted[limit] = wanted.get(limit, 0) + FLOOR[flow.medium]
    if not wanted:
        return None
    used = dict(wanted)
    for other in house.calls.values():
        if other.call_id != call.call_id:
            for flow in flows(house, other):
                for limit in flow.limits:
                    if limit in used:
                        used[limit] += FLOOR[flow.medium]
    return next((limit.id for limit, floor in used.items() if floor > limit.bits_per_second), None)


def shares(house: House) -> Shares:
    """What everybody may send now."""
    return share_out([flow for call in house.calls.values() for flow in flows(house, call)])


def share_out(every: list[Flow]) -> Shares:
    """Every flow its part of each limit it is under, the strictest of them."""
    floors: dict[Limit, int] = {}
    above: dict[Limit, int] = {}
    for flow in every:
        for limit in flow.limits:
            floors[limit] = floors.get(limit, 0) + FLOOR[flow.medium]
            above[limit] = above.get(limit, 0) + ASK[flow.medium] - FLOOR[flow.medium]
    found: dict[tuple[str, PartyId], dict[Medium, int]] = {}
    for flow in every:
        rate = min(_share(flow.medium, limit, floors[limit], above[limit]) for limit in flow.limits)
        found.setdefault((flow.call_id, flow.sender), {})[flow.medium] = _rounded_down(rate, flow.medium)
    return found


def _rounded_down(rate: int, medium: Medium) -> int:
    """To one of eight steps between a number and its double, but not below the floor: what changes by less is
    not worth telling everybody."""
    if rate == ASK[medium]:
        return rate
    step = 1 << max(0, rate.bit_length() - 4)
    rounded = rate // step * step
    return max(rounded, FLOOR[medium]) if rate >= FLOOR[medium] else rounded


def _share(medium: Medium, limit: Limit, floors: int, above: int) -> int:
    """Of one limit: the floor, and its part of what the floors leave; where they do not fit, a part of
    that."""
    left = limit.bits_per_second - floors
    if left < 0:
        return FLOOR[medium] * limit.bits_per_second // floors
    return FLOOR[medium] + (ASK[medium] - FLOOR[medium]) * min(left, above) // above


def settle(house: House) -> list[Command]:
    """Tell whoever may send another rate than they were told last, and hold them to it. Costs next to nothing
    while nothing has changed."""
    made_of = tuple((call.call_id, _made_of(house, call)) for call in house.calls.values())
    if made_of == house.shared_out:
        return []
    house.shared_out = made_of
    found = shares(house) if _limited(house) else {}
    commands: list[Command] = []
    for call in house.calls.values():
        if call.state is CallState.ACTIVE:
            commands += _tell(
                house, call, {p: dict(found.get((call.call_id, p), {})) for p in call.grant.parties}
            )
    return commands


def _limited(house: House) -> bool:
    limits = house.gate.policy.loaded.policy.bandwidth
    return bool(limits) or any(call.bits_per_second is not None for call in house.calls.values())


def _tell(house: House, call: Call, found: Mapping[PartyId, dict[Medium, int]]) -> list[Command]:
    changed = [party for party, rates in found.items() if _is_worth_telling(call.rates.get(party, {}), rates)]
    if not changed:
        return []
    call.rates |= {party: found[party] for party in changed}
    told: list[Tell] = []
    for party in changed:
        carrier = call.connection_of(party)
        if carrier is not None:
            rates = call.rates[party]
            frame = MediaLimit(
                call_id=call.call_id,
                audio_bits_per_second=rates.get("audio"),
                video_bits_per_second=rates.get("video"),
                screen_bits_per_second=rates.get("screen"),
            )
            told += house.tell_connection(carrier, frame)
    sums = tuple((party, sum(call.rates[party].values()) or None) for party in changed)
    # The relay at once; the clients in their turn, after an acceptance that still waits for its record.
    return [Narrowing((), (ShareBandwidth(call.call_id, sums),)), Answer(tuple(told), call.call_id)]


def _is_worth_telling(before: Mapping[Medium, int], now: Mapping[Medium, int]) -> bool:
    if before.keys() != now.keys():
        return True
    return any(now[m] < before[m] or now[m] > before[m] * RAISED_BY for m in now)

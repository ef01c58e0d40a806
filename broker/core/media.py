"""Media: what the relay reports of a call's addresses and packets, kept and put on record."""

from __future__ import annotations

from auth.principal import PartyId
from broker.audit.record import JsonValue
from broker.core.clock import Now
from broker.core.commands import Command, Narrowing, Note
from broker.core.events import MediaAllocated, MediaCount, MediaCounted, MediaReleased, MediaWithdrawn
from broker.core.house import House
from broker.core.recording import draft
from broker.core.stopped import Tally

MAX_RECORDED_ALLOCATIONS = 64
"""Of one call, each with the address it was made from; browsers make a dozen. The rest is counted in
`call.closed`, so that allocating in a loop does not fill the disk."""


def withdrawn(house: House, event: MediaWithdrawn, now: Now) -> list[Command]:
    """The relay forwards nothing of this session any more: close its record with the final counters."""
    house.limited_calls.discard(event.session_id)
    house.drops_by_limit.pop(event.session_id, None)
    ending = house.ending_calls.pop(event.session_id, None)
    if ending is None:
        return []
    if ending.reason == "emergency_stop" and house.stopped_last in house.tallies:
        _tally(house.tallies[house.stopped_last], event.count)
    for address in [a for addresses in ending.call.own_relayed.values() for a in addresses]:
        _forget_relayed(house, address, event.session_id)
    record = draft(
        "call.closed",
        event.session_id,
        reason=ending.reason,
        ended_by=ending.ended_by,
        state=ending.call.state.value,
        removed_candidates=ending.call.removed_candidates,
        refused_signals=ending.call.refused_signals,
        allocations=ending.call.allocations,
        more=count_fields(event.count, ending.call.grant.parties),
    )
    return [Narrowing(records=(record,))]


def _tally(tally: Tally, count: MediaCount | None) -> None:
    if count is None:
        return
    tally.packets += sum(count.packets)
    last = [at for at in (tally.last_packet_ms, *count.last_packet_ms) if at is not None]
    tally.last_packet_ms = max(last, default=None)


def counted(house: House, event: MediaCounted, now: Now) -> list[Command]:
    """A checkpoint of a live call's counters."""
    if event.session_id not in house.calls:
        return []
    _watch_the_limit(house, event)
    fields = count_fields(event.count, event.count.parties)
    return [Note((draft("call.counters", event.session_id, more=fields),))]


def _watch_the_limit(house: House, event: MediaCounted) -> None:
    dropped = dict(event.count.dropped).get("limiter", 0)
    if dropped > house.drops_by_limit.get(event.session_id, 0):
        house.limited_calls.add(event.session_id)
    else:
        house.limited_calls.discard(event.session_id)
    house.drops_by_limit[event.session_id] = dropped


def allocated(house: House, event: MediaAllocated, now: Now) -> list[Command]:
    """A party of an admitted session has a relayed address now: the only kind of candidate it may name."""
    call = house.calls.get(event.session_id)
    if call is None or event.party not in call.grant.parties:
        return []
    call.own_relayed.setdefault(event.party, set()).add(event.relayed_address)
    house.relayed[event.relayed_address] = (event.session_id, event.party)
    call.transports[event.party] = event.transport
    call.allocations += 1
    if call.allocations > MAX_RECORDED_ALLOCATIONS:
        return []
    call.recorded_relayed.add(event.relayed_address)
    record = draft(
        "relay.allocated",
        event.session_id,
        basis=call.grant,
        personal={"client.address": event.client_address},
        party=event.party,
        relayed=f"{event.relayed_address[0]}:{event.relayed_address[1]}",
        transport=event.transport,
    )
    return [Note((record,))]


def released(house: House, event: MediaReleased, now: Now) -> list[Command]:
    """A relayed address is gone. When it went with its call, the call's own record says so."""
    _forget_relayed(house, event.relayed_address, event.session_id)
    call = house.calls.get(event.session_id)
    if call is None:
        return []
    call.own_relayed.get(event.party, set()).discard(event.relayed_address)
    if event.relayed_address not in call.recorded_relayed:
        return []
    call.recorded_relayed.discard(event.relayed_address)
    relayed = f"{event.relayed_address[0]}:{event.relayed_address[1]}"
    record = draft(
        "relay.released", event.session_id, party=event.party, relayed=relayed, reason=event.reason
    )
    return [Narrowing(records=(record,))]


def _forget_relayed(house: House, address: tuple[str, int], session_id: str) -> None:
    """Unless the relay has given the address to another session since."""
    owner = house.relayed.get(address)
    if owner is not None and owner[0] == session_id:
        del house.relayed[address]


def count_fields(count: MediaCount | None, parties: tuple[PartyId, PartyId]) -> dict[str, JsonValue]:
    """Packets and bytes each way and when the last was forwarded, by direction: `a_to_b` is from the first
    party to the second."""
    packets, octets = (count.packets, count.bytes) if count else ((0, 0), (0, 0))
    last = count.last_packet_ms if count else (None, None)
    return {
        "parties": list(parties),
        "packets": {"a_to_b": packets[0], "b_to_a": packets[1]},
        "bytes": {"a_to_b": octets[0], "b_to_a": octets[1]},
        "last_packet_ms": {"a_to_b": last[0], "b_to_a": last[1]},
        "dropped": dict(count.dropped) if count else {},
    }

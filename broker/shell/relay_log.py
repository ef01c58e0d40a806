"""What happens in a relay that runs alone, as log lines: who, from where, which relayed address, why not."""

from __future__ import annotations

from typing import Any

import structlog

from relay.relay_events import (
    EventsLost,
    RelayEvent,
    RequesterRefused,
    SessionOver,
    StrangersRefused,
)
from relay.service import RelayCounters
from relay.turn.events import AllocationGone, AllocationMade
from relay.turn.refusal import RefusalReason
from relay.vocabulary import FiveTuple

log = structlog.get_logger("turngate.relay")


def log_event(event: RelayEvent) -> None:
    """One line. Names in it are printable ASCII (`relay.credentials`), and JSON escapes the rest."""
    match event:
        case AllocationMade():
            log.info("relay.allocated", **_whose(event))
        case AllocationGone():
            log.info("relay.released", **_whose(event), reason=event.reason.value)
        case RequesterRefused(refused, count):
            relayed = refused.relayed_address
            log.warning(
                "relay.refused",
                session=refused.session_id,
                user=refused.party,
                **_client(refused.five_tuple),
                relayed=str(relayed) if relayed is not None else None,
                **_why(refused.reason),
                count=count,
            )
        case StrangersRefused(network, reason, count):
            log.warning("relay.strangers_refused", network=network, **_why(reason), count=count)
        case SessionOver(session_id, counters):
            total = counters.total()
            log.info(
                "relay.session_over",
                session=session_id,
                packets=total.packets,
                bytes=total.bytes,
                dropped={reason.value: count for reason, count in total.drops.items()},
            )
        case EventsLost(count):
            log.error("relay.events_lost", count=count)


def stats(counters: RelayCounters) -> dict[str, Any]:
    """The counters as one flat JSON object."""
    return {
        "allocations": {transport.value: count for transport, count in counters.allocations.items()},
        "sessions": counters.sessions,
        "streams": counters.streams,
        "forwarded_packets": counters.forwarded.packets,
        "forwarded_bytes": counters.forwarded.bytes,
        "dropped": counters.dropped(),
        "refused": {reason.name.lower(): count for reason, count in counters.refusals.items()},
        "draining": counters.draining,
    }


def _whose(event: AllocationMade | AllocationGone) -> dict[str, Any]:
    return {
        "session": event.session_id,
        "user": event.party,
        **_client(event.five_tuple),
        "relayed": str(event.relayed_address),
    }


def _client(five_tuple: FiveTuple) -> dict[str, str]:
    return {"transport": five_tuple.transport.value, "client": str(five_tuple.client)}


def _why(reason: RefusalReason) -> dict[str, Any]:
    return {"code": reason.code, "reason": reason.name.lower(), "sentence": reason.sentence}

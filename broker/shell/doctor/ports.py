"""Ports: each that an edge listens at is free for it or, while it runs, its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from broker.shell.doctor.finding import Finding, ill, look, well


class PortState(StrEnum):
    FREE = "free"
    TAKEN = "taken"
    NO_SUCH_ADDRESS = "no_such_address"
    NOT_ALLOWED = "not_allowed"


@dataclass(frozen=True, slots=True)
class PortFacts:
    """One port that the settings name."""

    setting: str
    """Such as `[inside]` or `relay.listen`."""
    place: str
    """Such as `tcp 192.0.2.1:443`."""
    state: PortState
    answers: bool = False
    """Of one that is taken: whether whoever has it answers as an edge does there."""
    shows_file: bool | None = None
    """Of one that speaks TLS: whether it shows the certificate of tls.certificate_file."""
    health: int | None = None
    """HTTP status of /healthz at the admin listener."""


def judge_port(port: PortFacts, edge_runs: bool | None) -> Finding:
    """`edge_runs` is whether one runs on the data directory; None where nobody could tell."""
    check = f"port {port.place}"
    match port.state:
        case PortState.NO_SUCH_ADDRESS:
            return ill(
                check,
                "No interface of this machine has this address.",
                f"Give it to one, or correct {port.setting}.",
            )
        case PortState.NOT_ALLOWED:
            return look(
                check,
                "Whoever runs this may not listen below port 1024: it could not be tried.",
                "Run this as root; the service needs the capability CAP_NET_BIND_SERVICE.",
            )
        case PortState.FREE if edge_runs:
            return ill(
                check,
                f"The edge runs and does not listen here, where {port.setting} has it.",
                "Start it again: settings are read at start.",
            )
        case PortState.FREE:
            return well(check, "It is free.")
        case PortState.TAKEN:
            return _judge_taken(check, port, edge_runs)


def _judge_taken(check: str, port: PortFacts, edge_runs: bool | None) -> Finding:
    who = "Another program" if not port.answers else "Another edge"
    if edge_runs is False:
        return ill(
            check,
            f"{who} has it: the service cannot start.",
            f"Find it (ss -lnptu) and end it, or correct {port.setting}.",
        )
    if not port.answers:
        return ill(
            check,
            "What listens here does not answer as an edge does.",
            f"See what it is (ss -lnptu). If it is the edge, it hangs: see its log and start it again. Else "
            f"end it, or correct {port.setting}.",
        )
    if port.health is not None and port.health != 200:
        return ill(
            check,
            f"The edge says that its record cannot be written (/healthz answers {port.health}).",
            "Make room on its disk; docs/operations.md, The record cannot be written.",
        )
    if port.shows_file is False:
        return look(
            check,
            "The edge answers, and shows another certificate than that of tls.certificate_file.",
            "Send the service SIGHUP (systemctl reload turngate).",
        )
    return well(check, "The edge answers.")

"""Relay: whether clients of both sides reach it, and whether packets pass it both ways."""

from __future__ import annotations

from dataclasses import dataclass

from broker.shell.doctor.finding import Finding, ill, look, well


@dataclass(frozen=True, slots=True)
class PathFacts:
    """One way to the relay of a running edge, as clients are told it."""

    section: str
    """`inside` or `outside`."""
    url: str
    answers: bool
    """Whether a STUN Binding was answered there."""
    host_is_here: bool
    """Whether the host in it is an address of this machine."""
    unresolved: bool = False


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """One call's worth of a relay of our own: two clients, one from each side, and a packet each way."""

    transport: str
    inside: str
    outside: str
    """Where each client found the relay."""
    failure: str
    """Empty where both packets came."""
    hosts_are_here: bool
    as_configured: bool
    """Whether it was tried at the ports and hosts of the settings; else at free ports of the same
    addresses."""


def judge_path(path: PathFacts) -> Finding:
    check = f"way to the relay, {path.section}: {path.url}"
    setting = f"{path.section}.origin" if path.url.startswith("turns:") else f"{path.section}.relay_host"
    if path.unresolved:
        return ill(check, f"The host has no address here: {setting}.", f"Correct {setting}, or DNS.")
    if path.answers:
        return well(check, "The relay answers.")
    if path.host_is_here:
        return ill(
            check,
            "The relay does not answer at an address of this machine.",
            "Let this machine's firewall pass what `turngate ports` prints, and see the edge's log.",
        )
    return look(
        check,
        "The relay does not answer from here; the address belongs to something in front of this machine.",
        f"Try it from where clients are. If it fails there too: pass the port on to this machine, or correct "
        f"{setting}.",
    )


def judge_trial(trial: TrialFacts) -> Finding:
    """Of a relay that runs nobody can be let in but by the edge itself: it was tried with one of our own."""
    check = f"relay both ways, {trial.transport}: {trial.inside} and {trial.outside}"
    if not trial.failure:
        where = "" if trial.as_configured else " a relay at free ports of the same addresses"
        return well(check, f"Packets pass{where or ' it'} from inside to outside and back.")
    found = f"Packets do not pass from inside to outside and back: {trial.failure}."
    if not trial.hosts_are_here:
        return look(
            check,
            f"{found} A host belongs to something in front of this machine.",
            "Try a call from where clients are; see inside.relay_host and outside.relay_host.",
        )
    return ill(
        check,
        found,
        "Let this machine's firewall pass packets from its own addresses to what `turngate ports` prints.",
    )

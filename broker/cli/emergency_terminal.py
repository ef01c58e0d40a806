"""Emergency terminal: what `turngate emergency` reads from a command line and prints.

Names and reasons may come from anywhere: whatever a terminal might obey is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NoReturn

import typer

from broker.cli.emergency_files import SaidAll, SaidStop, moment
from broker.cli.terminal import safe
from broker.core.events import LatchFound
from broker.policy.stop import Scope, ScopeError, parse_scope

NOT_CERTAIN = 1
"""Exit status: it is latched, but nobody knows that it has stopped anything."""
NOTHING_DONE = 2
SOMETHING_STOPPED = 3

SCOPES = "all, zone:NAME, peer:NAME, user:LOGIN or modality:NAME"
ScopeText = Annotated[str, typer.Option("--scope", help=f"{SCOPES}.", metavar="SCOPE")]


def scope_or_exit(text: str) -> Scope:
    """The scope; of what is none, what would be one, and exit status 2."""
    try:
        return parse_scope(text)
    except ScopeError as error:
        give_up(NOTHING_DONE, str(error))


def status_lines(told: SaidAll | None, latched: dict[Scope, LatchFound]) -> Iterator[str]:
    """What the edge says, and the latches of which it does not."""
    stops = told.stops if told is not None else ()
    if not stops and not latched:
        yield "nothing is stopped"
    for one in stops:
        yield from stop_lines(one)
    for scope, found in latched.items():
        if told is None or told.about(scope) is None:
            says = note(found)
            yield safe(f"LATCHED: {scope}, by {says['by'] or '?'}: {says['reason'] or 'no reason given'}")
            yield "    the edge has not said so: it holds from its next start at the latest"
    if told is not None and told.drill is not None:
        last = told.drill
        yield safe(f"last drill: {last.scope} at {moment(last.at_ms)} would have ended {last.would_end}")


def note(found: LatchFound) -> dict[str, str | None]:
    """What a latch says of itself, for those who may see it."""
    return {
        "scope": str(found.scope),
        "by": found.told_by.reveal() if found.told_by is not None else None,
        "reason": found.reason.reveal() if found.reason is not None else None,
    }


def stop_lines(told: SaidStop) -> Iterator[str]:
    """One stop, and what it ended."""
    who = told.by or told.told_by or "?"
    yield safe(f"STOPPED: {told.scope} since {moment(told.since_ms)}, by {who} ({told.how})")
    if told.reason:
        yield safe(f"    reason: {told.reason}")
    if not told.settled:
        yield "    what it covers is ending"
    elif told.ended is None:
        yield "    it was stopped when the edge started: there was nothing to end"
    else:
        last = "none" if told.last_packet_ms is None else moment(told.last_packet_ms)
        yield f"    ended: {told.ended}"
        yield f"    packets of the calls: {told.packets}, the last at: {last}"
    if told.lift is not None:
        until = moment(told.lift.until_ms)
        yield safe(f"    {told.lift.login} wants it lifted; somebody else has to approve until {until}")


def say(*lines: str) -> None:
    """On stderr."""
    for line in lines:
        typer.echo(safe(line), err=True)


def give_up(exit_status: int, *lines: str) -> NoReturn:
    say(*lines)
    raise typer.Exit(exit_status)

"""`turngate emergency`: stop communication at once, see what is stopped, rehearse that, and lift a stop.

Stopping puts a file into the data directory and needs nothing else: no edge, no directory of people, no
database, no password. Names and reasons may come from anywhere: whatever a terminal might obey is escaped.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from broker.cli import emergency_files as files
from broker.cli import emergency_lift
from broker.cli.emergency_files import FOLDER, EdgeState, SaidAll, SaidDrill, SaidStop
from broker.cli.emergency_terminal import (
    NOT_CERTAIN,
    NOTHING_DONE,
    SOMETHING_STOPPED,
    ScopeText,
    give_up,
    note,
    say,
    scope_or_exit,
    status_lines,
    stop_lines,
)
from broker.cli.options import ConfigFile, Flags
from broker.cli.terminal import safe
from broker.policy.stop import Scope, ScopeKind
from broker.shell.latches import Latches
from config.errors import ConfigurationErrors
from config.loading import load_settings
from config.policy.loading import PolicyErrors, load_policy

DataDirectory = Annotated[
    Path | None,
    typer.Option(help="The edge's data directory; the settings are not read then.", metavar="DIR"),
]

WRONG_PLACE = "Is this the edge's data directory? --data-directory names another."
_SILENCE = {
    EdgeState.RUNS: "the edge has not said anything yet",
    EdgeState.DOWN: None,
    EdgeState.NEVER: WRONG_PLACE,
}
"""What is wrong where the edge has never said anything of stops."""

_emergency = typer.Typer(help="Stop communication at once, and lift the stop again.", no_args_is_help=True)
_emergency.command("lift")(emergency_lift.lift)
_emergency.command("enrol")(emergency_lift.enrol)


def register(app: typer.Typer) -> None:
    app.add_typer(_emergency, name="emergency")


@_emergency.command("stop")
def stop(
    scope: ScopeText = "all",
    reason: Annotated[str, typer.Option(help="For whoever reads the record.", metavar="TEXT")] = "",
    config: ConfigFile = None,
    flags: Flags = None,
    data_directory: DataDirectory = None,
    even_if_unknown: Annotated[
        bool, typer.Option("--even-if-unknown", help="Also a zone or peer that the policy does not have.")
    ] = False,
) -> None:
    """Stop everything, or what the scope says, at once and until two people lift it.

    Exits with 0 when the edge has ended it, or no edge runs and the stop holds from the next start; with 1
    when it is latched but nobody knows that it stops anything; with 2 when nothing was latched."""
    wanted = scope_or_exit(scope)
    place, policy_file = _place(config, flags, data_directory)
    if not even_if_unknown:
        _refuse_unknown(wanted, policy_file)
    with _at(place, f"NOT STOPPED: {wanted}"):
        told = files.said()
        before = told.about(wanted) if told is not None else None
        new = files.latch(wanted, _who(), reason)
    print(safe(f"{'latched' if new else 'was latched already'}: {wanted}, in {place / FOLDER}"), flush=True)
    heard = None
    with _at(place, f"{wanted} is latched, and not surely on the disk", NOT_CERTAIN):
        edge = files.edge_state()
        if edge is EdgeState.RUNS:
            # Of a stop that is not new the edge has no more to say.
            heard = files.wait_until_told(lambda now: _news(now.about(wanted), before if new else None))
            edge = files.edge_state()
        if edge is not EdgeState.RUNS:
            files.settle(wanted)
    if heard is not None:
        _tell_stopped(heard, even_if_unknown)
        return
    if edge is EdgeState.DOWN:
        print(safe(f"{edge} on {place}: the stop holds from its next start"))
        return
    if edge is EdgeState.NEVER:
        say(f"{edge} ON {place}. {WRONG_PLACE}")
    else:
        say(f"THE EDGE HAS NOT SAID WITHIN {files.PATIENCE_SECONDS:.0f} s THAT {wanted} IS STOPPED.")
        say("The latch stays. The edge may hang, or have no room to say it (a full disk): look whether calls")
        say("still run; if they do, end the edge's process. The stop holds from its next start.")
    raise typer.Exit(NOT_CERTAIN)


def _news(now: SaidStop | None, before: SaidStop | None) -> SaidStop | None:
    """What the edge says of a stop once it has ended everything, if that is another thing than before."""
    return None if now is None or not now.settled or now == before else now


def _tell_stopped(told: SaidStop, even_if_unknown: bool) -> None:
    for line in stop_lines(told):
        print(line)
    if not told.known:
        say(f"THE POLICY IN FORCE HAS NO SUCH {told.scope.partition(':')[0].upper()}: this stops nobody.")
        if not even_if_unknown:
            raise typer.Exit(NOT_CERTAIN)


@_emergency.command("status")
def status(
    config: ConfigFile = None,
    flags: Flags = None,
    data_directory: DataDirectory = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is stopped, by the files that are latched and by what the edge says.

    Exits with 0 when nothing is stopped, with 3 when something is, and with another status when that cannot
    be told."""
    place, _ = _place(config, flags, data_directory)
    told, problem = None, None
    with _at(place, "what is stopped cannot be told"):
        latches = Latches(FOLDER)
        latched = {scope: latches.read(scope, name) for scope, name in latches.found().items()}
        edge = files.edge_state()
        try:
            told = files.read_said()
        except FileNotFoundError:
            problem = _SILENCE[edge]
        except (OSError, ValueError):
            problem = "what the edge says cannot be read"
    stops = told.stops if told is not None else ()
    scopes = sorted({str(scope) for scope in latched} | {one.scope for one in stops})
    if as_json:
        facts = {"data_directory": str(place), "edge_running": edge is EdgeState.RUNS, "stopped": scopes}
        notes = [note(found) for found in latched.values()]
        said = told.model_dump(mode="json") if told is not None else None
        print(json.dumps(facts | {"latches": notes, "status": said}))
    else:
        print(safe(f"{edge} on {place}"))
        for line in status_lines(told, latched):
            print(line)
    if problem is not None:
        say(problem)
    if scopes:
        raise typer.Exit(SOMETHING_STOPPED)
    if problem is not None:
        raise typer.Exit(NOT_CERTAIN)


@_emergency.command("drill")
def drill(
    scope: ScopeText = "all",
    config: ConfigFile = None,
    flags: Flags = None,
    data_directory: DataDirectory = None,
) -> None:
    """Have the running edge say what a stop would end now. Nothing ends; the record has the rehearsal."""
    wanted = scope_or_exit(scope)
    place, policy_file = _place(config, flags, data_directory)
    _refuse_unknown(wanted, policy_file)
    with _at(place, f"not rehearsed: {wanted}"):
        if (edge := files.edge_state()) is not EdgeState.RUNS:
            give_up(1, f"{edge} on {place}: there is nothing that a stop would end")
        before = told.drill if (told := files.said()) is not None else None
        with files.drill_asked(wanted):
            heard = files.wait_until_told(lambda now: _rehearsed(now, wanted, before))
    if heard is None:
        give_up(1, f"the edge has not answered within {files.PATIENCE_SECONDS:.0f} s")
    print(safe(f"a stop of {heard.scope} would end: {heard.would_end}"))


def _rehearsed(now: SaidAll, wanted: Scope, before: SaidDrill | None) -> SaidDrill | None:
    new = now.drill is not None and now.drill != before and now.drill.scope == str(wanted)
    return now.drill if new else None


def _place(config: Path | None, flags: list[str] | None, directory: Path | None) -> tuple[Path, Path | None]:
    """The data directory, and the policy file if the settings were read and name one."""
    if directory is not None:
        return directory.absolute(), None
    try:
        settings = load_settings(config, os.environ, flags or [])
    except ConfigurationErrors as mistakes:
        hint = "with --data-directory DIR this needs no settings"
        give_up(NOTHING_DONE, *map(str, mistakes.errors), hint)
    return settings.data_directory.absolute(), settings.policy.file


@contextmanager
def _at(place: Path, failed: str, exit_status: int = NOTHING_DONE) -> Iterator[None]:
    """Work in the data directory. One that is not there is not made: nobody would look into it."""
    try:
        with files.at_the_edges(place):
            yield
    except OSError as error:
        give_up(exit_status, f"{failed}: {place}: {error.strerror}")


def _refuse_unknown(scope: Scope, policy_file: Path | None) -> None:
    """A misspelt name would stop nobody."""
    if scope.kind not in (ScopeKind.ZONE, ScopeKind.PEER) or policy_file is None:
        return
    try:
        policy = load_policy(policy_file.read_bytes(), policy_file.name).policy
    except (OSError, PolicyErrors):
        say(f"the policy file cannot be read: whether there is a {scope} is not known")
        return
    names = [one.id for one in (policy.zones if scope.kind is ScopeKind.ZONE else policy.peers)]
    is_domain = scope.kind is ScopeKind.PEER and "." in scope.name
    if scope.name not in names and not is_domain:
        there = f"it has {', '.join(names)}" if names else "it has none"
        give_up(NOTHING_DONE, f"the policy has no {scope.kind} {scope.name}: {there}")


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"uid {os.getuid()}"

"""`turngate doctor`: what is wrong with the host, its files, its network and directory, and what to change.

Names and texts from the directory and from certificates were written by others: whatever a terminal might
obey is escaped.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from broker.cli.emergency_files import EdgeState, at_the_edges, edge_state
from broker.cli.options import ConfigFile, Flags, settings_or_exit
from broker.cli.terminal import safe


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    config: ConfigFile = None,
    flags: Flags = None,
    login: Annotated[
        str | None, typer.Option(help="Say what the directory says about this person, too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at everything an edge needs, whether or not it runs, and say what to change; exit with 1 when
    something is ill.

    Run it on the host, as root. It asks for no password and changes nothing; the service account signs in
    once to each server of the directory.
    """
    settings = settings_or_exit(config, flags)
    # Half the product takes a second to import: no other sub-command waits for it.
    from broker.shell.doctor.examination import Examined, examine
    from broker.shell.doctor.finding import Verdict
    from broker.shell.logs import configure_logs

    configure_logs(logging.CRITICAL)
    found = []
    for finding in examine(Examined(settings, edge_runs(settings.data_directory), login)):
        found.append(finding)
        if not as_json:
            print(f"{finding.verdict:<4}  {safe(finding.check)}: {safe(finding.found)}")
            if finding.change:
                print(f"      -> {safe(finding.change)}")
    count = Counter(finding.verdict for finding in found)
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in found]}))
    else:
        print(f"{count[Verdict.ILL]} ill, {count[Verdict.LOOK]} to look at, {count[Verdict.WELL]} well.")
    if count[Verdict.ILL]:
        raise typer.Exit(1)


def edge_runs(data_directory: Path) -> bool | None:
    """None where nobody could tell."""
    try:
        with at_the_edges(data_directory):
            return edge_state() is EdgeState.RUNS
    except FileNotFoundError:
        return False
    except OSError:
        return None

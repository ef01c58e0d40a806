"""`turngate demo`: the whole product on this machine with all of it embedded, shown by a scripted session."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    address: Annotated[
        str,
        typer.Option(help="Address to listen on; some browsers find no relay on 127.0.0.1.", metavar="IP"),
    ] = "127.0.0.1",
    once: Annotated[bool, typer.Option("--once", help="Exit after the script.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object to stdout.")] = False,
) -> None:
    """Run the whole product with embedded defaults, play a scripted session, stay up for browsers."""
    # The server and the media library take a second to import: no other sub-command waits for them.
    import uvloop

    from broker.cli.demo_house import make_house
    from broker.cli.demo_session import run_demo
    from broker.shell.logs import configure_logs

    configure_logs()
    with tempfile.TemporaryDirectory(prefix="turngate-demo-") as folder:
        ok = uvloop.run(run_demo(make_house(Path(folder), address), once=once, as_json=as_json))
    if not ok:
        raise typer.Exit(1)

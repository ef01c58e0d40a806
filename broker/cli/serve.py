"""`turngate serve`: run the edge until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Iterator

import typer

from broker.cli.options import ConfigFile, Flags, refuse, settings_or_exit
from broker.shell.contents import unusable_contents
from broker.shell.data_lock import DataInUseError
from config.readiness import missing_for_service
from config.settings import Settings


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(config: ConfigFile = None, flags: Flags = None) -> None:
    """Run the edge: the inside, outside and admin listeners and the media relay."""
    # Before there is a certificate to show again.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = settings_or_exit(config, flags)
    if missing := [*missing_for_service(settings), *unusable_contents(settings)]:
        refuse(missing)
    # The server takes a second to import: no other sub-command waits for it.
    import uvloop

    from broker.shell.logs import configure_logs

    configure_logs()
    try:
        uvloop.run(_run(settings))
    except* (OSError, DataInUseError) as failed:
        for failure in leaves(failed):
            typer.echo(f"turngate: {failure}", err=True)
        raise typer.Exit(1) from None


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The exceptions themselves, without the groups around them."""
    for failure in group.exceptions:
        yield from leaves(failure) if isinstance(failure, BaseExceptionGroup) else (failure,)


async def _run(settings: Settings) -> None:
    """SIGTERM and SIGINT end it in good order: calls end, records close, listeners go.

    SIGHUP shows another certificate to connections to come.
    """
    from broker.shell.parts import load_parts
    from broker.shell.serve import running_edge
    from broker.shell.tls import show_certificate_again

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parts = load_parts(settings)
    loop.add_signal_handler(signal.SIGHUP, show_certificate_again, parts.tls, settings.tls)
    async with running_edge(settings, parts):
        # What is there now stays: looking through it for garbage would hold up the event loop for 50 ms and
        # more, again and again.
        gc.collect()
        gc.freeze()
        await stop.wait()

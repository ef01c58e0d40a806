"""A relay alone: told what to do by signals, telling what it does by logs, statistics and metrics.

SIGHUP loads secrets, bounds, revocations and certificate anew; SIGUSR1 drains; SIGTERM and SIGINT stop.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread

import structlog

from broker.shell.metrics import Metrics
from broker.shell.relay_log import log_event, stats
from broker.shell.relay_metrics import RelayCollector, served_metrics
from broker.shell.tls import reload_certificate, server_context
from config.errors import ConfigurationErrors
from config.relay import RelaySettings
from config.settings import Settings
from relay.configured import configured_secrets
from relay.planes.choice import choose_plane
from relay.revocations import MAX_BYTES, NOBODY, Revocations, RevocationsError, read_revocations
from relay.service import Relay
from relay.turn.events import AllocationGone

log = structlog.get_logger("turngate.relay")

FIXED = ("listen", "realm", "relayed_prefix", "pairing", "plane", "plane_workers", "socket_buffer_bytes")
"""Settings that only a restart changes."""


Fresh = tuple[Settings, Revocations]


class UnusableError(Exception):
    """Settings that are valid and still of no use to a relay alone."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """What the relay tells besides its log."""

    tell: Callable[[str], None]
    """Takes a line: the listeners once they are bound, then statistics."""
    stats_seconds: float = 0
    """0 for no statistics."""
    metrics: tuple[str, int] | None = None
    """Where they are served, if anywhere."""


async def run_alone(settings: Settings, load: Callable[[], Settings], reporting: Reporting) -> None:
    """Until a signal ends it. `load` reads the settings anew.

    Raises PlaneUnavailableError, OSError, ssl.SSLError and RevocationsError when it cannot start.
    """
    chosen = choose_plane(settings.relay)
    log.info("relay.plane", plane=chosen.name, wanted=settings.relay.plane)
    tls = _context(settings)
    revocations = _revocations(settings.relay)
    secrets = configured_secrets(settings.relay)
    relay = Relay(settings.relay, secrets, admission_required=False, plane=chosen.plane, tls=tls)
    metrics = Metrics()
    metrics.registry.register(RelayCollector(relay.counters))
    alone = _Alone(relay, tls, settings, load)
    async with relay, served_metrics(metrics, relay, reporting.metrics), asyncio.TaskGroup() as tasks:
        relay.revoke(revocations)
        loop = asyncio.get_running_loop()
        for number, handler in (
            (signal.SIGTERM, alone.stop.set),
            (signal.SIGINT, alone.stop.set),
            (signal.SIGHUP, alone.hang_up.set),
            (signal.SIGUSR1, alone.drain.set),
        ):
            loop.add_signal_handler(number, handler)
        works: list[Coroutine[None, None, None]] = [
            alone.report(),
            alone.finish(),
            alone.reload(),
            metrics.measure_loop_lag(),
        ]
        if reporting.stats_seconds:
            works.append(alone.count(reporting))
        running = [tasks.create_task(work) for work in works]
        reporting.tell(" ".join(("ready", *map(str, relay.listeners))))
        await alone.stop.wait()
        for task in running:
            task.cancel()
    log.info("relay.stopped")


class _Alone:
    def __init__(
        self, relay: Relay, tls: ssl.SSLContext | None, settings: Settings, load: Callable[[], Settings]
    ) -> None:
        self._relay = relay
        self._tls = tls
        self._settings = settings
        self._load = load
        self.stop = asyncio.Event()
        self.drain = asyncio.Event()
        self.hang_up = asyncio.Event()
        self._released = asyncio.Event()

    async def reload(self) -> None:
        """At each hang-up: all of it or, with any mistake, nothing."""
        while True:
            await self.hang_up.wait()
            self.hang_up.clear()
            try:
                self._take_over(*await _aside(self._read))
            except (ConfigurationErrors, OSError, RevocationsError, UnusableError) as mistake:
                log.error("relay.not_reloaded", why=str(mistake).splitlines())  # noqa: TRY400 (it says all)
            except Exception:
                # A defect of ours in reading files must not end everybody's calls.
                log.exception("relay.not_reloaded")

    def _read(self) -> Fresh:
        settings = self._load()
        if not settings.relay.secrets:
            raise UnusableError("relay.secrets is not set")
        return settings, _revocations(settings.relay)

    def _take_over(self, settings: Settings, revocations: Revocations) -> None:
        if self._tls is not None:
            # Not in the thread: a handshake may be reading the certificate.
            reload_certificate(self._tls, settings.tls)
        secrets = configured_secrets(settings.relay)
        self._relay.reconfigure(settings.relay, secrets)
        self._relay.revoke(revocations)
        before, after = self._settings.relay, settings.relay
        waits = [name for name in FIXED if getattr(before, name) != getattr(after, name)]
        self._settings = settings
        log.info("relay.reloaded", secrets=len(secrets), needs_restart=waits)

    async def finish(self) -> None:
        """Once told to drain: stop when the last allocation is gone, or when that takes too long."""
        await self.drain.wait()
        self._relay.drain()
        seconds = self._settings.relay.drain_seconds
        log.info("relay.draining", allocations=self._relay.allocation_count, at_most_seconds=seconds)
        try:
            async with asyncio.timeout(seconds):
                while self._relay.allocation_count:
                    self._released.clear()
                    await self._released.wait()
        except TimeoutError:
            log.warning("relay.drain_timed_out", allocations=self._relay.allocation_count)
        self.stop.set()

    async def report(self) -> None:
        while True:
            for event in await self._relay.events():
                log_event(event)
                if isinstance(event, AllocationGone):
                    self._released.set()

    async def count(self, reporting: Reporting) -> None:
        while True:
            await asyncio.sleep(reporting.stats_seconds)
            reporting.tell(json.dumps(stats(self._relay.counters())))


async def _aside(read: Callable[[], Fresh]) -> Fresh:
    """Reading takes as long as the files are, and for ever where one is a pipe nobody writes to: in a thread
    of its own, for which neither media nor the end of the process waits."""
    outcome: Future[Fresh] = Future()

    def work() -> None:
        outcome.set_running_or_notify_cancel()
        try:
            outcome.set_result(read())
        except Exception as mistake:
            outcome.set_exception(mistake)

    Thread(target=work, name="relay-reload", daemon=True).start()
    return await asyncio.wrap_future(outcome)


def _context(settings: Settings) -> ssl.SSLContext | None:
    tls = settings.tls
    if tls.certificate_file is None or tls.private_key_file is None:
        return None
    return server_context(tls.certificate_file, tls.private_key_file)


def _revocations(settings: RelaySettings) -> Revocations:
    if settings.revocations_file is None:
        return NOBODY
    with settings.revocations_file.open("rb") as opened:
        return read_revocations(opened.read(MAX_BYTES + 1))

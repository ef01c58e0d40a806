"""Serve: puts the rooms together, in the order in which each needs the one before, and takes them apart in
reverse."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog
from aiohttp import web

from auth.directory import Directory
from auth.invitation import NONCE_BYTES, InvitationSigner
from auth.ldap import LdapDirectory
from auth.ldif import LdifDirectory
from auth.local_accounts import LocalAccounts
from auth.principal import PartyId
from auth.second_factor import SecondFactors
from auth.throttle import SignInThrottle
from broker.audit.checkpoint import SigningKey
from broker.audit.heads_file import HeadsFile
from broker.audit.ledger import Ledger
from broker.audit.places import NODE, database_url, heads_file, signing_key_file
from broker.core.alarms import TABLE
from broker.core.clock import Now
from broker.core.commands import ReadUndelivered
from broker.core.events import Stopping, UndeliveredRead
from broker.core.frames import IceServer
from broker.core.gate import Gate
from broker.core.house import House, HouseRules
from broker.core.refusals import Refusals
from broker.policy.administration import BREAK_GLASS_GROUP, RECOVERY_GROUP, Role
from broker.shell.alarm_hook import AlarmHook
from broker.shell.bandwidth_meter import BandwidthMeter
from broker.shell.data_lock import data_lock
from broker.shell.driver import Driver
from broker.shell.effects import Effects
from broker.shell.facts import Facts
from broker.shell.gateway.admin import admin_app
from broker.shell.gateway.edge import Edge, fresh_id
from broker.shell.gateway.first_byte import TlsPort
from broker.shell.gateway.inside import inside_app
from broker.shell.gateway.outside import outside_app
from broker.shell.gateway.pages import Pages
from broker.shell.journal import Journal
from broker.shell.latch_watch import LatchWatch
from broker.shell.latches import EMERGENCY_DIRECTORY, Latches
from broker.shell.media import MADE_SECRET_BYTES, RelayMedia, running_media
from broker.shell.metrics import Metrics
from broker.shell.people import watch_ldif, watch_servers
from broker.shell.policy_file import PolicyFile
from broker.shell.relay_metrics import RelayCollector
from broker.shell.store import Entry, Store
from broker.shell.tls import watch_certificate
from broker.shell.writer import Writer
from config.policy.loading import LoadedPolicy
from config.settings import Settings

log = structlog.get_logger(__name__)

STOP_SECONDS = 10.0
WRITER_STOP_SECONDS = 10.0


def read_clock() -> Now:
    """Both clocks, now."""
    return Now(time.time_ns() // 1_000_000, time.monotonic())


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running edge is made from besides its settings."""

    directory: Directory
    policy: LoadedPolicy
    tls: ssl.SSLContext
    invitation_keys: tuple[bytes, ...]


def house_rules(settings: Settings) -> HouseRules:
    """The settings that the core obeys."""
    return HouseRules(
        max_connections_per_person=settings.gateway.max_connections_per_person,
        max_text_characters=settings.chat.max_text_characters,
        ring_timeout_seconds=settings.calls.ring_timeout_seconds,
        max_call_seconds=settings.calls.max_call_seconds,
        invitation_default_expiry_seconds=settings.invitations.default_expiry_seconds,
        invitation_max_expiry_seconds=settings.invitations.max_expiry_seconds,
        invitation_default_redemptions=settings.invitations.default_redemptions,
        invitation_max_redemptions=settings.invitations.max_redemptions,
        visit_seconds=settings.guests.visit_seconds,
        sign_in_seconds=settings.sign_in.session_seconds,
        sign_in_idle_seconds=settings.sign_in.idle_seconds,
        max_sign_ins_per_person=settings.sign_in.max_per_person,
        outage_grace_seconds=settings.audit.outage_grace_seconds,
        guest_notice=settings.guests.notice_text,
        refusal_table_rows=settings.audit.refusal_table_rows,
        admin_sign_in_seconds=settings.admin.session_seconds,
        certificate_warning_seconds=settings.alarms.certificate_days * 86400,
        flood_refusals_per_minute=settings.alarms.refusals_per_minute,
        directory_grace_seconds=settings.directory.outage_grace_seconds,
        max_vanished_percent=settings.directory.max_vanished_percent,
    )


@asynccontextmanager
async def running_edge(settings: Settings, parts: Parts) -> AsyncIterator[Edge]:
    """A whole edge on the running loop, from the first record to the last."""
    settings.data_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        stack.enter_context(data_lock(settings.data_directory))
        key = SigningKey.load_or_create(NODE, signing_key_file(settings))
        store = Store(database_url(settings), Ledger(NODE, key, secrets.token_bytes))
        stack.callback(store.close)
        journal = Journal(settings.data_directory / "narrowing.journal", settings.audit.journal_bytes)
        stack.callback(journal.close)
        _enter_left_over(store, journal)
        heads = HeadsFile(heads_file(settings))
        stack.callback(heads.close)
        facts = Facts(parts.directory, store, read_clock)
        stack.callback(facts.close)
        media = await stack.enter_async_context(
            running_media(settings, secrets.token_bytes(MADE_SECRET_BYTES), parts.tls)
        )
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        background: set[asyncio.Task[None]] = set()

        def start(work: Coroutine[None, None, None]) -> None:
            task = tasks.create_task(work)
            background.add(task)
            task.add_done_callback(background.discard)

        hook = AlarmHook(settings.alarms.command)
        latches = Latches(settings.data_directory / EMERGENCY_DIRECTORY)
        driver, effects = _driver(settings, parts, media, facts, start, journal, latches, hook)
        writer = Writer(store, heads, driver.settled)
        driver.attach(writer)
        writer.start()
        metrics = Metrics()
        throttle = await _throttle(settings, facts)
        policy_file = _policy_file(settings, parts, driver, stack)
        edge = Edge(
            settings,
            driver,
            effects,
            media,
            facts,
            parts.directory,
            throttle,
            _signer(parts),
            metrics,
            read_clock,
            policy_file,
            _local_accounts(settings),
            SecondFactors(settings.admin.second_factors),
            BandwidthMeter(driver.live_flows, media.counted, partial(_zones, driver)),
        )
        for accounts in edge.local_accounts.values():
            stack.push_async_callback(accounts.close)
        _watch(edge)
        start(metrics.measure_loop_lag())
        start(media.report(driver.submit))
        start(media.count(driver.submit, settings.audit.counters_interval_seconds))
        if policy_file is not None:
            start(policy_file.watch())
        if isinstance(parts.directory, LdifDirectory) and settings.directory.ldif_file is not None:
            path = settings.directory.ldif_file
            start(watch_ldif(parts.directory, path, driver.watched_people, driver.submit))
        if isinstance(parts.directory, LdapDirectory):
            poll_seconds = settings.ldap.poll_seconds
            start(watch_servers(parts.directory, poll_seconds, driver.watched_people, driver.submit))
        driver.submit(await facts.started(latches.on_disk()))
        start(LatchWatch(latches, driver).run())
        start(hook.run())
        start(edge.bandwidth.run())
        start(watch_certificate(parts.tls, driver.submit))
        try:
            async with _listeners(edge, parts.tls):
                log.info(
                    "edge.ready",
                    inside=settings.inside.origin,
                    outside=settings.outside.origin,
                    plane=media.plane,
                )
                try:
                    yield edge
                finally:
                    driver.submit(Stopping())
                    await driver.drained(STOP_SECONDS)
        finally:
            for task in list(background):
                task.cancel()
            driver.close()
            if not writer.stop(WRITER_STOP_SECONDS):
                log.critical("record.incomplete", pending=driver.pending)


def _answers(directory: LdapDirectory, server: str) -> bool:
    return directory.servers()[server]


def _zones(driver: Driver) -> list[str]:
    return [zone.id for zone in driver.policy.loaded.policy.zones]


def _policy_file(
    settings: Settings, parts: Parts, driver: Driver, stack: AsyncExitStack
) -> PolicyFile | None:
    if settings.policy.file is None:
        return None
    shelf = settings.data_directory / "policies"
    policy_file = PolicyFile(settings.policy.file, shelf, parts.policy, driver.submit)
    stack.callback(policy_file.close)
    return policy_file


def _enter_left_over(store: Store, journal: Journal) -> None:
    """What the previous run closed and could not record any more is entered before anything opens."""
    entries, mark = journal.left_over(store.journal_mark())
    if entries:
        rows = [Entry(entry.wall_ms, entry.records, entry.writes) for entry in entries]
        rows[-1] = Entry(rows[-1].wall_ms, rows[-1].records, rows[-1].writes, mark)
        store.commit(rows)
    journal.entered(mark)


def _driver(
    settings: Settings,
    parts: Parts,
    media: RelayMedia,
    facts: Facts,
    start: Callable[[Coroutine[None, None, None]], None],
    journal: Journal,
    latches: Latches,
    hook: AlarmHook,
) -> tuple[Driver, Effects]:
    signer = _signer(parts)
    gateway = settings.gateway
    at_once = max(1, min(gateway.send_queue_frames, gateway.frames_burst) // 2)

    def ice_server_for(session_id: str, party: PartyId, expires_at: int) -> IceServer:
        return media.ice_server(session_id, party, expires_at)

    def invitation_link(invitation_id: str, issue: int, expires_at: int) -> str:
        token = signer.sign(invitation_id, issue, expires_at, secrets.token_bytes(NONCE_BYTES))
        return f"{settings.outside.origin}/#{token}"

    def read_undelivered(effect: ReadUndelivered) -> None:
        start(deliver(effect))

    async def deliver(effect: ReadUndelivered) -> None:
        if effect.later:
            await asyncio.sleep(at_once / gateway.frames_per_second)
        try:
            messages = await facts.undelivered(effect.party, at_once)
        except Exception:  # the messages stay in the store and come with the next connection
            log.exception("chat.undelivered_unread")
            return
        if messages:
            driver.submit(UndeliveredRead(effect.connection_id, messages, len(messages) == at_once))

    rules = house_rules(settings)
    gate = Gate(parts.policy, fresh_id, administrators=_administrators(settings))
    house = House(
        gate, fresh_id, rules, ice_server_for, invitation_link, Refusals(settings.audit.refusal_table_rows)
    )
    effects = Effects(media, latches, hook.sound, read_undelivered)
    driver = Driver(house, effects, journal, read_clock, settings.gateway.max_pending_commits)
    return driver, effects


def _administrators(settings: Settings) -> dict[Role, str]:
    """The group of each role that anybody has."""
    admin = settings.admin
    groups = {
        Role.OPERATOR: admin.operator_group,
        Role.POLICY_ADMINISTRATOR: admin.policy_administrator_group,
        Role.AUDITOR: admin.auditor_group,
        Role.RECOVERY: RECOVERY_GROUP if settings.emergency.recovery_accounts else None,
        Role.BREAK_GLASS: BREAK_GLASS_GROUP if admin.break_glass_account is not None else None,
    }
    return {role: group for role, group in groups.items() if group is not None}


def _local_accounts(settings: Settings) -> dict[Role, LocalAccounts]:
    glass = settings.admin.break_glass_account
    return {
        Role.RECOVERY: LocalAccounts(settings.emergency.recovery_accounts, RECOVERY_GROUP, "r-"),
        Role.BREAK_GLASS: LocalAccounts(() if glass is None else (glass,), BREAK_GLASS_GROUP, "b-"),
    }


def _signer(parts: Parts) -> InvitationSigner:
    return InvitationSigner(parts.invitation_keys)


async def _throttle(settings: Settings, facts: Facts) -> SignInThrottle:
    throttle = SignInThrottle(
        max_failures_per_login=settings.sign_in.max_failures_per_login,
        max_failures_per_source=settings.sign_in.max_failures_per_source,
        failure_window_seconds=settings.sign_in.failure_window_seconds,
    )
    now = read_clock()
    throttle.restore(await facts.sign_in_failures(), now.wall_ms, now.monotonic_seconds)
    return throttle


def _watch(edge: Edge) -> None:
    edge.metrics.watch("turngate_connections", "Open connections.", lambda: len(edge.effects.outboxes))
    edge.metrics.watch(
        "turngate_pending_commits", "Commands that wait for their record.", lambda: edge.driver.pending
    )
    edge.metrics.watch(
        "turngate_record_available", "1 while the record can be written.", lambda: edge.driver.healthy
    )
    edge.metrics.watch(
        "turngate_policy_refused",
        "1 while the policy file cannot be used and an older policy is in force.",
        lambda: edge.driver.policy_state[1] is not None,
    )
    edge.metrics.watch(
        "turngate_emergency_stops", "Emergency stops that are latched.", lambda: len(edge.driver.stops)
    )
    edge.metrics.watch(
        "turngate_emergency_latches_missed",
        "How often the file of a stop was gone that nobody had lifted.",
        lambda: edge.driver.latches_missed,
    )
    edge.metrics.watch_each(
        "turngate_alarm",
        "1 while it needs a person.",
        "alarm",
        {name: partial(edge.driver.alarm_holds, name) for name in TABLE},
    )
    if isinstance(edge.directory, LdapDirectory):
        servers = edge.directory
        edge.metrics.watch_each(
            "turngate_directory_server_answers",
            "1 while this server of the directory answers.",
            "server",
            {server: partial(_answers, servers, server) for server in servers.servers()},
        )
    edge.metrics.registry.register(RelayCollector(edge.media.relay.counters))


@asynccontextmanager
async def _listeners(edge: Edge, tls: ssl.SSLContext) -> AsyncIterator[None]:
    """The three listeners. They stop taking connections before anything behind them goes."""
    pages = Pages()
    apps = (
        (inside_app(edge, pages), edge.settings.inside),
        (outside_app(edge, pages), edge.settings.outside),
        (admin_app(edge, pages), edge.settings.admin),
    )
    runners: list[web.AppRunner] = []
    ports: list[TlsPort] = []
    try:
        for app, listener in apps:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, keepalive_timeout=30.0)
            runners.append(runner)
            await runner.setup()
            if listener is edge.settings.admin or runner.server is None:
                await web.TCPSite(runner, listener.address, listener.port, ssl_context=tls).start()
            else:
                port = TlsPort(runner.server, edge.media.stream)
                ports.append(port)
                await port.listen(listener.address, listener.port, tls)
        yield
    finally:
        for port in ports:
            port.close()
        for runner in runners:
            await runner.cleanup()

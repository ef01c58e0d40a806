"""Examination: everything that is looked at, in the order in which it is told."""

from __future__ import annotations

import ssl
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.engine import make_url

from auth.case_ignore import case_ignore_key
from auth.directory import EntryState
from auth.ldif_people import read_people
from auth.ldif_records import LdifError
from broker.audit.places import database_url, heads_file, signing_key_file
from broker.shell.contents import unusable_contents
from broker.shell.doctor import clock, configuration, disk, record, relay
from broker.shell.doctor.certificate import CertificateError
from broker.shell.doctor.clock_facts import read_kernel_clock
from broker.shell.doctor.configuration import LdifFacts, SecretFile
from broker.shell.doctor.directory import Wanted, examine_servers
from broker.shell.doctor.directory_groups import judge_policy_groups, judge_roles
from broker.shell.doctor.directory_people import LoginFacts, judge_login
from broker.shell.doctor.disk_facts import look_at_folder
from broker.shell.doctor.finding import Finding, ill
from broker.shell.doctor.listeners_certificate import CHECK, judge_chain, origins_of, read_chain
from broker.shell.doctor.ports import PortState, judge_port
from broker.shell.doctor.ports_facts import look_at_ports
from broker.shell.doctor.record_facts import load_key, look_at_record
from broker.shell.doctor.relay_facts import look_at_paths, try_relay
from broker.shell.latches import EMERGENCY_DIRECTORY, Latches
from config.policy.loading import LoadedPolicy, PolicyErrors, load_policy
from config.readiness import missing_for_service
from config.schema import declarations
from config.settings import Settings
from relay.planes.choice import PlaneUnavailableError


@dataclass(frozen=True, slots=True)
class Examined:
    """What is examined besides what the settings name."""

    settings: Settings
    edge_runs: bool | None
    """Whether an edge runs on the data directory; None where nobody could tell."""
    login: str | None
    """Somebody about whom the directory is asked."""


def examine(wanted: Examined) -> Iterator[Finding]:
    """Every finding, as soon as there is one. Blocks, in all for a time that is bounded."""
    settings = wanted.settings
    yield from _settings(settings)
    policy = _policy(settings)
    if policy is not None:
        yield configuration.judge_policy(policy.policy.revision, len(policy.policy.rules))
    yield from configuration.judge_secret_files(list(_secret_files(settings)))
    about = Wanted(roles_of(settings), sorted(_groups_of(policy)), _zone_attributes_of(policy), wanted.login)
    ask = _ldif if settings.directory.kind == "ldif" else examine_servers
    yield from ask(settings, about)
    yield from _certificate(settings)
    yield clock.judge_kernel(read_kernel_clock())
    yield from _disks(settings)
    yield from _record(settings)
    yield from _stops(settings)
    yield from _network(wanted)


def _settings(settings: Settings) -> Iterator[Finding]:
    mistakes = [*missing_for_service(settings), *unusable_contents(settings)]
    yield from configuration.judge_settings(mistakes)


def _policy(settings: Settings) -> LoadedPolicy | None:
    """None for one whose mistakes are told with the settings."""
    try:
        file = settings.policy.file
        return load_policy(file.read_bytes(), file.name) if file is not None else None
    except (OSError, PolicyErrors):
        return None


def _groups_of(policy: LoadedPolicy | None) -> set[str]:
    """Those that rules name on either side."""
    rules = policy.policy.rules if policy is not None else ()
    across = (rule.with_.groups if rule.with_ is not None else None for rule in rules)
    return {group for groups in (*(rule.who.groups for rule in rules), *across) for group in groups or ()}


def _zone_attributes_of(policy: LoadedPolicy | None) -> frozenset[str]:
    zones = policy.policy.zones if policy is not None else ()
    return frozenset(zone.attribute.partition("=")[0] for zone in zones if zone.attribute is not None)


def _secret_files(settings: Settings) -> Iterator[SecretFile]:
    """Those that are there."""
    declared = {declaration.path: declaration for declaration in declarations(Settings)}
    holding = {(*path[:-1], f"{path[-1]}_file") for path, one in declared.items() if one.is_secret}
    for path in declared:
        is_key = path[-1].endswith("key_file")
        if path in holding or is_key or path == ("directory", "ldif_file"):
            file: object = settings
            for name in path:
                file = getattr(file, name)
            if isinstance(file, Path) and file.is_file():
                yield SecretFile(".".join(path), str(file), file.stat().st_mode)


def _ldif(settings: Settings, about: Wanted) -> Iterator[Finding]:
    file = settings.directory.ldif_file
    if file is None:
        return  # told with the settings
    try:
        content = read_people(file.read_bytes())
    except (LdifError, OSError) as unusable:
        yield configuration.judge_ldif(LdifFacts(str(unusable)))
        return
    people = content.by_stable_id.values()
    states = Counter(person.entry.state for person in people)
    without = sum(one.password is None and one.entry.state is EntryState.ACTIVE for one in people)
    yield configuration.judge_ldif(LdifFacts("", states, without))
    counts = Counter(case_ignore_key(group) for person in people for group in person.entry.groups)
    named = {
        group: counts.get(case_ignore_key(group)) for group in (*about.roles.values(), *about.policy_groups)
    }
    yield from judge_roles("roles", about.roles, named)
    yield judge_policy_groups("groups of the policy", {group: named[group] for group in about.policy_groups})
    if about.login is not None:
        person = content.by_login.get(case_ignore_key(about.login))
        found = LoginFacts(0, None) if person is None else LoginFacts(1, person.entry)
        yield judge_login(f"login {about.login}", found, about.zone_attributes)


def roles_of(settings: Settings) -> dict[str, str]:
    """The groups of the roles at the admin listener, by the setting that names them."""
    names = ("operator_group", "policy_administrator_group", "auditor_group")
    named = {f"admin.{name}": getattr(settings.admin, name) for name in names}
    return {setting: group for setting, group in named.items() if group is not None}


def _certificate(settings: Settings) -> Iterator[Finding]:
    file, key = settings.tls.certificate_file, settings.tls.private_key_file
    if file is None or key is None or not file.is_file() or not key.is_file():
        return  # told with the settings
    try:
        chain = read_chain(file, key)
    except (CertificateError, OSError, ssl.SSLError) as unusable:
        yield ill(CHECK, f"It cannot be used: {unusable}.", "Put a certificate and its key in their place.")
        return
    yield from judge_chain(chain, origins_of(settings), time.time(), settings.alarms.certificate_days)


def _disks(settings: Settings) -> Iterator[Finding]:
    data = settings.data_directory
    database = Path(make_url(database_url(settings)).database or "")
    seen: set[int] = set()
    for folder in dict.fromkeys((data, database.parent, heads_file(settings).parent)):
        try:
            facts = look_at_folder(folder)
            device = folder.stat().st_dev if facts.kind == "directory" else -1
        except OSError as unseen:
            yield ill(f"disk of {folder}", f"It cannot be looked at: {unseen.strerror}.", "Run this as root.")
            continue
        if folder == data:
            yield from disk.judge_data_directory(facts)
        if device not in seen:
            yield from disk.judge_disk(facts)
        seen.add(device)


def _record(settings: Settings) -> Iterator[Finding]:
    try:
        key, key_facts = load_key(signing_key_file(settings))
        ledger, heads = look_at_record(database_url(settings), heads_file(settings), key, key_facts)
    except OSError as unseen:
        yield ill("record", f"It cannot be looked at: {unseen.strerror}.", "Run this as root.")
        return
    yield record.judge_key(key_facts)
    if key is not None or key_facts.is_missing:
        yield record.judge_ledger(ledger)
    yield from record.judge_heads(heads, ledger, key_facts)


def _stops(settings: Settings) -> Iterator[Finding]:
    try:
        scopes = Latches(settings.data_directory / EMERGENCY_DIRECTORY).found()
    except OSError as unseen:
        yield ill("emergency stop", f"It cannot be looked at: {unseen.strerror}.", "Run this as root.")
        return
    yield configuration.judge_stops(sorted(map(str, scopes)))


def _network(wanted: Examined) -> Iterator[Finding]:
    """Ports, ways to the relay, and packets through one."""
    settings, runs = wanted.settings, wanted.edge_runs
    ports = look_at_ports(settings, _leaf(settings))
    for port in ports:
        yield judge_port(port, runs)
    if runs is not False:
        for path in look_at_paths(settings):
            yield relay.judge_path(path)
    as_configured = runs is False and all(port.state is PortState.FREE for port in ports)
    try:
        trials = try_relay(settings, as_configured=as_configured)
    except (OSError, PlaneUnavailableError) as failed:
        yield ill(
            "relay both ways", f"A relay cannot be started: {failed}.", "See what is said of its ports."
        )
        return
    for trial in trials:
        yield relay.judge_trial(trial)


def _leaf(settings: Settings) -> bytes | None:
    try:
        file = settings.tls.certificate_file
        if file is None:
            return None
        return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)
    except (OSError, ValueError, x509.InvalidVersion):
        return None

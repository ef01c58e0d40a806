"""Alarms: the one place that says what needs a person. Each is a condition of the house, looked at again and
again; its beginning and its end go on record, and to whoever listens.

Nothing else in the house raises or clears an alarm: an event changes a fact, and the next look sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from broker.core.clock import Now
from broker.core.commands import Command, Narrowing, SoundAlarm
from broker.core.events import CertificateSeen
from broker.core.house import Alarm, House
from broker.core.recording import draft
from broker.policy.administration import Role

CLOCK_TOLERANCE_SECONDS = 5.0
"""What the clock on the wall may go astray from the steady one between two looks."""
CLOCK_STEADY_SECONDS = 600
"""How long it has to be steady before nobody needs to look."""
BREAK_GLASS_SECONDS = 3600
"""How long a sign-in with the break-glass account is an alarm at least; longer while it lasts."""


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm there can be, in words for whoever is called."""

    name: str
    sentence: str
    what_to_do: str


RECORD_UNAVAILABLE = AlarmRow(
    "record_unavailable",
    "The record cannot be written; nothing new opens.",
    "Make room on the disk or bring the database back; nothing has to be restarted.",
)
EMERGENCY_STOP = AlarmRow(
    "emergency_stop",
    "Communication is stopped.",
    "See at the console what and why; two administrators lift it.",
)
LATCH_MISSING = AlarmRow(
    "latch_missing",
    "Somebody removed the file of an emergency stop; the stop goes on.",
    "Find out who: a stop is lifted by two administrators and in no other way.",
)
POLICY_REFUSED = AlarmRow(
    "policy_refused",
    "The policy file cannot be used; the old policy goes on.",
    "Check it with turngate policy check, mend it, or roll back.",
)
CLOCK_JUMPED = AlarmRow(
    "clock_jumped",
    "The clock of this machine jumped.",
    "Look at its time service: expiries, hours and the record's times follow that clock.",
)
CERTIFICATE_EXPIRING = AlarmRow(
    "certificate_expiring",
    "The certificate that the listeners show is about to expire, or has.",
    "Put a new one in its place and send the service SIGHUP.",
)
LIMITS_HIT = AlarmRow(
    "limits_hit",
    "Calls send more than they may; the relay drops what is too much.",
    "Somebody's program ignores its limit, or a rule's rate is too low for what it allows.",
)
FLOOD = AlarmRow(
    "flood",
    "Strangers are turned away in great numbers.",
    "The record counts them by source prefix: block those in front of the edge.",
)
BREAK_GLASS_USED = AlarmRow(
    "break_glass_used",
    "Somebody signed in with the break-glass account.",
    "Find out who and why: the record says when and what they did; then give it another password.",
)

DIRECTORY_SILENT = AlarmRow(
    "directory_silent",
    "The directory does not answer; nobody new signs in, and what is open ends after the grace.",
    "Look at its servers and the way there; turngate doctor says what fails.",
)
PEOPLE_VANISHED = AlarmRow(
    "people_vanished",
    "Many people vanished from the directory at once; it is not believed, and they go on.",
    "See whether they were moved or a filter changed. Whoever must go at once: disable the account.",
)

TABLE: dict[str, AlarmRow] = {row.name: row for row in list(globals().values()) if isinstance(row, AlarmRow)}
"""Every row by its name."""


def conditions(house: House, now: Now) -> Iterator[tuple[AlarmRow, str]]:
    """The alarms that hold now, each with a detail that names nobody."""
    if house.outage_since is not None:
        yield RECORD_UNAVAILABLE, ""
    if house.gate.stops:
        yield EMERGENCY_STOP, f"{len(house.gate.stops)} latched"
    if house.latches_missing & house.gate.stops.keys():
        yield LATCH_MISSING, ""
    if house.policy_alarm is not None:
        yield POLICY_REFUSED, _count(len(house.policy_alarm.errors), "mistake")
    jumped = house.clock_jump
    if jumped is not None and now.monotonic_seconds - jumped.at_monotonic_seconds < CLOCK_STEADY_SECONDS:
        yield CLOCK_JUMPED, f"by {jumped.seconds:+d} s"
    ends = house.certificate_ends_at
    if ends is not None and ends - now.wall_seconds < house.rules.certificate_warning_seconds:
        yield CERTIFICATE_EXPIRING, _remaining(ends - now.wall_seconds)
    if house.limited_calls:
        yield LIMITS_HIT, _count(len(house.limited_calls), "call")
    if house.directory_silent is not None:
        yield DIRECTORY_SILENT, ""
    if house.vanished:
        yield PEOPLE_VANISHED, _count(house.vanished, "person", "people")
    if house.floods:
        yield FLOOD, ", ".join(sorted(house.floods))
    here = any(signed_in.role is Role.BREAK_GLASS for signed_in in house.admin_sign_ins.values())
    used = house.break_glass_used_at
    if here or (used is not None and now.monotonic_seconds - used < BREAK_GLASS_SECONDS):
        yield BREAK_GLASS_USED, "still signed in" if here else "signed out"


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _remaining(seconds: int) -> str:
    return f"in {_count(seconds // 86400, 'day')}" if seconds > 0 else "it has expired"


def look(house: House, now: Now) -> list[Command]:
    """What began and what ended since the last look."""
    found = {row.name: detail for row, detail in conditions(house, now)}
    began = {name: Alarm(name, now.wall_ms, now.monotonic_seconds, detail) for name, detail in found.items()}
    ended = [alarm for name, alarm in house.alarms.items() if name not in found]
    new = [alarm for name, alarm in began.items() if name not in house.alarms]
    for name, detail in found.items():
        if name in house.alarms:
            began[name] = house.alarms[name].with_detail(detail)
    house.alarms = began
    return [*(_raised(alarm) for alarm in new), *(_cleared(alarm, now) for alarm in ended)]


def _raised(alarm: Alarm) -> Narrowing:
    record = draft("alarm.raised", alarm=alarm.name, detail=alarm.detail)
    return Narrowing((), (SoundAlarm(alarm.name, "raised", TABLE[alarm.name].sentence),), (record,))


def _cleared(alarm: Alarm, now: Now) -> Narrowing:
    seconds = int(now.monotonic_seconds - alarm.since_monotonic_seconds)
    record = draft("alarm.cleared", alarm=alarm.name, seconds=seconds)
    return Narrowing((), (SoundAlarm(alarm.name, "cleared", TABLE[alarm.name].sentence),), (record,))


def certificate_seen(house: House, event: CertificateSeen, now: Now) -> list[Command]:
    """What the listeners show is good until then."""
    house.certificate_ends_at = event.ends_at_unix_seconds
    return []


def alarms_overview(house: House) -> list[Mapping[str, str | int]]:
    """What holds, the newest first, with words for it."""
    newest = sorted(house.alarms.values(), key=lambda alarm: -alarm.since_monotonic_seconds)
    return [
        {
            "alarm": alarm.name,
            "since_ms": alarm.since_ms,
            "sentence": TABLE[alarm.name].sentence,
            "what_to_do": TABLE[alarm.name].what_to_do,
            "detail": alarm.detail,
        }
        for alarm in newest
    ]

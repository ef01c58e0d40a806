"""A naive reading of a policy: its words taken one by one, written without looking at how the gate does it.

Knows the zones and peers that `test_decide` uses.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from ipaddress import ip_address, ip_network
from zoneinfo import ZoneInfo

from auth.principal import Guest, Insider, Principal
from broker.policy.question import Question, Subject
from config.policy.action import ADMINISTRATION, Action
from config.policy.rule import Rule
from config.policy.when import DAYS, When

DAY_ONE = date(2026, 1, 1)
DAY_ONE_UNIX_SECONDS = 1_767_225_600


def naive(some: list[Rule], question: Question) -> bool:
    """The policy's words taken one by one, written without looking at how the gate does it."""
    needed = naive_needs(question)
    other = question.counterpart.principal if question.counterpart is not None else None
    inside_only = isinstance(question.actor.principal, Insider) and isinstance(other, Insider)
    inside_only = inside_only or question.action in ADMINISTRATION | {Action.EDGE_SIGNIN}
    for action, me, they, way in needed:
        zone = naive_zone(me)
        if zone == "contradiction" or (zone == "high" and not inside_only):
            return False
        applying = [
            rule for rule in some if applies(rule, action, me, they, way, zone, question.at_unix_seconds)
        ]
        if not applying or any(rule.effect == "deny" for rule in applying):
            return False
    return bool(needed)


def naive_needs(question: Question) -> list[tuple[Action, Subject, Principal | None, str]]:
    """Whose permission is needed, for what and which way; nobody's when the question makes no sense."""
    action, me, you = question.action, question.actor, question.counterpart
    if action in ADMINISTRATION | {Action.EDGE_SIGNIN, Action.GUEST_INVITE} and (
        you is None or action is not Action.GUEST_INVITE
    ):
        alone = isinstance(me.principal, Insider) and you is None
        return [(action, me, None, "out")] if alone else []
    if you is None:
        return []
    kinds = (type(me.principal), type(you.principal))
    friends = all(
        host.party == visitor.invited_by
        for visitor, host in ((me.principal, you.principal), (you.principal, me.principal))
        if isinstance(visitor, Guest) and isinstance(host, Insider)
    )
    talking = [(Insider, Insider), (Insider, Guest), (Guest, Insider)]
    special: dict[Action, tuple[type, type]] = {
        Action.EDGE_JOIN: (Guest, Insider),
        Action.GUEST_ADMIT: (Insider, Guest),
    }
    lawful: list[tuple[type, type]] = [special[action]] if action in special else talking
    if kinds not in lawful or not friends:
        return []
    both: list[tuple[Action, Subject, Principal | None, str]]
    both = [(action, me, you.principal, "out"), (action, you, me.principal, "in")]
    needed = [need for need in both if isinstance(need[1].principal, Insider)]
    return needed + [(Action.GUEST_INVITE, you, me.principal, "out")] * (action is Action.EDGE_JOIN)


def naive_zone(subject: Subject) -> str:
    assert isinstance(subject.principal, Insider)
    marked = any(
        name.lower() == "ou" and value.lower() == "m" for name, value in subject.principal.attributes
    )
    if subject.source_address is None:
        return "marked" if marked else "unknown"
    if subject.source_address == "nonsense":
        return "contradiction"
    address = ip_address(subject.source_address.removeprefix("::ffff:"))
    networks = {"10.1.0.0/16": "plain", "10.2.0.0/16": "marked", "fd00::/16": "marked", "10.3.0.0/16": "high"}
    found = [name for network, name in networks.items() if address in ip_network(network)]
    zone = found[0] if found else "none"
    return zone if (zone == "marked") == marked else "contradiction"


def applies(
    rule: Rule, action: Action, me: Subject, they: Principal | None, way: str, zone: str, at_unix_seconds: int
) -> bool:
    def in_one_of(person: Principal | None, names: tuple[str, ...]) -> bool:
        return isinstance(person, Insider) and any(
            mine.lower() == name.lower() for mine in person.groups for name in names
        )

    if action not in rule.actions:
        return False
    if not rule.who.any and not in_one_of(me.principal, rule.who.groups or ()):
        return False
    unknown_counts = zone == "unknown" and rule.effect == "deny"
    if rule.who.zone is not None and rule.who.zone != zone and not unknown_counts:
        return False
    if rule.with_ is not None:
        if rule.with_.kind == "guest" and isinstance(they, Insider):
            return False
        if rule.with_.kind == "insider" and not isinstance(they, Insider):
            return False
        if rule.with_.groups is not None and not in_one_of(they, rule.with_.groups):
            return False
        nameless = rule.effect == "deny" and not (isinstance(they, Guest) and they.email)
        nameless = nameless and rule.with_.peers != ()
        if rule.with_.peers is not None and naive_peer(they) not in rule.with_.peers and not nameless:
            return False
    if rule.direction is not None and rule.direction.value not in (way, "both"):
        return False
    if rule.when is not None and not naive_hours(rule.when, at_unix_seconds):
        return False
    day = DAY_ONE + timedelta(days=(at_unix_seconds - DAY_ONE_UNIX_SECONDS) // 86_400)
    return rule.expires is None or day <= rule.expires


def naive_peer(they: Principal | None) -> str:
    address = they.email.reveal().lower() if isinstance(they, Guest) and they.email else ""
    if address.endswith(("@a.example", ".a.example")):
        return "friend"
    return "other" if address.endswith("@b.example") else "no peer"


def naive_hours(when: When, at_unix_seconds: int) -> bool:
    """By the clock on the wall there: today's window, or yesterday's that goes over midnight."""
    there = datetime.fromtimestamp(at_unix_seconds, ZoneInfo(when.tz))
    minute, today = there.hour * 60 + there.minute, there.weekday()
    days = DAYS if when.days is None else when.days
    first, last = when.minutes
    of_today = DAYS[today] in days and first <= minute < last
    of_yesterday = DAYS[today - 1] in days and first <= minute + 1440 < last
    return of_today or of_yesterday

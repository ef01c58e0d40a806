"""People: whether the directory shows whoever is meant to sign in, and nobody twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from auth.directory import DirectoryEntry, EntryState
from broker.shell.doctor.finding import Finding, counted, ill, look, well

MAX_SHOWN = 3
NO_SUCH_OBJECT = 32


@dataclass(frozen=True, slots=True)
class Refused:
    """A question that the server answered with a result that is none (RFC 4511 appendix A)."""

    code: int


@dataclass(frozen=True, slots=True)
class PeopleFacts:
    """What is below the base that matches the filter."""

    count: int
    is_all: bool
    """Whether these are all there are; else only the first were read."""
    without_login: int = 0
    without_id: int = 0
    states: Mapping[EntryState, int] = field(default_factory=Counter)
    """Of those who can be used."""
    logins_taken_twice: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class DisabledFacts:
    """Of some whom the server itself calls disabled, how many are so by our own reading."""

    asked: int
    agreed: int


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """Whom the directory has by one login."""

    count: int
    entry: DirectoryEntry | None


def refused(check: str, answer: Refused, base: str, base_setting: str) -> Finding:
    """A search that was refused."""
    if answer.code == NO_SUCH_OBJECT:
        return ill(
            check,
            f"The directory has no {base}, or does not show it to the service account.",
            f"Correct {base_setting}, or let the service account read there.",
        )
    words, change = _REFUSALS.get(answer.code, ("", "Check what the service account may read."))
    found = f"The search is answered with result {answer.code}{f', {words}' if words else ''}."
    return ill(check, found, change)


# RFC 4511 appendix A.
_REFUSALS = {
    3: ("out of time", "Let the service account search for longer, or index what ldap.people_filter names."),
    4: ("too many entries", "Let the service account read any number of entries (its size limit)."),
    10: ("they are on another server", "Name the servers that hold these entries in ldap.servers."),
    11: ("too many entries", "Let the service account read any number of entries (its size limit)."),
    34: ("the base is no distinguished name", "Correct ldap.people_base and ldap.groups_base."),
    50: ("the account may not", "Let the service account read there."),
    87: ("the filter is wrong", "Correct ldap.people_filter."),
}


def judge_people(server: str, people: PeopleFacts | Refused, base: str, login: str) -> Iterator[Finding]:
    """`base` is where they were looked for, `login` the attribute they sign in by."""
    check = f"{server}: people"
    if isinstance(people, Refused):
        yield refused(check, people, base, "ldap.people_base")
        return
    if people.count == 0:
        yield ill(
            check,
            f"There is nobody below {base}: nobody can sign in.",
            "Correct ldap.people_base or ldap.people_filter, or let the service account read there.",
        )
        return
    usable = sum(people.states.values())
    told = ", ".join(f"{count} {state.value}" for state, count in sorted(people.states.items()))
    found = f"{'' if people.is_all else 'The first '}{counted(people.count, 'person', 'people')}: {told}."
    if people.states.get(EntryState.ACTIVE, 0) == 0 and usable:
        yield ill(
            check,
            f"{found} Nobody is active.",
            "Let the service account read the attributes that say whether an account is enabled "
            "(userAccountControl): what it cannot read counts as disabled.",
        )
    elif usable:
        yield well(check, found)
    yield from _judge_attributes(server, people, login)


def _judge_attributes(server: str, people: PeopleFacts, login: str) -> Iterator[Finding]:
    if people.without_login:
        everybody = people.without_login == people.count
        found = f"{people.without_login} of {people.count} have no usable {login}: they cannot sign in."
        change = "Correct ldap.login_attribute, or leave those out by ldap.people_filter."
        yield (ill if everybody else look)(f"{server}: logins", found, change)
    if people.without_id:
        yield ill(
            f"{server}: ids",
            f"{people.without_id} of {people.count} have no lasting id (entryUUID, objectGUID).",
            "Let the service account read that attribute: nobody is anybody without it.",
        )
    if people.logins_taken_twice:
        shown = ", ".join(people.logins_taken_twice[:MAX_SHOWN])
        count = counted(len(people.logins_taken_twice), "login is", "logins are")
        yield ill(
            f"{server}: logins",
            f"{count} taken twice ({shown}): none of these people can sign in.",
            "Make logins unique, or narrow ldap.people_base or ldap.people_filter.",
        )
    elif not people.without_login:
        scope = "each has one" if people.is_all else "each of the first has one"
        yield well(f"{server}: logins", f"{login}: {scope} of its own.")


def judge_disabled(server: str, disabled: DisabledFacts | Refused, seen: int) -> Finding:
    """`seen` is how many are disabled by our own reading of everybody."""
    check = f"{server}: disabled people"
    if isinstance(disabled, Refused):
        change = "Let the service account read the attributes that say whether an account is enabled."
        return look(check, f"Asking for them is answered with result {disabled.code}.", change)
    if disabled.agreed < disabled.asked:
        return ill(
            check,
            f"{disabled.asked - disabled.agreed} of {disabled.asked} whom the server calls disabled seem "
            "enabled from here.",
            "Let the service account read userAccountControl (Active Directory) or pwdAccountLockedTime "
            "(OpenLDAP): whoever is disabled there could still sign in here.",
        )
    if disabled.asked:
        return well(check, f"{disabled.asked} whom the server calls disabled are so from here.")
    if seen:
        return well(check, f"{seen} are disabled from here.")
    return look(
        check,
        "Nobody is disabled: it could not be tried whether that is noticed.",
        "Disable an account made for that and run this again.",
    )


def judge_login(check: str, found: LoginFacts | Refused, zone_attributes: Collection[str]) -> Finding:
    """What the directory says about somebody: state, groups, and what zones of the policy look at."""
    if isinstance(found, Refused):
        return ill(check, f"The search is answered with result {found.code}.", "The server's log says more.")
    if found.count > 1:
        return ill(check, "Several people have this login: none of them can sign in.", "Make logins unique.")
    if found.entry is None:
        return look(
            check,
            "Nobody has this login, or nobody whom the filter lets through.",
            "Check the spelling, ldap.people_base, ldap.people_filter and ldap.login_attribute.",
        )
    entry = found.entry
    groups = ", ".join(sorted(entry.groups)) or "none"
    named = {name.lower() for name in zone_attributes}
    attributes = [f"{name}={value}" for name, value in entry.attributes if name.lower() in named]
    zones = f"; for zones: {', '.join(attributes) or 'none'}" if named else ""
    told = f"State: {entry.state.value}; groups: {groups}{zones}."
    if entry.state is EntryState.ACTIVE:
        return well(check, told)
    return look(check, told, "Nobody signs in here who is not active: change that in the directory.")

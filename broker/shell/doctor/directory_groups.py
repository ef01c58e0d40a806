"""Groups: whether the directory says who is in them, groups in groups included, and whether those that the
settings name are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from broker.shell.doctor.directory_people import MAX_SHOWN, Refused, refused
from broker.shell.doctor.finding import Finding, counted, ill, look, well

Nesting = Literal["off", "expand", "chain"]


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What is below the base of groups."""

    count: int
    is_all: bool
    names_taken_twice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MembershipFacts:
    """Of some people whom groups list, how many name those groups themselves (`memberOf`)."""

    listed: int
    named: int


@dataclass(frozen=True, slots=True)
class NestedFacts:
    """A group in a group, and somebody in the inner one."""

    inner: str
    outer: str
    resolved: bool
    """Whether they are in the outer one, too, as the settings have groups read."""


def judge_groups(server: str, groups: GroupFacts | Refused, base: str) -> Iterator[Finding]:
    """`base` is where they were looked for."""
    check = f"{server}: groups"
    if isinstance(groups, Refused):
        yield refused(check, groups, base, "ldap.groups_base")
    elif groups.count == 0:
        yield look(
            check,
            f"There is no group below {base}: rules about groups apply to nobody.",
            "Correct ldap.groups_base, or let the service account read there. Groups are groupOfNames "
            "(OpenLDAP) or group (Active Directory).",
        )
    elif groups.names_taken_twice:
        shown = ", ".join(groups.names_taken_twice[:MAX_SHOWN])
        yield ill(
            check,
            f"Several groups have one name ({shown}): whoever is in one of them has what all are given.",
            "Narrow ldap.groups_base, or rename them.",
        )
    else:
        count = counted(groups.count, "group", "groups")
        yield well(check, f"{count}." if groups.is_all else f"The first {count} were looked at.")


def judge_membership(server: str, membership: MembershipFacts | Refused) -> Finding:
    check = f"{server}: memberOf"
    if isinstance(membership, Refused):
        change = "Let the service account read memberOf of people."
        return ill(check, f"Asking for it is answered with result {membership.code}.", change)
    if membership.listed == 0:
        return look(
            check,
            "No group that was looked at lists anybody below ldap.people_base: it could not be tried.",
            "Put people into groups, or correct ldap.people_base or ldap.groups_base.",
        )
    if membership.named < membership.listed:
        lost = membership.listed - membership.named
        return ill(
            check,
            f"{lost} of {membership.listed} memberships that groups list are not in memberOf of the people: "
            "they count for nothing.",
            "Load the overlay memberof into OpenLDAP, and write groups that are older than it again; or let "
            "the service account read memberOf.",
        )
    return well(check, f"{membership.listed} memberships that groups list are in memberOf of the people.")


def judge_nested(
    server: str, nested: NestedFacts | Refused | None, mode: Nesting, *, follows_chains: bool | None
) -> Finding:
    """`follows_chains` is whether the server does, where that was asked."""
    check = f"{server}: groups in groups"
    if follows_chains is False:
        return ill(
            check,
            "The server does not follow groups in a chain, and nobody can sign in.",
            "Set ldap.nested_groups = `expand`.",
        )
    if isinstance(nested, Refused):
        return ill(check, f"Asking for them is answered with result {nested.code}.", "See the server's log.")
    if nested is None:
        return look(
            check,
            "No person in a group within a group was found: it could not be tried.",
            "Nothing, where groups are not nested.",
        )
    pair = f"{nested.inner} is in {nested.outer}"
    if mode == "off":
        return look(
            check,
            f"{pair}, and ldap.nested_groups = `off` does not follow that.",
            "Set ldap.nested_groups = `expand`, if people of the inner groups are meant to be in the outer.",
        )
    if not nested.resolved:
        return ill(
            check,
            f"{pair}, and people of the first are not found in the second.",
            "Let groups have memberOf as people do (the overlay memberof), and the service account read it.",
        )
    return well(check, f"{pair}, and people of the first are found in the second.")


def judge_policy_groups(check: str, members: Mapping[str, int | None]) -> Finding:
    """Of the groups that rules of the policy name, as `judge_roles` has it."""
    missing = sorted(group for group, count in members.items() if count is None)
    if missing:
        shown = ", ".join(missing[:MAX_SHOWN])
        return look(
            check,
            f"The directory lacks {counted(len(missing), 'group', 'groups')} of the policy ({shown}): "
            "rules about them apply to nobody, those that deny included.",
            "Correct the rules, or make the groups below ldap.groups_base.",
        )
    return well(check, f"The directory has every group that rules name ({len(members)}).")


def judge_roles(
    check: str, wanted: Mapping[str, str], members: Mapping[str, int | None]
) -> Iterator[Finding]:
    """`wanted` are groups by the setting that names them, `members` how many each lists; None where the
    directory has no such group."""
    if not wanted:
        yield look(
            check,
            "No group may sign in at the admin listener: there is nobody to lift a stop or to look.",
            "Name groups in [admin].",
        )
    for setting, group in wanted.items():
        count = members.get(group)
        if count is None:
            yield ill(
                check,
                f"The directory has no group {group} that is looked at: nobody has the role of {setting}.",
                f"Make the group below ldap.groups_base, or correct {setting}.",
            )
        elif count == 0:
            yield look(check, f"Nobody is in {group}, which {setting} names.", "Put somebody into it.")
        else:
            yield well(check, f"{group}, which {setting} names, has {counted(count, 'member', 'members')}.")

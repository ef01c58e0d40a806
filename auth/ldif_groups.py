"""groupOfNames entries: who is in which group, nested groups resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auth.case_ignore import case_ignore_key
from auth.distinguished_name import DistinguishedNameKey
from auth.ldif_records import LdifError

MAX_GROUP_NESTING = 16


@dataclass(frozen=True, slots=True)
class LdifGroup:
    line_number: int
    key: DistinguishedNameKey
    name: str
    members: tuple[tuple[int, DistinguishedNameKey], ...]
    """Line number and name of each member: people, groups, or other entries of the file."""


class GroupMembership:
    """Answers which groups an entry is in, itself or through other groups. A group that contains itself,
    directly or in a circle, is no mistake: every member of the circle is in all of its groups."""

    def __init__(self, groups: Iterable[LdifGroup], known: Mapping[DistinguishedNameKey, int]) -> None:
        """`known` are the names of all entries. Raises LdifError for a group's name that is taken and for a
        member that is not in the file: a misspelt member of a group that policy denies would quietly be
        allowed."""
        self._groups_of: dict[DistinguishedNameKey, list[LdifGroup]] = {}
        named: dict[str, int] = {}
        for group in groups:
            name = case_ignore_key(group.name)
            if name in named:
                raise LdifError(group.line_number, f"line {named[name]} has a group of this cn already")
            named[name] = group.line_number
            for line_number, member in group.members:
                if member not in known:
                    raise LdifError(line_number, "this member is no entry of the file")
                self._groups_of.setdefault(member, []).append(group)

    def names(self, key: DistinguishedNameKey) -> frozenset[str]:
        """Names of all groups the entry is in. Raises LdifError where groups are nested too deeply."""
        found: dict[DistinguishedNameKey, LdifGroup] = {}
        level = {group.key: group for group in self._groups_of.get(key, ())}
        for _ in range(MAX_GROUP_NESTING):
            found.update(level)
            outer = (group for inner in level for group in self._groups_of.get(inner, ()))
            level = {group.key: group for group in outer if group.key not in found}
            if not level:
                return frozenset(group.name for group in found.values())
        deepest = next(iter(level.values()))
        raise LdifError(deepest.line_number, f"groups are nested more than {MAX_GROUP_NESTING} deep")

"""Configuration: what `turngate check` says, the policy, files with secrets, people in a file, and whether
everything is stopped."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from auth.directory import EntryState
from broker.shell.doctor.finding import Finding, counted, ill, look, well
from config.errors import ConfigurationError

_TOO_OPEN = stat.S_IWGRP | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that holds what others must not see."""

    setting: str
    path: str
    mode: int


@dataclass(frozen=True, slots=True)
class LdifFacts:
    """People of the file; `problem` says why it cannot be read."""

    problem: str = ""
    states: Mapping[EntryState, int] = field(default_factory=Counter)
    without_password: int = 0
    """Of those who are active."""


def judge_settings(mistakes: Sequence[ConfigurationError]) -> Iterator[Finding]:
    for mistake in mistakes:
        change = "docs/policy.md" if mistake.source != "settings" else "docs/configuration.md"
        found = f"{mistake.message[:1].upper()}{mistake.message[1:]}."
        place = mistake.path if mistake.source == "settings" else f"{mistake.source}: {mistake.path}"
        yield ill(f"settings: {place}", found, f"Correct it; {change} says what it may be.")
    if not mistakes:
        yield well("settings", "They are complete, and every file they name can be used.")


def judge_policy(revision: int, rules: int) -> Finding:
    check = "policy"
    if rules == 0:
        return look(check, f"Revision {revision} has no rule: nothing is allowed.", "docs/policy.md")
    return well(check, f"Revision {revision}, {counted(rules, 'rule', 'rules')}.")


def judge_secret_files(files: Sequence[SecretFile]) -> Iterator[Finding]:
    for file in files:
        if file.mode & _TOO_OPEN:
            yield ill(
                f"secrets: {file.path}",
                f"Others than its owner may use it (mode {file.mode & 0o7777:04o}); {file.setting} names it.",
                f"chmod 600 {file.path}",
            )
    if not any(file.mode & _TOO_OPEN for file in files):
        yield well("secrets", f"{counted(len(files), 'file', 'files')}, and nobody else may use them.")


def judge_ldif(ldif: LdifFacts) -> Finding:
    check = "directory"
    if ldif.problem:
        return ill(
            check, f"The file cannot be used: {ldif.problem}.", "docs/directory.md says how it is written."
        )
    active = ldif.states.get(EntryState.ACTIVE, 0)
    can = active - ldif.without_password
    told = ", ".join(f"{count} {state.value}" for state, count in sorted(ldif.states.items())) or "nobody"
    found = f"{told}; {can} can sign in."
    if can == 0:
        return ill(
            check, found, "Give people a password: `turngate user hash` prints what userPassword needs."
        )
    return well(check, found)


def judge_stops(scopes: Sequence[str]) -> Finding:
    check = "emergency stop"
    if not scopes:
        return well(check, "Nothing is stopped.")
    return look(
        check,
        f"Communication is stopped: {', '.join(scopes)}.",
        "`turngate emergency status` says since when and by whom; two people lift it.",
    )

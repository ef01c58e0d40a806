"""Lock-out: whether guessing at the sign-in page is stopped here before the directory locks the account."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auth.ldap_lockout import LockoutPolicy
from broker.shell.doctor.finding import Finding, counted, ill, look, well
from config.sign_in import SignInSettings


def judge_lockout(
    server: str, policies: Sequence[LockoutPolicy] | None, sign_in: SignInSettings, told: int | None
) -> Finding:
    """`policies` are those the server shows, None where it answers with an error; `told` is
    ldap.lockout_threshold."""
    check = f"{server}: lock-out"
    if not policies:
        if told is not None:
            found = f"The server does not show its policy; ldap.lockout_threshold says {told}, which is kept."
            return well(check, found)
        return look(
            check,
            "The server does not show after how many wrong passwords it locks an account.",
            "Ask those who run it, and set ldap.lockout_threshold to that.",
        )
    locking = [policy for policy in policies if policy.threshold]
    if not locking:
        return well(check, "It locks nobody for wrong passwords; those are counted here.")
    findings = [_judge(check, policy, sign_in) for policy in locking]
    order = {verdict: number for number, verdict in enumerate(("ill", "look", "well"))}
    return min(findings, key=lambda finding: order[finding.verdict.value])


def _judge(check: str, policy: LockoutPolicy, sign_in: SignInSettings) -> Finding:
    here, window = sign_in.max_failures_per_login, sign_in.failure_window_seconds
    there = f"It locks an account after {counted(policy.threshold, 'wrong password', 'wrong passwords')}"
    if here >= policy.threshold:
        return ill(
            check,
            f"{there}, and {here} are let through here: whoever guesses locks people out of everything.",
            f"Set sign_in.max_failures_per_login below {policy.threshold}.",
        )
    if not policy.window_seconds:
        return look(
            check,
            f"{there}, however long ago they were: slow guessing here locks accounts there in the end.",
            f"Let the directory forget wrong passwords after {window} s (pwdFailureCountInterval).",
        )
    let_through = here * math.ceil(policy.window_seconds / window)
    if let_through >= policy.threshold:
        seconds = f"{policy.window_seconds:.0f}"
        return ill(
            check,
            f"{there} within {seconds} s, in which {let_through} are let through here.",
            f"Set sign_in.failure_window_seconds to {seconds} or more.",
        )
    return well(check, f"{there}; at most {let_through} are let through here in that time.")

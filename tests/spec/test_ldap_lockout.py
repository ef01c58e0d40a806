"""How many wrong passwords a directory bears: what its entries say of it."""

from __future__ import annotations

import pytest

from auth.ldap_link import LdapRecord
from auth.ldap_lockout import LockoutPolicy, lockout_of


def said(**attributes: bytes) -> LockoutPolicy | None:
    values = {name.lower().replace("_", "-"): [value] for name, value in attributes.items()}
    return lockout_of(LdapRecord("cn=policy", values))


def test_the_head_of_a_domain_counts_in_ticks_of_100_ns_below_zero() -> None:
    assert said(lockoutThreshold=b"10", lockOutObservationWindow=b"-18000000000") == LockoutPolicy(10, 1800.0)


def test_a_domain_that_locks_nobody_says_0() -> None:
    assert said(lockoutThreshold=b"0", lockOutObservationWindow=b"-18000000000") == LockoutPolicy(0, 1800.0)


def test_a_fine_grained_policy_has_names_of_its_own() -> None:
    policy = said(msDS_LockoutThreshold=b"3", msDS_LockoutObservationWindow=b"-600000000")
    assert policy == LockoutPolicy(3, 60.0)


def test_a_policy_of_openldap_counts_in_seconds() -> None:
    policy = said(pwdLockout=b"TRUE", pwdMaxFailure=b"5", pwdFailureCountInterval=b"900")
    assert policy == LockoutPolicy(5, 900.0)


def test_without_an_interval_openldap_counts_for_ever() -> None:
    assert said(pwdLockout=b"TRUE", pwdMaxFailure=b"5") == LockoutPolicy(5, 0.0)


@pytest.mark.parametrize("locks", [{}, {"pwdLockout": b"FALSE"}])
def test_openldap_locks_only_where_it_is_told_to(locks: dict[str, bytes]) -> None:
    assert said(pwdMaxFailure=b"5", **locks) == LockoutPolicy(0, 0.0)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"lockoutThreshold": b"many"},
        {"pwdMaxFailure": b"5", "pwdLockout": b"TRUE", "pwdFailureCountInterval": b"soon"},
    ],
)
def test_an_entry_that_says_nothing_that_is_understood_is_no_policy(attributes: dict[str, bytes]) -> None:
    assert said(**attributes) is None

"""How many wrong passwords the directory itself bears before it locks an account, as an LDAP server shows it:
domain heads and fine-grained policies of Active Directory, policies of OpenLDAP (slapo-ppolicy)."""

from __future__ import annotations

from dataclasses import dataclass

from auth.ldap_filter import all_of, any_of, equals
from auth.ldap_link import LdapLink, LdapRecord

MAX_POLICIES = 100
_TICKS_PER_SECOND = 10_000_000
_OPENLDAP = ("pwdLockout", "pwdMaxFailure", "pwdFailureCountInterval")
_ACTIVE_DIRECTORY = (
    ("lockoutThreshold", "lockOutObservationWindow"),
    ("msDS-LockoutThreshold", "msDS-LockoutObservationWindow"),
)
_POLICY = "(objectClass=pwdPolicy)"
_FINE_GRAINED = "(objectCategory=msDS-PasswordSettings)"


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """One of the policies there are; which of them is whose is not looked at."""

    threshold: int
    """Wrong passwords that lock an account; 0 for one that never locks."""
    window_seconds: float
    """How long a wrong password counts; 0 for until the right one is given."""


def read_lockout(link: LdapLink) -> list[LockoutPolicy]:
    """Those that the service account may read. Raises what the link raises."""
    root = link.root()
    heads = root.all("defaultNamingContext") or root.all("namingContexts")
    found: list[LockoutPolicy] = []
    for head in heads:
        base = head.decode("utf-8", "replace")
        # Servers leave out of a filter what they do not know.
        this_head = all_of("(objectClass=domain)", equals("distinguishedName", base))
        wanted = any_of((_POLICY, _FINE_GRAINED, this_head))
        attributes = (*_OPENLDAP, *(name for names in _ACTIVE_DIRECTORY for name in names))
        records = link.search(base, wanted, attributes, limit=MAX_POLICIES)
        found += [policy for record in records if (policy := lockout_of(record)) is not None]
    return found


def lockout_of(record: LdapRecord) -> LockoutPolicy | None:
    """What an entry says of locking; None for one that says nothing, or nothing that is understood."""
    locks, failures, interval = map(record.first, _OPENLDAP)
    try:
        if locks is not None or failures is not None:
            threshold = int(failures or 0) if locks == b"TRUE" else 0
            return LockoutPolicy(max(0, threshold), max(0.0, float(interval or 0)))
        for names in _ACTIVE_DIRECTORY:
            failures, ticks = map(record.first, names)
            if failures is not None:
                window_seconds = -int(ticks or 0) / _TICKS_PER_SECOND
                return LockoutPolicy(max(0, int(failures)), max(0.0, window_seconds))
    except (ValueError, OverflowError):
        pass
    return None

"""What a service needs beyond settings that are valid: the files they name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from config.errors import ConfigurationError
from config.policy.loading import PolicyErrors, load_policy
from config.schema import declarations
from config.settings import Settings

_REQUIRED_FIRST = (
    (("tls", "certificate_file"), "is needed: only the demo makes a certificate of its own"),
    (("tls", "private_key_file"), "is needed: only the demo makes a certificate of its own"),
)
_REQUIRED_BY_KIND = {
    "ldif": ((("directory", "ldif_file"), "is needed: it says who may sign in"),),
    "ldap": (
        (("ldap", "servers"), "is needed: nobody can sign in without a server to ask"),
        (("ldap", "bind_dn"), "is needed: people are looked for in its name"),
        (("ldap", "bind_password"), "is needed; `ldap.bind_password_file` names a file with it"),
        (("ldap", "people_base"), "is needed: it says where people are"),
        (("ldap", "groups_base"), "is needed: it says where groups are"),
    ),
}
_REQUIRED_LAST = ((("policy", "file"), "is needed: without a policy nothing is allowed"),)
_MADE_WHEN_MISSING = {("audit", "signing_key_file"), ("audit", "heads_file")}


def missing_for_service(settings: Settings) -> Iterator[ConfigurationError]:
    """Every reason why `turngate serve` would refuse these settings. Reads the files they name."""
    kind = "ldif" if settings.directory.kind == "ldif" else "ldap"
    for path, reason in (*_REQUIRED_FIRST, *_REQUIRED_BY_KIND[kind], *_REQUIRED_LAST):
        if _value(settings, path) in (None, ()):
            yield ConfigurationError("settings", ".".join(path), reason)
    threshold = settings.ldap.lockout_threshold
    if kind == "ldap" and threshold is not None and settings.sign_in.max_failures_per_login >= threshold:
        reason = (
            f"must be below ldap.lockout_threshold ({threshold}): else guessing here locks accounts there"
        )
        yield ConfigurationError("settings", "sign_in.max_failures_per_login", reason)
    if settings.invitations.secret is None:
        yield ConfigurationError(
            "settings", "invitations.secret_file", "is needed: it signs invitation links"
        )
    if settings.admin.has_groups and not settings.admin.second_factors:
        yield ConfigurationError(
            "settings",
            "admin.second_factors_file",
            "is needed: nobody of the groups of [admin] can sign in without (`turngate admin enrol LOGIN`)",
        )
    if settings.relay.pairing != "session":
        yield ConfigurationError(
            "settings", "relay.pairing", "must be `session`: `any` is for a relay that runs alone"
        )
    for declaration in declarations(Settings):
        file = _value(settings, declaration.path)
        if kind == "ldap" and declaration.path == ("directory", "ldif_file"):
            continue
        if isinstance(file, Path) and declaration.path != ("data_directory",):
            yield from _unusable(declaration.path, file)
    if settings.policy.file is not None and settings.policy.file.is_file():
        yield from _policy_errors(settings.policy.file)


def _value(settings: Settings, path: tuple[str, ...]) -> object:
    value: object = settings
    for name in path:
        value = getattr(value, name)
    return value


def _unusable(path: tuple[str, ...], file: Path) -> Iterator[ConfigurationError]:
    place = ".".join(path)
    if not file.exists():
        if path not in _MADE_WHEN_MISSING:
            yield ConfigurationError("settings", place, "names a file that does not exist")
        elif not file.parent.is_dir():
            yield ConfigurationError("settings", place, "names a file in a directory that does not exist")
    elif not file.is_file():
        yield ConfigurationError("settings", place, "names something that is not a file")
    elif not os.access(file, os.R_OK):
        yield ConfigurationError("settings", place, "names a file that may not be read")
    elif "key" in path[-1] and file.stat().st_mode & (stat.S_IWGRP | stat.S_IRWXO):
        yield ConfigurationError(
            "settings", place, "names a key that others than its owner may use (chmod 600)"
        )


def _policy_errors(file: Path) -> Iterator[ConfigurationError]:
    try:
        load_policy(file.read_bytes(), file.name)
    except OSError as unreadable:
        yield ConfigurationError("settings", "policy.file", f"cannot be read: {unreadable.strerror}")
    except PolicyErrors as refused:
        for error in refused.errors:
            yield ConfigurationError(refused.source_name, error.path, error.message)

"""Contents: whether the files that the settings name can be used for what they are named for."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from auth.ldap_link import verifying_context
from auth.ldif_people import read_people
from auth.ldif_records import LdifError
from auth.password_hash import PasswordHashError, parse_user_password
from auth.second_factor import SecondFactorError, SecondFactors, parse_account
from broker.shell.tls import server_context
from config.errors import ConfigurationError
from config.settings import Settings


def unusable_contents(settings: Settings) -> Iterator[ConfigurationError]:
    """Every reason why the directory, an account, a second factor or the certificate would not load. Missing
    files are told elsewhere."""
    if settings.directory.kind == "ldif":
        yield from _unusable_people(settings.directory.ldif_file)
    elif settings.ldap.ca_file is not None and settings.ldap.ca_file.is_file():
        try:
            verifying_context(settings.ldap.ca_file)
        except (ssl.SSLError, OSError) as refused:
            yield ConfigurationError("settings", "ldap.ca_file", f"does not load: {_reason(refused)}")
    for number, account in enumerate(settings.emergency.recovery_accounts):
        yield from _unusable_account(f"emergency.recovery_accounts[{number}]", account)
    if settings.admin.break_glass_account is not None:
        yield from _unusable_account("admin.break_glass_account", settings.admin.break_glass_account)
    yield from _unusable_factors(settings.admin.second_factors)
    certificate, key = settings.tls.certificate_file, settings.tls.private_key_file
    if certificate is not None and key is not None and certificate.is_file() and key.is_file():
        try:
            server_context(certificate, key)
        except (ssl.SSLError, OSError) as refused:
            yield ConfigurationError("settings", "tls.certificate_file", f"does not load: {_reason(refused)}")


def _unusable_people(ldif_file: Path | None) -> Iterator[ConfigurationError]:
    if ldif_file is not None and ldif_file.is_file():
        try:
            read_people(ldif_file.read_bytes())
        except (LdifError, OSError) as refused:
            yield ConfigurationError("settings", "directory.ldif_file", str(refused))


def _reason(refused: OSError) -> str | None:
    return refused.reason if isinstance(refused, ssl.SSLError) else refused.strerror


def _unusable_account(place: str, account: SecretStr) -> Iterator[ConfigurationError]:
    try:
        parse_user_password(account.get_secret_value().partition(":")[2])
    except PasswordHashError as refused:
        yield ConfigurationError("settings", place, str(refused))


def _unusable_factors(lines: tuple[SecretStr, ...]) -> Iterator[ConfigurationError]:
    usable = []
    for number, line in enumerate(lines):
        try:
            parse_account(line.get_secret_value())
            usable.append(line)
        except SecondFactorError as refused:
            yield ConfigurationError("settings", f"admin.second_factors[{number}]", str(refused))
    try:
        SecondFactors(usable)
    except SecondFactorError as refused:
        yield ConfigurationError("settings", "admin.second_factors", str(refused))

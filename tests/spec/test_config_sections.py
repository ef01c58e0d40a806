"""What single sections accept, refuse and normalise."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from config.emergency import EmergencySettings
from config.errors import ConfigurationErrors
from config.listeners import AdminSettings
from config.loading import load_settings
from config.settings import Settings


def loaded(*flags: str) -> Settings:
    return load_settings(None, {}, flags)


def refusal(*flags: str) -> str:
    with pytest.raises(ConfigurationErrors) as raised:
        loaded(*flags)
    return str(raised.value)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "::", "::ffff:0.0.0.0", "0:0::0", "[::]", "*", "", "localhost", "224.0.0.1", "ff02::1"],
)
def test_no_listener_takes_a_wildcard_a_group_or_a_name(address: str) -> None:
    for section in ("inside", "outside", "admin"):
        assert refusal(f"{section}.address={address}").startswith(f"--set: {section}.address: ")


def test_addresses_are_held_in_their_canonical_form() -> None:
    assert loaded("inside.address=2001:DB8::0:1").inside.address == "2001:db8::1"
    assert loaded("inside.address=::ffff:192.0.2.1").inside.address == "192.0.2.1"


def test_two_listeners_never_share_address_and_port() -> None:
    assert refusal("admin.port=9443") == "--set: outside: has the same address and port as [admin]"
    # Written differently, still the same address.
    assert "same address and port" in refusal(
        "inside.address=2001:db8::1", "outside.address=2001:DB8:0::1", "outside.port=8443"
    )
    assert loaded("admin.port=9443", "admin.address=127.0.0.2").admin.port == 9443


def test_two_listeners_never_share_an_origin() -> None:
    assert "has the same origin as [outside]" in refusal(
        "inside.origin=https://edge.example.org", "outside.origin=https://EDGE.example.org:443"
    )


@pytest.mark.parametrize(
    "origin",
    [
        "http://edge.example.org",
        "https://",
        "https://edge.example.org/",
        "https://edge.example.org/path",
        "https://u@edge.example.org",
        "https://edge.example.org?q",
        "https://edge.example.org#f",
        "https://edge.example.org:99999",
        "https://edge.example.org:0",
        "https://*.example.org",
        "https://0.0.0.0",
        "https://[::",
        "null",
        "https://exämple.org",
    ],
)
def test_an_origin_is_https_host_and_port_and_nothing_more(origin: str) -> None:
    assert refusal(f"inside.origin={origin}").startswith("--set: inside.origin: ")


def test_origins_are_held_as_browsers_send_them() -> None:
    assert loaded("inside.origin=HTTPS://Edge.Example.org:443").inside.origin == "https://edge.example.org"
    assert loaded("inside.origin=https://[2001:DB8::1]:8443").inside.origin == "https://[2001:db8::1]:8443"


@pytest.mark.parametrize("host", ["", "-a", "a..b", "a b", "1.2.3", "0.0.0.0", "a/b", "x" * 64])
def test_the_relay_is_named_by_a_host_name_or_an_address(host: str) -> None:
    assert refusal(f"outside.relay_host={host}").startswith("--set: outside.relay_host: ")


def test_host_names_are_held_in_lower_case() -> None:
    assert loaded("outside.relay_host=Relay.Example.org").outside.relay_host == "relay.example.org"


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://edge.example:7443", "edge.example"),
        ("https://localhost:7443", "localhost"),
        ("https://127.0.0.1:7443", None),
        ("https://[::1]:7443", None),
    ],
)
def test_security_keys_are_required_only_where_the_console_has_a_host_name(
    origin: str, host: str | None
) -> None:
    assert AdminSettings(origin=origin).host_name == host
    if host is not None:
        assert AdminSettings(origin=origin, security_key_required=True).security_key_required
        return
    with pytest.raises(ValidationError, match="security_key_required"):
        AdminSettings(origin=origin, security_key_required=True)


def test_certificate_and_key_belong_together() -> None:
    line = "--set: tls: certificate_file and private_key_file belong together: set both or none"
    assert refusal("tls.certificate_file=c.pem") == line
    assert refusal("tls.private_key_file=k.pem") == line
    assert loaded("tls.certificate_file=c.pem", "tls.private_key_file=k.pem").tls.private_key_file == Path(
        "k.pem"
    )


def test_an_invitations_defaults_stay_within_the_most_allowed() -> None:
    assert "default_expiry_seconds is above" in refusal("invitations.max_expiry_seconds=600")
    assert "default_redemptions is above" in refusal("invitations.default_redemptions=21")


@pytest.mark.parametrize("url", ["", "sqlite:////srv/record.db", "sqlite:///record.db"])
def test_the_record_is_kept_in_sqlite(url: str) -> None:
    assert loaded(f"audit.database_url={url}").audit.database_url == url


@pytest.mark.parametrize(
    "url", ["postgresql://h/d", "record.db", "sqlite://", "sqlite:///a?mode=memory", "sqlite:///\n"]
)
def test_any_other_database_is_refused(url: str) -> None:
    assert refusal(f"audit.database_url={url}").startswith("--set: audit.database_url: ")


@pytest.mark.parametrize(
    "accounts",
    [
        ["one:{ARGON2}x"],
        ["one:{ARGON2}x", "one:{ARGON2}y"],
        ["one:{ARGON2}x", "two"],
        ["a b:{ARGON2}x", "c:d"],
    ],
)
def test_recovery_accounts_are_two_people_or_more_each_once(accounts: list[str]) -> None:
    EmergencySettings.model_validate({"recovery_accounts": ["one:{ARGON2}x", "two:{ARGON2}y"]})
    with pytest.raises(ValidationError) as refused:
        EmergencySettings.model_validate({"recovery_accounts": accounts})
    assert "ARGON2}x" not in str(refused.value)

"""[relay]: how listeners, alternate servers and secrets are written."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from config.relay import RelaySettings
from relay.configured import configured_listeners, configured_rules, configured_secrets
from relay.vocabulary import Address, Listener, Transport

SECRET = "a secret of more than twenty characters"


def relay(**settings: object) -> RelaySettings:
    return RelaySettings.model_validate(settings)


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("udp://127.0.0.1:3478", Listener(Transport.UDP, Address("127.0.0.1", 3478))),
        ("tcp://[::1]:3478", Listener(Transport.TCP, Address("::1", 3478))),
        ("tls://127.0.0.1:5349", Listener(Transport.TLS, Address("127.0.0.1", 5349))),
        ("udp://127.0.0.1:0", Listener(Transport.UDP, Address("127.0.0.1", 0))),
    ],
)
def test_a_listener_is_a_transport_an_address_and_a_port(text: str, listener: Listener) -> None:
    settings = relay(listen=[text])
    assert configured_listeners(settings) == [listener]
    assert [str(one) for one in configured_listeners(settings)] == [text]


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:3478", "sctp://127.0.0.1:1", "udp://127.0.0.1", "udp://localhost:1", "tcp://0.0.0.0:1",
        "tls://[::]:1", "udp://127.0.0.1:1/x", "udp://a@127.0.0.1:1", "udp://127.0.0.1:65536", "udp://[::1:1",
    ],
)  # fmt: skip
def test_what_is_no_listener_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        relay(listen=[text])


def test_alternate_servers_are_addresses_with_ports() -> None:
    settings = relay(alternate_servers=["192.0.2.7:3478", "[2001:db8::7]:443"])
    rules = configured_rules(settings, admission_required=False)
    assert rules.alternate_servers == (Address("192.0.2.7", 3478), Address("2001:db8::7", 443))


@pytest.mark.parametrize(
    "text",
    ["", "192.0.2.7", "192.0.2.7:0", "192.0.2.7:x", "relay.example.org:3478", "a@192.0.2.7:1", "::1:1"],
)
def test_what_no_client_could_be_sent_to_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="address and a port"):
        relay(alternate_servers=[text])


def test_the_first_of_the_secrets_signs() -> None:
    settings = relay(secrets=[SECRET, SECRET[::-1]])
    assert configured_secrets(settings) == [SECRET.encode(), SECRET[::-1].encode()]
    assert configured_secrets(relay()) == []


def test_a_secret_from_the_environment_may_be_any_bytes() -> None:
    octets = b"\xff\xfe" + SECRET.encode()
    assert configured_secrets(relay(secrets=[octets.decode(errors="surrogateescape")])) == [octets]


def test_a_secret_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValidationError):
        relay(secrets=[SECRET, "short"])

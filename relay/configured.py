"""What the settings say, in the words of the relay."""

from __future__ import annotations

from urllib.parse import urlsplit

from config.relay import RelaySettings
from relay.turn.events import TurnRules
from relay.vocabulary import Address, Listener, Transport


def configured_secrets(settings: RelaySettings) -> list[bytes]:
    """The secrets in force, the signing one first; from the environment they may be any bytes."""
    return [secret.get_secret_value().encode(errors="surrogateescape") for secret in settings.secrets]


def configured_listeners(settings: RelaySettings) -> list[Listener]:
    """In the order they are written."""
    return [
        Listener(Transport(parts.scheme), Address(parts.hostname or "", parts.port or 0))
        for parts in map(urlsplit, settings.listen)
    ]


def configured_rules(settings: RelaySettings, *, admission_required: bool) -> TurnRules:
    """What the TURN server obeys."""
    alternates = (urlsplit(f"//{server}") for server in settings.alternate_servers)
    return TurnRules(
        relayed_prefix=settings.relayed_prefix,
        realm=settings.realm.encode(),
        pairing=settings.pairing,
        admission_required=admission_required,
        legacy_channels=settings.legacy_channels,
        default_lifetime_seconds=settings.default_lifetime_seconds,
        max_lifetime_seconds=settings.max_lifetime_seconds,
        max_allocations_per_credential=settings.max_allocations_per_credential,
        max_allocations=settings.max_allocations,
        unauthenticated_answers_per_second=settings.unauthenticated_answers_per_second,
        unauthenticated_answers_burst=settings.unauthenticated_answers_burst,
        dtls_budget_bytes=settings.dtls_budget_bytes,
        alternate_servers=tuple(Address(one.hostname or "", one.port or 0) for one in alternates),
    )

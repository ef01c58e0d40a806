"""The laws that hold after every event: a playbook asks after each of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from auth.personal import Personal
from auth.principal import Guest, PartyId
from broker.audit.record import Draft
from broker.core.clock import Now
from broker.core.commands import (
    AdmitMedia,
    AllowPayloadTypes,
    Answer,
    CloseConnection,
    Command,
    ConnectionId,
    Note,
    Opening,
    ReadUndelivered,
    Show,
    StopPayloadTypes,
    Tell,
    WithdrawMedia,
)
from broker.core.events import Connected, Disconnected, Event
from broker.core.frames import CallAccepted, CallCreated, CallEnded, CallShareEnded, CallSharing, Error, Frame
from broker.core.house import House

PERSONAL_MARK = "\N{SECTION SIGN}"
"""In every personal text and every secret of a playbook, and in nothing else."""
PERSONAL_NETWORK = b"10.7."
"""Where everybody in a playbook connects from."""


class Watch:
    """Follows one house from outside: what was opened, told, admitted and ended."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._sockets: dict[ConnectionId, PartyId] = {}
        self._hosts: dict[PartyId, PartyId] = {}
        self._admitted: dict[str, tuple[PartyId, PartyId]] = {}
        self._ended: set[str] = set()
        self._sharing: dict[str, PartyId] = {}

    def see(self, event: Event, commands: list[Command], now: Now) -> None:
        """Raises AssertionError when a law is broken."""
        if isinstance(event, Connected):
            self._sockets[event.connection_id] = event.principal.party
            if isinstance(event.principal, Guest):
                self._hosts[event.principal.party] = event.principal.invited_by
        if isinstance(event, Disconnected):
            self._sockets.pop(event.connection_id, None)
        for command in commands:
            self._command(command, now)
        self._parties_are_in_one_call()
        self._tokens_are_worth_something()

    def _tokens_are_worth_something(self) -> None:
        live = {*self._house.sign_ins, *(visit.token_digest for visit in self._house.visits.values())}
        if not self._house.stopping and not self._house.to_end:
            for connection in self._house.connections.values():
                assert connection.closing or connection.token_digest in live, "it outlived its token"
        tokens = [token for own in self._house.tokens_of.values() for token in own]
        assert sorted(tokens) == sorted(self._house.sign_ins), "the index of sign-ins is astray"

    def _command(self, command: Command, now: Now) -> None:
        if isinstance(command, Opening):
            assert command.decisions, "an opening that nobody decided"
            assert all(decision.allowed for decision in command.decisions), "an opening that was denied"
            assert command.records, "an opening without a record"
            assert command.scope, "an opening of nothing"
        if not isinstance(command, Answer):
            for record in command.records:
                assert_nothing_personal_is_public(record)
        effects: tuple[Any, ...] = command.effects
        if isinstance(command, Opening):
            effects = (*effects, *command.then)
        for effect in effects:
            self._effect(effect, now)
        if isinstance(command, Opening | Note):
            for effect in command.on_failure:
                self._to_an_open_socket(effect)

    def _effect(self, effect: Any, now: Now) -> None:
        self._to_an_open_socket(effect)
        match effect:
            case AdmitMedia():
                assert effect.session_id not in self._ended
                assert effect.until_unix_seconds > now.wall_seconds
                self._admitted[effect.session_id] = effect.parties
            case WithdrawMedia():
                assert effect.session_id in self._admitted
                assert effect.session_id not in self._ended, "withdrawn twice"
                self._ended.add(effect.session_id)
            case AllowPayloadTypes() | StopPayloadTypes():
                assert effect.party in self._admitted[effect.session_id]
                assert effect.session_id not in self._ended
                self._only_the_sharer_sends_a_screen(effect)
            case CloseConnection():
                del self._sockets[effect.connection_id]
            case Show() | Tell():
                self._frame(effect.connection_id, effect.frame)

    def _only_the_sharer_sends_a_screen(self, effect: AllowPayloadTypes | StopPayloadTypes) -> None:
        """What is known to be video passes in a call without video only from who shares."""
        call = self._house.calls[effect.session_id]
        if isinstance(effect, AllowPayloadTypes) and "video" not in call.media:
            video = effect.payload_types - effect.audio_payload_types
            assert not video or self._sharing.get(effect.session_id) == effect.party, "a screen of nobody"

    def _to_an_open_socket(self, effect: Any) -> None:
        if isinstance(effect, Show | Tell | CloseConnection | ReadUndelivered):
            assert effect.connection_id in self._sockets, f"{effect} to a connection that is closed"

    def _frame(self, connection_id: ConnectionId, frame: Frame) -> None:
        party = self._sockets[connection_id]
        if isinstance(frame, CallSharing):
            assert frame.party in self._admitted[frame.call_id]
            assert self._sharing.setdefault(frame.call_id, PartyId(frame.party)) == frame.party, "two screens"
        if isinstance(frame, CallShareEnded):
            assert self._house.calls[frame.call_id].share is None
            self._sharing.pop(frame.call_id, None)
        if isinstance(frame, CallCreated | CallAccepted):
            assert frame.call_id not in self._ended, "credentials for a call that is over"
            assert party in self._admitted[frame.call_id], "credentials for somebody who is not in the call"
            assert f":{frame.call_id}:{party}" in frame.ice_server.username, "somebody else's credentials"
        elif not isinstance(frame, CallEnded | Error):
            assert getattr(frame, "call_id", None) not in self._ended, f"{frame} of a call that is over"
        if party in self._hosts:
            known = {party, self._hosts[party]}
            echo = {"ref", "call_id"} if isinstance(frame, Error) else set()
            said = frame.model_dump(exclude=echo)
            named = {text for text in texts_of(said) if text in self._everybody()}
            assert named <= known, f"a guest was told of {named - known}"

    def _everybody(self) -> set[str]:
        connected = {connection.party for connection in self._house.connections.values()}
        return {str(party) for party in connected | set(self._house.visits) | set(self._hosts)}

    def _parties_are_in_one_call(self) -> None:
        parties = [party for call in self._house.calls.values() for party in call.grant.parties]
        assert len(parties) == len(set(parties)), "somebody is in two calls"


def texts_of(value: object) -> Iterator[str]:
    """Every text anywhere inside plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from texts_of(item)
    elif is_dataclass(value) and not isinstance(value, Personal | type):
        for member in fields(value):
            yield from texts_of(getattr(value, member.name))


def assert_nothing_personal_is_public(record: Draft) -> None:
    """Names, logins, addresses, texts and secrets are in `personal`, or nowhere."""
    public = record.canonical_fields + (record.session_id or "").encode() + record.type.encode()
    assert PERSONAL_MARK.encode() not in public, f"{record.type} tells something personal"
    assert PERSONAL_NETWORK not in public, f"{record.type} tells an address"
    assert all(isinstance(value, Personal) for value in record.personal.values())

"""The TURN server: `handle` takes one event and gives the commands that answer it."""

from __future__ import annotations

from collections.abc import Sequence

from relay.credentials import CredentialSecrets
from relay.prefix_budget import PrefixBudget
from relay.stun import attributes as a
from relay.stun.malformed import MalformedError
from relay.stun.message import Field, Message, MessageClass, Method, build, parse
from relay.turn.allocate import Allocator
from relay.turn.allocation import Allocation
from relay.turn.authentication import Authenticator, Requester
from relay.turn.events import (
    Admit,
    AllowPayloadTypes,
    Command,
    EndSession,
    Event,
    GoneReason,
    Now,
    Randomness,
    Received,
    Refused,
    Send,
    Sweep,
    TurnRules,
    Woken,
)
from relay.turn.nonce import Nonces
from relay.turn.peers import Peers
from relay.turn.refusal import RefusalError
from relay.turn.request import AllocatedRequest, Answer
from relay.turn.routing import Router
from relay.turn.table import AllocationTable
from relay.vocabulary import FiveTuple

_ON_ALLOCATION = {Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND}


class TurnServer:
    """The whole control of a relay. Not reentrant, keeps no state for clients without valid credentials."""

    def __init__(self, rules: TurnRules, secrets: CredentialSecrets, randomness: Randomness) -> None:
        nonces = Nonces(randomness.octets(32))
        self._router = Router(rules.dtls_budget_bytes)
        self._table = AllocationTable(rules, randomness, self._router)
        self._authenticator = Authenticator(
            secrets, nonces, rules.realm, with_session=rules.pairing == "session"
        )
        self._allocator = Allocator(rules, self._table)
        self._peers = Peers(rules, self._router)
        self._stranger_answers = PrefixBudget(
            rules.unauthenticated_answers_per_second, rules.unauthenticated_answers_burst
        )

    def handle(self, event: Event, now: Now) -> list[Command]:
        """What to do now, in this order. Raises ValueError for an Admit that contradicts an earlier one."""
        out: list[Command] = []
        match event:
            case Received(five_tuple, datagram):
                self._receive(five_tuple, datagram, now, out)
            case Sweep():
                self._table.sweep(now, out)
                self._router.release(now.monotonic, out)
            case Woken():
                self._router.release(now.monotonic, out)
            case Admit(admission):
                self._table.admit(admission)
            case AllowPayloadTypes():
                self._allow(event, now, out)
            case EndSession(session_id):
                self._table.end_session(session_id, GoneReason.SESSION_ENDED, now, out)
        return out

    def allocations(self) -> list[Allocation]:
        """Every live allocation, oldest first; to be read only."""
        return list(self._table.by_five_tuple.values())

    def session_ip(self, session_id: str) -> str | None:
        """The relayed address of a session; None until its first allocation."""
        session = self._table.sessions.get(session_id)
        return session.ip if session is not None else None

    def _allow(self, event: AllowPayloadTypes, now: Now, out: list[Command]) -> None:
        session = self._table.sessions.get(event.session_id)
        if session is None:
            return
        session.payload_types = event.payload_types
        session.audio_payload_types = event.audio_payload_types
        for allocation in tuple(session.allocations.values()):
            self._router.refresh_around(allocation, now.monotonic, out)

    def _receive(self, five_tuple: FiveTuple, datagram: bytes, now: Now, out: list[Command]) -> None:
        allocation = self._table.by_five_tuple.get(five_tuple)
        if allocation is not None and allocation.expires_at <= now.monotonic:
            self._table.remove(allocation, GoneReason.EXPIRED, now, out)
            allocation = None
        try:
            if datagram[:1] and 0x40 <= datagram[0] <= 0x7F:
                if allocation is not None:
                    self._peers.channel_data(datagram, allocation, now, out)
                return
            message = parse(datagram)
            if message.message_class is MessageClass.INDICATION:
                if message.method == Method.SEND and allocation is not None and not message.unknown():
                    self._peers.send(message, allocation, now, out)
                return
        except MalformedError:
            return
        if message.message_class is MessageClass.REQUEST:
            self._request(message, five_tuple, allocation, now, out)

    def _request(
        self,
        message: Message,
        five_tuple: FiveTuple,
        allocation: Allocation | None,
        now: Now,
        out: list[Command],
    ) -> None:
        try:
            if message.method == Method.BINDING:
                self._check_known(message)
                fields: list[Field] = [(a.XOR_MAPPED_ADDRESS, five_tuple.client)]
                if allocation is not None or self._stranger_answers.take(five_tuple.client.ip, now.monotonic):
                    out.append(Send(five_tuple, _success(message, fields, None)))
                return
            if message.method not in _ON_ALLOCATION:
                raise RefusalError(400)
            requester = self._authenticator.requester(message, five_tuple, allocation, now)
        except MalformedError:
            self._refuse(message, RefusalError(400), five_tuple, allocation, now, out)
            return
        except RefusalError as refusal:
            self._refuse(message, refusal, five_tuple, allocation, now, out)
            return
        try:
            self._check_known(message)
            self._serve(message, five_tuple, requester, allocation, now, out)
        except MalformedError:
            self._refuse(message, RefusalError(400, key=requester.key), five_tuple, allocation, now, out)
        except RefusalError as refusal:
            if refusal.code != 401:
                refusal.key = requester.key
            self._refuse(message, refusal, five_tuple, allocation, now, out)

    def _serve(
        self,
        message: Message,
        five_tuple: FiveTuple,
        requester: Requester,
        allocation: Allocation | None,
        now: Now,
        out: list[Command],
    ) -> None:
        if message.method == Method.ALLOCATE:
            self._allocate(message, five_tuple, requester, allocation, now, out)
            return
        if allocation is None:
            raise RefusalError(437)
        request = AllocatedRequest(message, five_tuple, allocation, now, out)
        answer: Answer
        if message.method == Method.REFRESH:
            answer = self._allocator.refresh(request)
        elif message.method == Method.CREATE_PERMISSION:
            answer = self._peers.create_permission(request)
        else:
            answer = self._peers.bind_channel(request)
        out.append(Send(five_tuple, _success(message, answer.fields, requester.key)))
        out.extend(answer.afterwards)

    def _allocate(
        self,
        message: Message,
        five_tuple: FiveTuple,
        requester: Requester,
        allocation: Allocation | None,
        now: Now,
        out: list[Command],
    ) -> None:
        if allocation is not None:
            if message.transaction_id != allocation.transaction_id:
                raise RefusalError(437)
            # A retransmission gets the same answer.
            out.append(Send(five_tuple, allocation.response))
            return
        if requester.claim.expires_at <= now.wall:
            raise self._authenticator.challenge(401, five_tuple, now)
        made, answer = self._allocator.allocate(message, five_tuple, requester, now, out)
        made.response = _success(message, answer.fields, requester.key)
        out.append(Send(five_tuple, made.response))
        out.extend(answer.afterwards)

    def _refuse(
        self,
        message: Message,
        refusal: RefusalError,
        five_tuple: FiveTuple,
        allocation: Allocation | None,
        now: Now,
        out: list[Command],
    ) -> None:
        # A captured request with a stale nonce can be replayed from a forged address: 438 counts as unproven.
        proven = allocation is not None or (refusal.key is not None and refusal.code != 438)
        if refusal.code != 438 and (refusal.code != 401 or message.integrity_at is not None):
            out.append(Refused(five_tuple.client.ip, refusal.code))
        if not proven and not self._stranger_answers.take(five_tuple.client.ip, now.monotonic):
            return
        datagram = build(
            message.method,
            MessageClass.ERROR,
            message.transaction_id,
            [(a.ERROR_CODE, refusal.code), *refusal.fields],
            key=refusal.key,
            with_fingerprint=message.has_fingerprint,
        )
        out.append(Send(five_tuple, datagram))

    @staticmethod
    def _check_known(message: Message) -> None:
        unknown = message.unknown()
        if unknown:
            raise RefusalError(420, fields=[(a.UNKNOWN_ATTRIBUTES, unknown)])


def _success(message: Message, fields: Sequence[Field], key: bytes | None) -> bytes:
    return build(
        message.method,
        MessageClass.SUCCESS,
        message.transaction_id,
        fields,
        key=key,
        with_fingerprint=message.has_fingerprint,
    )

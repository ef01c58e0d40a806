"""The TURN server: `handle` takes one event and gives the commands that answer it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import replace

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
    ControlDrop,
    Drain,
    EndSession,
    Event,
    GoneReason,
    Now,
    Randomness,
    Received,
    Reconfigure,
    Refused,
    Revoke,
    Send,
    StopPayloadTypes,
    StreamClosed,
    Sweep,
    TurnRules,
    Woken,
)
from relay.turn.nonce import Nonces
from relay.turn.peers import Peers
from relay.turn.refusal import RefusalError, RefusalReason, Seal
from relay.turn.request import AllocatedRequest, Answer
from relay.turn.routing import Router
from relay.turn.table import ANY_SESSION, AllocationTable
from relay.vocabulary import FiveTuple

MAX_AMPLIFICATION = 3
"""An answer to somebody unproven is at most so many times as long as what they sent, on the wire."""
_IPV4_AND_UDP_HEADERS, _IPV6_AND_UDP_HEADERS = 20 + 8, 40 + 8

_METHODS = {
    Method.BINDING,
    Method.ALLOCATE,
    Method.REFRESH,
    Method.CREATE_PERMISSION,
    Method.CHANNEL_BIND,
}
"""Of requests; what asks for anything else is discarded in silence (RFC 8489 section 6.3)."""


class TurnServer:
    """The whole control of a relay. Not reentrant, keeps no state for clients without valid credentials."""

    def __init__(self, rules: TurnRules, secrets: CredentialSecrets, randomness: Randomness) -> None:
        self.rules = rules
        self.draining = False
        self.dropped: Counter[ControlDrop] = Counter()
        """What was left unanswered or undelivered. Monotonic."""
        nonces = Nonces(randomness.octets(32))
        self._router = Router(rules.dtls_budget_bytes)
        self._table = AllocationTable(rules, randomness, self._router)
        self._authenticator = Authenticator(
            secrets, nonces, rules.realm, with_session=rules.pairing == "session"
        )
        self._allocator = Allocator(rules, self._table)
        self._peers = Peers(rules, self._router)
        rate = rules.unauthenticated_answers_per_second, rules.unauthenticated_answers_burst
        self._stranger_answers = PrefixBudget(*rate)
        self._owner_answers = PrefixBudget(*rate)
        """For what is unproven on a five-tuple with an allocation. Anybody may have sent it, but strangers
        must not use up what the owner needs to learn a new nonce."""

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
            case AllowPayloadTypes() | StopPayloadTypes():
                self._change_payload_types(event, now, out)
            case EndSession(session_id):
                self._table.end_session(session_id, GoneReason.SESSION_ENDED, now, out)
            case StreamClosed(five_tuple):
                allocation = self._table.by_five_tuple.get(five_tuple)
                if allocation is not None:
                    self._table.remove(allocation, GoneReason.STREAM_CLOSED, now, out)
            case Revoke(revocations):
                self._table.revoke(revocations, now, out)
            case Drain():
                self.draining = True
            case Reconfigure(rules, secrets):
                self._reconfigure(rules, secrets)
        return out

    def allocations(self) -> list[Allocation]:
        """Every live allocation, oldest first; to be read only."""
        return list(self._table.by_five_tuple.values())

    @property
    def allocation_count(self) -> int:
        return len(self._table.by_five_tuple)

    @property
    def session_ids(self) -> Set[str]:
        """Of every open session, allocated in or not; to be read only."""
        return self._table.sessions.keys()

    def session_ip(self, session_id: str) -> str | None:
        """The relayed address of a session; None until its first allocation."""
        session = self._table.sessions.get(session_id)
        return session.ip if session is not None else None

    def _reconfigure(self, rules: TurnRules, secrets: CredentialSecrets) -> None:
        kept = self.rules
        self.rules = replace(
            rules,
            relayed_prefix=kept.relayed_prefix,
            realm=kept.realm,
            pairing=kept.pairing,
            admission_required=kept.admission_required,
        )
        self._authenticator.secrets = secrets
        self._table.rules = self._allocator.rules = self._peers.rules = self.rules
        self._router.dtls_budget_bytes = rules.dtls_budget_bytes
        rate = rules.unauthenticated_answers_per_second, rules.unauthenticated_answers_burst
        self._stranger_answers.set_rate(*rate)
        self._owner_answers.set_rate(*rate)

    def _change_payload_types(
        self, event: AllowPayloadTypes | StopPayloadTypes, now: Now, out: list[Command]
    ) -> None:
        session = self._table.sessions.get(event.session_id)
        if session is None:
            return
        if isinstance(event, AllowPayloadTypes):
            session.allow(event.party, event.payload_types, event.audio_payload_types)
        else:
            session.stop(event.party, event.payload_types)
        for allocation in tuple(session.allocations.values()):
            self._router.refresh_around(allocation, now.monotonic, out)

    def _receive(self, five_tuple: FiveTuple, datagram: bytes, now: Now, out: list[Command]) -> None:
        allocation = self._table.by_five_tuple.get(five_tuple)
        if allocation is not None and allocation.expires_at <= now.monotonic:
            self._table.remove(allocation, GoneReason.EXPIRED, now, out)
            if five_tuple.transport.is_stream:
                # Its connection ends with it: whatever comes on that is too late.
                return
            allocation = None
        try:
            drop = self._take(five_tuple, datagram, allocation, now, out)
        except MalformedError:
            drop = ControlDrop.MALFORMED
        if drop is not None:
            self.dropped[drop] += 1

    def _take(
        self,
        five_tuple: FiveTuple,
        datagram: bytes,
        allocation: Allocation | None,
        now: Now,
        out: list[Command],
    ) -> ControlDrop | None:
        if datagram[:1] and 0x40 <= datagram[0] <= 0x7F:
            if allocation is None:
                return ControlDrop.UNBOUND
            return self._peers.channel_data(datagram, allocation, now, out)
        message = parse(datagram)
        if message.message_class is MessageClass.REQUEST and message.method in _METHODS:
            return self._request(message, five_tuple, allocation, now, out)
        if message.message_class is not MessageClass.INDICATION or message.method != Method.SEND:
            return ControlDrop.UNEXPECTED
        if allocation is None or message.unknown():
            return ControlDrop.UNEXPECTED
        return self._peers.send(message, allocation, now, out)

    def _request(
        self,
        message: Message,
        five_tuple: FiveTuple,
        allocation: Allocation | None,
        now: Now,
        out: list[Command],
    ) -> ControlDrop | None:
        requester: Requester | None = None
        try:
            if message.method == Method.BINDING:
                self._check_known(message)
                answer = _success(message, [(a.XOR_MAPPED_ADDRESS, five_tuple.client)], None)
                return self._answer(message, answer, five_tuple, allocation, now, out)
            requester = self._authenticator.requester(message, five_tuple, allocation, now)
            other = allocation is not None and requester.username != allocation.username
            # RFC 8656 section 7.4 has no 441 for an Allocate: 437 makes a client try another port of its own.
            if other and message.method != Method.ALLOCATE:
                raise RefusalError(RefusalReason.OTHER_USERNAME)
            self._check_known(message)
            self._serve(message, five_tuple, requester, allocation, now, out)
            return None
        except MalformedError:
            refusal = RefusalError(RefusalReason.MALFORMED)
        except RefusalError as raised:
            refusal = raised
        return self._refuse(message, refusal, five_tuple, requester, allocation, now, out)

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
            raise RefusalError(RefusalReason.NO_ALLOCATION)
        request = AllocatedRequest(message, five_tuple, allocation, now, out)
        answer: Answer
        if message.method == Method.REFRESH:
            answer = self._allocator.refresh(request)
        elif message.method == Method.CREATE_PERMISSION:
            answer = self._peers.create_permission(request)
        else:
            answer = self._peers.bind_channel(request)
        out.append(Send(five_tuple, _success(message, answer.fields, requester.seal)))
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
            first = (allocation.transaction_id, allocation.seal)
            if (message.transaction_id, requester.seal) != first:
                raise RefusalError(RefusalReason.ALLOCATION_EXISTS)
            # A retransmission gets the same answer.
            out.append(Send(five_tuple, allocation.response))
            return
        if requester.claim.expires_at <= now.wall:
            raise self._authenticator.challenge(RefusalReason.CREDENTIAL_EXPIRED, five_tuple, now)
        if self.draining:
            raise self._elsewhere(five_tuple)
        made, answer = self._allocator.allocate(message, five_tuple, requester, now, out)
        made.response = _success(message, answer.fields, requester.seal)
        out.append(Send(five_tuple, made.response))
        out.extend(answer.afterwards)

    def _elsewhere(self, five_tuple: FiveTuple) -> RefusalError:
        """RFC 8489 section 14.15: another server, of the family by which this client came."""
        for server in self.rules.alternate_servers:
            if server.is_ipv6 == five_tuple.client.is_ipv6:
                return RefusalError(RefusalReason.GO_ELSEWHERE, fields=[(a.ALTERNATE_SERVER, server)])
        return RefusalError(RefusalReason.DRAINING)

    def _refuse(
        self,
        message: Message,
        refusal: RefusalError,
        five_tuple: FiveTuple,
        requester: Requester | None,
        allocation: Allocation | None,
        now: Now,
        out: list[Command],
    ) -> ControlDrop | None:
        reason = refusal.reason
        seal = refusal.seal
        if requester is not None and reason is not RefusalReason.CREDENTIAL_EXPIRED:
            seal = requester.seal
        if not reason.is_routine:
            out.append(_refused(five_tuple, reason, requester, allocation))
        fields: list[Field] = [(a.ERROR_CODE, reason.code), *refusal.fields]
        answer = _built(message, MessageClass.ERROR, fields, seal)
        # A captured request with a stale nonce can be replayed from a forged address: 438 counts as unproven.
        proven = seal is not None and reason is not RefusalReason.STALE_NONCE
        return self._answer(message, answer, five_tuple, allocation, now, out, proven=proven)

    def _answer(
        self,
        message: Message,
        answer: bytes,
        five_tuple: FiveTuple,
        allocation: Allocation | None,
        now: Now,
        out: list[Command],
        *,
        proven: bool = False,
    ) -> ControlDrop | None:
        """Unless that floods somebody whose address the request only bears: UDP cannot tell, streams can."""
        if not proven and not five_tuple.transport.is_stream:
            headers = _IPV6_AND_UDP_HEADERS if five_tuple.client.is_ipv6 else _IPV4_AND_UDP_HEADERS
            if headers + len(answer) > MAX_AMPLIFICATION * (headers + len(message.raw)):
                return ControlDrop.AMPLIFYING
            budget = self._stranger_answers if allocation is None else self._owner_answers
            if not budget.take(five_tuple.client.ip, now.monotonic):
                return ControlDrop.OVER_BUDGET
        out.append(Send(five_tuple, answer))
        return None

    @staticmethod
    def _check_known(message: Message) -> None:
        unknown = message.unknown()
        if unknown:
            raise RefusalError(RefusalReason.UNKNOWN_ATTRIBUTE, fields=[(a.UNKNOWN_ATTRIBUTES, unknown)])


def _refused(
    five_tuple: FiveTuple, reason: RefusalReason, requester: Requester | None, allocation: Allocation | None
) -> Refused:
    relayed = allocation.relayed if allocation is not None else None
    if requester is None:
        return Refused(five_tuple, reason, relayed_address=relayed)
    session_id = requester.claim.session_id or ANY_SESSION
    return Refused(five_tuple, reason, session_id, requester.claim.party, relayed)


def _success(message: Message, fields: Sequence[Field], seal: Seal | None) -> bytes:
    return _built(message, MessageClass.SUCCESS, fields, seal)


def _built(message: Message, kind: MessageClass, fields: Sequence[Field], seal: Seal | None) -> bytes:
    return build(
        message.method,
        kind,
        message.transaction_id,
        fields,
        key=seal.key if seal is not None else None,
        sha256=seal is not None and seal.sha256,
        with_fingerprint=message.has_fingerprint,
    )

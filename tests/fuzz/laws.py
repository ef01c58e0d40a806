"""What must hold of every event that a TURN server takes, whoever sent it and whatever was before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from relay.credentials import password_for
from relay.stun import attributes as a
from relay.stun.integrity import PasswordAlgorithm, long_term_key
from relay.stun.malformed import MalformedError
from relay.stun.message import Message, MessageClass, Method, parse
from relay.turn.allocation import Allocation
from relay.turn.events import (
    AllocationGone,
    AllocationMade,
    CloseStream,
    Command,
    EndSession,
    Event,
    Forward,
    GoneReason,
    Install,
    Now,
    Own,
    Received,
    Send,
    Sweep,
)
from relay.vocabulary import FiveTuple, Route
from tests.fuzz.model import Model
from tests.spec.turn_world import World

MAX_AMPLIFICATION = 3
Owners = dict[FiveTuple, Allocation]


class Laws:
    """Hands events to a world and asserts what comes of them."""

    def __init__(self, world: World, nonces: Mapping[FiveTuple, bytes]) -> None:
        self.world = world
        self.model = Model(world.rules, nonces, world.now)
        self.token = bytes(8)
        """The latest RESERVATION-TOKEN that anybody was given."""
        self.closed: list[FiveTuple] = []
        """The connections that the last event ended."""

    def handle(self, event: Event) -> None:
        before = self._owners()
        self.model.is_told(event, self.world.now)
        commands = self.world.handle(event)
        after = self._owners()
        self.closed = [command.five_tuple for command in commands if isinstance(command, CloseStream)]
        for five_tuple in self.closed:
            assert five_tuple.transport.is_stream
            assert five_tuple not in after, "an allocation on a connection that is being ended"
        for one in after.values():
            assert not self.model.is_revoked(one)
        most = max(Counter(one.username for one in after.values()).values(), default=0)
        assert most <= self.world.rules.max_allocations_per_credential
        assert len(after) <= self.world.rules.max_allocations
        if isinstance(event, Received):
            self._assert_of_datagram(event, commands, before, after)
        else:
            unasked = [command for command in commands if isinstance(command, Send | Own | AllocationMade)]
            assert unasked == [], "an answer or an allocation that nobody asked for"
        self._assert_of_rows(commands, after)

    def time_passes(self, seconds: float) -> None:
        now = self.world.now
        self.world.now = Now(now.wall + seconds, now.monotonic + seconds)

    def assert_that_what_is_over_leaves_nothing_behind(self) -> None:
        server = self.world.server
        for session_id in tuple(server._table.sessions):
            self.handle(EndSession(session_id))
        # Longer than anything is kept for a session that has ended.
        self.time_passes(3600)
        self.handle(Sweep())
        assert server.allocations() == []
        assert self.world.rows == {}
        assert self.world.owned == set()
        assert server._router.held_bytes == 0
        assert server._table._reservations == {}
        assert server._table._by_username == {}

    # --- where rows may lead ---

    def _owners(self) -> Owners:
        return {one.five_tuple: one for one in self.world.server.allocations()}

    def _assert_of_rows(self, commands: list[Command], owners: Owners) -> None:
        for row in self.world.rows.values():
            self._assert_may_meet(row, owners)
        for command in commands:
            match command:
                case Install(route):
                    self._assert_may_meet(route, owners)
                case Forward(source):
                    assert source.five_tuple in owners
                case _:
                    pass

    def _assert_may_meet(self, row: Route, owners: Owners) -> None:
        """Both ends are live allocations of one session, and of two parties where that matters."""
        sender, receiver = owners[row.source.five_tuple], owners[row.target.five_tuple]
        assert sender is not receiver
        assert sender.session is receiver.session
        assert row.session_id == sender.session.session_id
        if self.world.rules.pairing == "session":
            assert sender.claim.session_id == receiver.claim.session_id == row.session_id
            assert sender.claim.party != receiver.claim.party
        assert row.target.form == receiver.channel_to.get(sender.relayed, sender.relayed)
        assert self.model.may_still_be_heard(receiver.five_tuple), "nobody asked to hear this"

    # --- what a datagram may bring about ---

    def _assert_of_datagram(
        self, event: Received, commands: list[Command], before: Owners, after: Owners
    ) -> None:
        asking, owner, now = event.five_tuple, before.get(event.five_tuple), self.world.now
        if owner is not None and owner.expires_at <= now.monotonic:
            owner = None
        try:
            message = parse(event.datagram)
        except MalformedError:
            message = None
        keys = self._proven_keys(message, owner)
        answers = [command for command in commands if isinstance(command, Send)]
        assert len(answers) <= 1
        for command in commands:
            match command:
                case Own(five_tuple):
                    assert five_tuple == asking
                case AllocationMade(five_tuple=five_tuple):
                    assert five_tuple == asking
                    assert keys, "an allocation for somebody who has proved nothing"
                    assert self.model.may_be_made(after[asking], now)
                    self.model.hears_of_allocation(asking)
                case AllocationGone(five_tuple=five_tuple, reason=GoneReason.REPLACED):
                    assert before[five_tuple].username == _username(message)
                case AllocationGone(five_tuple=five_tuple):
                    assert five_tuple == asking
                case Forward(source, payload):
                    assert source.five_tuple == asking
                    assert payload in event.datagram
                    assert source in self.world.rows
                    assert isinstance(source.form, int) or self.model.permits(asking, now)
                case _:
                    pass
            if isinstance(command, Install | Forward):
                assert owner is not None, "a stranger's datagram changes what is forwarded"
        for answer in answers:
            assert answer.five_tuple == asking
            assert message is not None
            assert message.message_class is MessageClass.REQUEST
            self._assert_of_answer(event, message, answer.datagram, keys, owner)

    def _assert_of_answer(
        self,
        event: Received,
        message: Message,
        datagram: bytes,
        keys: list[bytes],
        owner: Allocation | None,
    ) -> None:
        asking, answer = event.five_tuple, parse(datagram)
        assert answer.message_class in (MessageClass.SUCCESS, MessageClass.ERROR)
        assert (answer.method, answer.transaction_id) == (message.method, message.transaction_id)
        code = answer.first(a.ERROR_CODE)
        assert (code is None) == (answer.message_class is MessageClass.SUCCESS)
        # A repeated Allocate gets the answer to the first one, to the byte.
        is_repeated = owner is not None and message.method == Method.ALLOCATE and code is None
        assert answer.has_fingerprint == message.has_fingerprint or is_repeated
        if answer.has_integrity:
            assert any(answer.verifies(key) for key in keys), "a seal that the requester cannot check"
            chose = message.first(a.PASSWORD_ALGORITHM) is not None
            assert (answer.sha256_at is not None) == (chose or message.integrity_at is None)
        if code is None:
            assert message.unknown() == ()
        if code is None and message.method != Method.BINDING:
            assert answer.has_integrity
            assert owner is None or owner.username == _username(message)
            assert self.model.is_fresh(asking, message.first(a.NONCE) or b"", self.world.now)
        # A captured request with a nonce or a credential that is over may come from anywhere.
        proven = bool(keys) and code not in (401, 438)
        if not proven and not asking.transport.is_stream:
            headers = 48 if asking.client.is_ipv6 else 28
            assert headers + len(datagram) <= MAX_AMPLIFICATION * (headers + len(event.datagram))
            at_once = self.model.unproven_answers(
                asking.client.ip, self.world.now, is_owned=owner is not None
            )
            assert at_once <= self.world.rules.unauthenticated_answers_burst
        self.token = answer.first(a.RESERVATION_TOKEN) or self.token
        self.model.hears_answer(asking, answer, self.world.now)

    def _proven_keys(self, message: Message | None, owner: Allocation | None) -> list[bytes]:
        """The keys in force with which this request was made."""
        username = _username(message)
        if message is None or username is None:
            return []
        known = [
            long_term_key(username, self.world.rules.realm, password_for(secret, username), algorithm)
            for secret in self.world.secrets
            for algorithm in PasswordAlgorithm
        ]
        if owner is not None and owner.username == username:
            known.append(owner.seal.key)
        return [key for key in known if message.verifies(key)]


def _username(message: Message | None) -> bytes | None:
    try:
        return message.first(a.USERNAME) if message is not None and message.has_integrity else None
    except MalformedError:
        return None

"""Any sequence of operations: the relay delivers exactly to whom a plain model says, and to nobody else.

The model knows nothing of rows, routes or forms. It says who may hear whom: two live allocations of different
parties of one admitted session, the receiver having permitted the session, the sender having a channel or a
permission. The relay under test is the real core with the rows it installs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from relay.stun import attributes as a
from relay.stun.message import Method
from relay.turn.allocation_rate import BURST
from relay.turn.events import TurnRules
from relay.vocabulary import Address
from tests.spec.turn_world import Client, Delivery, World, code_of

SESSIONS = ["s1", "s2"]
PARTIES = ["alice", "bob"]
MOST = 3

sessions = st.sampled_from(SESSIONS)
parties = st.sampled_from(PARTIES)
picks = st.integers(0, 35)
channels = st.integers(0x4000, 0x4002)


@dataclass(eq=False)
class Owner:
    """One allocation in the model. Times are monotonic seconds."""

    client: Client
    session_id: str
    party: str
    expires_at: float
    permits_until: float = 0.0
    channels: dict[int, tuple[Owner, float]] = field(default_factory=dict)


class ClosedRelay(RuleBasedStateMachine):
    """Operations in any order, by any client, with any peer."""

    @initialize()
    def start(self) -> None:
        rules = TurnRules(
            relayed_prefix="198.18.0.0/15",
            max_allocations_per_credential=MOST,
            unauthenticated_answers_burst=100_000,
        )
        self.world = World(rules)
        self.owners: list[Owner] = []
        self.gone: list[Owner] = []
        self.admitted: set[str] = set()
        self.allocated = dict.fromkeys(SESSIONS, 0)
        self.meant: dict[bytes, tuple[Owner, Owner | None]] = {}
        for session_id in SESSIONS:
            self.admit(session_id)
            for party in PARTIES:
                self.allocate(session_id, party)

    # --- the model ---

    @property
    def now(self) -> float:
        return self.world.now.monotonic

    def may_meet(self, sender: Owner, receiver: Owner) -> bool:
        return (
            sender in self.owners
            and receiver in self.owners
            and sender.session_id == receiver.session_id
            and sender.party != receiver.party
        )

    def hears(self, sender: Owner, receiver: Owner) -> bool:
        return self.may_meet(sender, receiver) and self.now < receiver.permits_until

    def channel_of(self, owner: Owner, peer: Owner) -> int | None:
        for number, (bound, until) in owner.channels.items():
            if bound is peer and self.now < until:
                return number
        return None

    def leaves(self, owner: Owner) -> None:
        self.owners.remove(owner)
        self.gone.append(owner)
        for other in self.owners:
            other.channels = {n: bound for n, bound in other.channels.items() if bound[0] is not owner}

    def anyone(self, pick: int) -> Owner:
        """A live or former allocation; live ones first."""
        everybody = self.owners + self.gone[-3:]
        return everybody[pick % len(everybody)]

    def live(self, pick: int) -> Owner:
        return self.owners[pick % len(self.owners)]

    def peer_for(self, owner: Owner, pick: int) -> Owner:
        """Twice in three times one that it may meet, if there is one; otherwise anyone."""
        good = [one for one in self.owners if self.may_meet(owner, one)]
        return self.anyone(pick // 3) if pick % 3 == 0 or not good else good[pick // 3 % len(good)]

    # --- operations ---

    @rule(session_id=sessions)
    def admit(self, session_id: str) -> None:
        self.world.admit(session_id)
        self.admitted.add(session_id)

    @rule(session_id=sessions, really=st.sampled_from([False, False, False, False, True]))
    def end(self, session_id: str, really: bool) -> None:
        if not really:
            return
        self.world.end(session_id)
        self.admitted.discard(session_id)
        for owner in [one for one in self.owners if one.session_id == session_id]:
            self.leaves(owner)

    @rule(session_id=sessions, party=parties)
    def allocate(self, session_id: str, party: str) -> None:
        client = self.world.client(party, session_id)
        code = code_of(client.allocate((a.LIFETIME, 600)))
        if session_id not in self.admitted:
            assert code == 403
        elif code == 486:
            assert self.allocated[session_id] >= BURST
        else:
            assert code == 0
            self.allocated[session_id] += 1
        if code == 0:
            mine = [one for one in self.owners if (one.session_id, one.party) == (session_id, party)]
            # Credentials of one party differ once the clock has moved; only then may there be more.
            same = [one for one in mine if one.client.credential == client.credential]
            if len(same) >= MOST:
                self.leaves(same[0])
            self.owners.append(Owner(client, session_id, party, self.now + 600))

    @precondition(lambda self: self.owners)
    @rule(pick=picks, lifetime=st.sampled_from([0, 1, 600, 600, 600]))
    def refresh(self, pick: int, lifetime: int) -> None:
        owner = self.live(pick)
        assert code_of(owner.client.refresh((a.LIFETIME, lifetime))) == 0
        if lifetime == 0:
            self.leaves(owner)
        else:
            owner.expires_at = self.now + (600 if lifetime == 600 else 120)

    @precondition(lambda self: self.owners)
    @rule(pick=picks, other=picks)
    def permit(self, pick: int, other: int) -> None:
        owner = self.live(pick)
        peer = self.peer_for(owner, other)
        allowed = self.may_meet(owner, peer)
        assert owner.client.permit(peer.client.relayed) == (0 if allowed else 403)
        if allowed:
            owner.permits_until = max(owner.permits_until, self.now + 300)

    @precondition(lambda self: self.owners)
    @rule(pick=picks, other=picks, number=channels)
    def bind(self, pick: int, other: int, number: int) -> None:
        owner = self.live(pick)
        self._bind(owner, self.peer_for(owner, other), number)

    def _bind(self, owner: Owner, peer: Owner, number: int) -> None:
        owner.channels = {n: bound for n, bound in owner.channels.items() if self.now < bound[1]}
        taken = number in owner.channels and owner.channels[number][0] is not peer
        elsewhere = self.channel_of(owner, peer) not in (None, number)
        code = owner.client.bind(number, peer.client.relayed)
        if taken or elsewhere:
            assert code == 400
        elif not self.may_meet(owner, peer):
            assert code == 403
        else:
            assert code == 0
            owner.channels[number] = (peer, self.now + 600)
            owner.permits_until = max(owner.permits_until, self.now + 600)

    @precondition(lambda self: self.owners)
    @rule(pick=picks, other=picks, number=channels, bound=st.booleans(), answered=st.booleans())
    def call(self, pick: int, other: int, number: int, bound: bool, answered: bool) -> None:
        """What clients do most: both agree to hear each other, then both send."""
        caller = self.live(pick)
        good = [one for one in self.owners if self.may_meet(caller, one)]
        if not good:
            return
        callee = good[other % len(good)]
        for owner, peer in ((caller, callee), (callee, caller)):
            if owner is caller or answered:
                assert owner.client.permit(peer.client.relayed) == 0
                owner.permits_until = max(owner.permits_until, self.now + 300)
            if bound and owner is caller:
                self._bind(owner, peer, number)
        for owner, peer in ((caller, callee), (callee, caller)):
            self._send(owner, peer)
            self._send_on(owner, number)

    @rule(seconds=st.sampled_from([1, 1, 2, 50, 119, 299, 301, 601]))
    def time_passes(self, seconds: int) -> None:
        self.world.passes(seconds)
        for owner in [one for one in self.owners if one.expires_at <= self.now]:
            self.leaves(owner)
        for owner in self.owners + self.gone:
            owner.client.nonce = b""

    def payload(self, sender: Owner, receiver: Owner | None) -> bytes:
        payload = b"%d" % len(self.meant)
        self.meant[payload] = (sender, receiver)
        return payload

    def delivered(self) -> list[Delivery]:
        """What was delivered since the last call; all of it, held or not, to whom it was meant for."""
        delivered = self.world.delivered()
        for one in delivered:
            sender, receiver = self.meant[one.payload]
            assert receiver is not None
            assert one.to == receiver.client.five_tuple
            assert self.hears(sender, receiver)
        return delivered

    def expect(self, sender: Owner, receiver: Owner | None, payload: bytes) -> None:
        """Nobody else hears it, and it comes from the sender's relayed address."""
        delivered = [one for one in self.delivered() if one.payload == payload]
        if receiver is None:
            assert delivered == []
            return
        (one,) = delivered
        assert one.to == receiver.client.five_tuple
        channel = self.channel_of(receiver, sender)
        assert one.form == (sender.client.relayed if channel is None else channel)

    @precondition(lambda self: self.owners)
    @rule(pick=picks, other=picks)
    def send_indication(self, pick: int, other: int) -> None:
        sender = self.anyone(pick)
        self._send(sender, self.peer_for(sender, other))

    def _send(self, sender: Owner, receiver: Owner) -> None:
        payload = self.payload(sender, receiver)
        may_send = sender in self.owners and self.now < sender.permits_until
        sender.client.send(receiver.client.relayed, payload)
        heard = may_send and self.hears(sender, receiver)
        self.expect(sender, receiver if heard else None, payload)

    @precondition(lambda self: self.owners)
    @rule(pick=picks, number=channels)
    def send_on_channel(self, pick: int, number: int) -> None:
        self._send_on(self.anyone(pick), number)

    def _send_on(self, sender: Owner, number: int) -> None:
        bound = sender.channels.get(number)
        payload = self.payload(sender, bound[0] if bound is not None else None)
        sender.client.send_on(number, payload)
        heard = bound is not None and self.now < bound[1] and self.hears(sender, bound[0])
        self.expect(sender, bound[0] if bound is not None and heard else None, payload)

    @precondition(lambda self: self.owners)
    @rule(pick=picks, ip=st.sampled_from(["127.0.0.1", "10.0.0.1", "198.18.0.1"]), port=st.integers(0, 65535))
    def reach_outside(self, pick: int, ip: str, port: int) -> None:
        owner, peer = self.live(pick), Address(ip, port)
        if any(one.client.relayed == peer for one in self.owners):
            return
        owner.client.send(peer, self.payload(owner, None))
        assert owner.client.permit(peer) == 403

    @precondition(lambda self: self.gone)
    @rule(pick=picks)
    def ask_for_what_is_gone(self, pick: int) -> None:
        owner = self.gone[pick % len(self.gone)]
        assert owner.client.code(Method.REFRESH, (a.LIFETIME, 600)) == 437

    # --- what always holds ---

    @rule()
    def what_was_held_is_released(self) -> None:
        self.world.settles()

    @invariant()
    def nothing_reaches_whom_it_was_not_meant_for(self) -> None:
        if hasattr(self, "world"):
            self.delivered()

    @invariant()
    def the_relay_knows_the_models_allocations(self) -> None:
        if not hasattr(self, "world"):
            return
        real = {(one.five_tuple, one.relayed) for one in self.world.server.allocations()}
        assert real == {(one.client.five_tuple, one.client.relayed) for one in self.owners}

    @invariant()
    def every_row_joins_two_that_may_meet_and_listen(self) -> None:
        if not hasattr(self, "world"):
            return
        owner_of = {one.client.five_tuple: one for one in self.owners}
        for row in self.world.rows.values():
            sender = owner_of[row.source.five_tuple]
            receiver = owner_of[row.target.five_tuple]
            assert self.hears(sender, receiver)
            assert row.session_id == sender.session_id == receiver.session_id

    @invariant()
    def sessions_have_addresses_of_their_own(self) -> None:
        if not hasattr(self, "world"):
            return
        used = {(one.client.relayed.ip, one.session_id) for one in self.owners}
        assert len({ip for ip, _ in used}) == len(used)


ClosedRelay.TestCase.settings = settings(max_examples=100, stateful_step_count=80, deadline=None)
# A failure is worth the time it takes to make it small.
ClosedRelay.TestCase.pytestmark = [pytest.mark.timeout(600)]  # type: ignore[attr-defined]  # made by hypothesis
test_any_sequence_of_operations_delivers_exactly_to_whom_the_model_says = ClosedRelay.TestCase

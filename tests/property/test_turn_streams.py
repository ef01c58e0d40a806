"""Any sequence of operations with clients on UDP and on streams, and an administrator who revokes, rotates
and drains: the relay delivers, refuses and ends exactly what a plain model says.

The model is that of `test_turn_operations`, with connections that end, and with everything by which an
allocation may end other than by its client's wish.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from relay.credentials import CredentialSecrets
from relay.revocations import Revocations
from relay.stun import attributes as a
from relay.stun.message import Method
from relay.turn.allocation_rate import BURST
from relay.turn.events import (
    Admission,
    Admit,
    Drain,
    GoneReason,
    Reconfigure,
    Revoke,
    StreamClosed,
    TurnRules,
)
from relay.vocabulary import Address, FiveTuple, Transport
from tests.property.test_turn_operations import (
    MOST,
    PARTIES,
    SESSIONS,
    ClosedRelay,
    Owner,
    parties,
    picks,
    sessions,
)
from tests.spec.turn_world import NOWHERE, SECRET, UDP, Client, World, code_of

IPV4_ELSEWHERE, IPV6_ELSEWHERE = Address("192.0.2.9", 3478), Address("2001:db8::9", 3478)
BY_THE_CLIENT = (GoneReason.CLOSED, GoneReason.STREAM_CLOSED)

transports = st.sampled_from([Transport.UDP, Transport.TCP, Transport.TLS])
alternates = st.sampled_from([(), (IPV4_ELSEWHERE,), (IPV6_ELSEWHERE, IPV4_ELSEWHERE)])
rarely = st.sampled_from([False, False, False, True])


class StreamRelay(ClosedRelay):
    """The operations of a closed relay, with what streams and administrators add to them."""

    @initialize(elsewhere=alternates)
    def start(self, elsewhere: tuple[Address, ...] = ()) -> None:
        rules = TurnRules(
            relayed_prefix="198.18.0.0/15",
            max_allocations_per_credential=MOST,
            unauthenticated_answers_burst=100_000,
            alternate_servers=elsewhere,
        )
        self.world = World(rules)
        self.owners: list[Owner] = []
        self.gone: list[Owner] = []
        self.admitted: set[str] = set()
        self.open_until: dict[str, float] = {}
        self.allocated = dict.fromkeys(SESSIONS, 0)
        self.meant = {}
        self.draining = False
        self.secrets_made = 0
        self.revoked: set[tuple[str, str]] = set()
        self.over: set[FiveTuple] = set()
        """Connections that have ended, whoever ended them."""
        self.ended: list[tuple[FiveTuple, GoneReason]] = []
        """Since the last look."""
        for session_id in SESSIONS:
            self.admit(session_id)
            for party in PARTIES:
                self.allocate(session_id, party)
                self.allocate(session_id, party, Transport.TCP)

    # --- the model ---

    def leaves(self, owner: Owner, reason: GoneReason = GoneReason.CLOSED) -> None:
        super().leaves(owner)
        five_tuple = owner.client.five_tuple
        self.ended.append((five_tuple, reason))
        if five_tuple.transport.is_stream and reason is not GoneReason.CLOSED:
            self.over.add(five_tuple)

    def all_leave(self, session_id: str, reason: GoneReason) -> None:
        self.admitted.discard(session_id)
        for owner in [one for one in self.owners if one.session_id == session_id]:
            self.leaves(owner, reason)

    def is_revoked(self, client: Client, session_id: str, party: str) -> bool:
        names = {("credential", client.credential.username), ("session", session_id), ("user", party)}
        return bool(names & self.revoked)

    def proves_its_key(self, client: Client) -> bool:
        """As somebody without an allocation: by a secret that is in force now."""
        credential = client.credential
        passwords = CredentialSecrets(self.world.secrets).passwords(credential.username.encode())
        return credential.password.encode() in passwords

    def alternate_for(self, client: Client) -> Address | None:
        for server in self.world.rules.alternate_servers:
            if server.is_ipv6 == client.five_tuple.client.is_ipv6:
                return server
        return None

    def answer_to_allocate(self, client: Client, session_id: str, party: str) -> int:
        """The code that a first Allocate deserves, 0 for a success."""
        wall = self.world.now.wall
        if not self.proves_its_key(client) or int(client.credential.username.split(":")[0]) <= wall:
            return 401
        if self.draining:
            return 508 if self.alternate_for(client) is None else 300
        if self.is_revoked(client, session_id, party):
            return 403
        return 0 if session_id in self.admitted and wall < self.open_until[session_id] else 403

    # --- operations of clients ---

    @rule(session_id=sessions, party=parties, transport=transports, ipv6=st.booleans())
    def allocate(
        self, session_id: str, party: str, transport: Transport = Transport.UDP, ipv6: bool = False
    ) -> None:
        ip = "2001:db8::5" if ipv6 else "203.0.113.5"
        self._allocate(self.world.client(party, session_id, ip, transport=transport), session_id, party)

    @rule(session_id=sessions, party=parties, transport=transports)
    def open_many_tabs(self, session_id: str, party: str, transport: Transport) -> None:
        """With one credential, so that the first ones give way."""
        for _ in range(MOST):
            self.allocate(session_id, party, transport)

    def _allocate(self, client: Client, session_id: str, party: str) -> None:
        expected = self.answer_to_allocate(client, session_id, party)
        answer = client.allocate((a.LIFETIME, 600))
        code = code_of(answer)
        if code == 486:
            assert expected == 0
            assert self.allocated[session_id] >= BURST
            return
        assert code == expected
        assert answer.first(a.ALTERNATE_SERVER) == (self.alternate_for(client) if code == 300 else None)
        assert answer.verifies(client.key) == (code != 401)
        if code:
            return
        self.allocated[session_id] += 1
        same = [one for one in self.owners if one.client.credential.username == client.credential.username]
        if len(same) >= MOST:
            self.leaves(same[0], GoneReason.REPLACED)
        self.owners.append(Owner(client, session_id, party, self.now + 600))

    @precondition(lambda self: self.gone)
    @rule(pick=picks)
    def allocate_again(self, pick: int) -> None:
        """On the same five-tuple: a UDP socket, or a connection that outlived its allocation."""
        able = [one for one in self.gone if one.client.five_tuple not in self.over]
        if not able:
            return
        owner = able[pick % len(able)]
        # From now on the five-tuple is the new allocation's alone.
        self.gone = [one for one in self.gone if one.client.five_tuple != owner.client.five_tuple]
        self._allocate(replace(owner.client, relayed=NOWHERE), owner.session_id, owner.party)

    @precondition(lambda self: self.gone)
    @rule(pick=picks)
    def ask_for_what_is_gone(self, pick: int) -> None:
        client = self.gone[pick % len(self.gone)].client
        expected = 437 if self.proves_its_key(client) else 401
        assert client.code(Method.REFRESH, (a.LIFETIME, 600)) == expected

    @precondition(lambda self: self.owners)
    @rule(pick=picks, really=st.booleans())
    def hang_up(self, pick: int, really: bool) -> None:
        streams = [one for one in self.owners if one.client.five_tuple.transport.is_stream]
        if really and streams:
            owner = streams[pick % len(streams)]
            self.world.hangs_up(owner.client)
            self.leaves(owner, GoneReason.STREAM_CLOSED)

    @precondition(lambda self: self.gone)
    @rule(pick=picks)
    def hang_up_without_an_allocation(self, pick: int) -> None:
        client = self.gone[pick % len(self.gone)].client
        if client.five_tuple.transport.is_stream:
            self.over.add(client.five_tuple)
            assert self.world.handle(StreamClosed(client.five_tuple)) == []

    # --- operations of administrators ---

    @rule(session_id=sessions, seconds=st.sampled_from([36000, 36000, 36000, 500]))
    def admit(self, session_id: str, seconds: int = 36000) -> None:
        self.open_until[session_id] = self.world.now.wall + seconds
        self.world.handle(Admit(Admission(session_id, ("alice", "bob"), self.open_until[session_id])))
        self.admitted.add(session_id)

    @rule(session_id=sessions, really=rarely)
    def end(self, session_id: str, really: bool) -> None:
        if really:
            self.world.end(session_id)
            self.all_leave(session_id, GoneReason.SESSION_ENDED)

    @precondition(lambda self: self.owners)
    @rule(kind=st.sampled_from(["credential", "credential", "session", "user"]), pick=picks, really=rarely)
    def revoke(self, kind: str, pick: int, really: bool) -> None:
        if really:
            owner = self.live(pick)
            username = owner.client.credential.username
            names = {"credential": username, "session": owner.session_id, "user": owner.party}
            self.revoked.add((kind, names[kind]))
            self._tell_who_is_revoked()

    @precondition(lambda self: self.revoked)
    @rule(pick=picks)
    def forgive(self, pick: int) -> None:
        listed = sorted(self.revoked)
        self.revoked.remove(listed[pick % len(listed)])
        self._tell_who_is_revoked()

    def _tell_who_is_revoked(self) -> None:
        of_kind = {
            kind: frozenset(name for listed, name in self.revoked if listed == kind)
            for kind in ("credential", "session", "user")
        }
        self.world.handle(Revoke(Revocations(of_kind["credential"], of_kind["session"], of_kind["user"])))
        for session_id in of_kind["session"]:
            self.all_leave(session_id, GoneReason.REVOKED)
        for owner in tuple(self.owners):
            if self.is_revoked(owner.client, owner.session_id, owner.party):
                self.leaves(owner, GoneReason.REVOKED)

    @rule(keep=st.integers(0, 2), elsewhere=alternates)
    def reconfigure(self, keep: int, elsewhere: tuple[Address, ...]) -> None:
        """Another secret on top; so many of the former ones stay in force."""
        self.secrets_made += 1
        self.world.secrets = (SECRET + b"%d" % self.secrets_made, *self.world.secrets[:keep])
        self.world.rules = replace(self.world.rules, alternate_servers=elsewhere)
        # What would change who may reach whom is not taken over.
        written = replace(
            self.world.rules,
            relayed_prefix="2001:db8:1::/64",
            realm=b"another",
            pairing="any",
            admission_required=False,
        )
        self.world.handle(Reconfigure(written, CredentialSecrets(self.world.secrets)))

    @precondition(lambda self: not self.draining)
    @rule(really=rarely, surely=rarely)
    def drain(self, really: bool, surely: bool) -> None:
        if really and surely:
            assert self.world.handle(Drain()) == []
            self.draining = True

    # --- time ---

    @rule(seconds=st.sampled_from([1, 1, 2, 50, 119, 299, 301, 601, 7201]))
    def time_passes(self, seconds: int) -> None:
        self.world.passes(seconds)
        for session_id in sorted(self.admitted):
            if self.open_until[session_id] <= self.world.now.wall:
                self.all_leave(session_id, GoneReason.SESSION_EXPIRED)
        for owner in [one for one in self.owners if one.expires_at <= self.now]:
            self.leaves(owner, GoneReason.EXPIRED)
        for owner in self.owners + self.gone:
            owner.client.nonce = b""

    @rule()
    def what_was_held_is_released(self) -> None:
        """The sweep follows because the clock now stands between whole seconds, where something may end."""
        self.world.settles()
        self.time_passes(0)

    @precondition(lambda self: self.owners)
    @rule(pick=picks, really=rarely, again=st.booleans())
    def come_too_late_but_before_the_sweep(self, pick: int, really: bool, again: bool) -> None:
        if not really:
            return
        owner = self.live(pick)
        client = owner.client
        client.learn_nonce()
        self.world.passes(max(owner.expires_at - self.now, 0), sweep=False)
        self.leaves(owner, GoneReason.EXPIRED)
        if client.five_tuple.transport.is_stream:
            # Its connection ends with its allocation: there is nobody any more to make another for.
            assert client.raw(client.signed(Method.ALLOCATE if again else Method.REFRESH, [UDP])) is None
        elif again:
            self.gone.remove(owner)
            self._allocate(replace(client, relayed=NOWHERE), owner.session_id, owner.party)
        else:
            self.ask_for_what_is_gone(self.gone.index(owner))
        self.time_passes(0)

    # --- what always holds ---

    @invariant()
    def what_ended_ended_for_the_models_reason_and_took_its_stream_along(self) -> None:
        if not hasattr(self, "world"):
            return
        assert Counter((one.five_tuple, one.reason) for one in self.world.gone) == Counter(self.ended)
        against_its_wish = [
            five_tuple
            for five_tuple, reason in self.ended
            if five_tuple.transport.is_stream and reason not in BY_THE_CLIENT
        ]
        assert Counter(self.world.closed) == Counter(against_its_wish)
        self.world.notices.clear()
        self.world.closed.clear()
        self.ended.clear()


StreamRelay.TestCase.settings = settings(max_examples=300, stateful_step_count=80, deadline=None)
# A failure is worth the time it takes to make it small.
StreamRelay.TestCase.pytestmark = [pytest.mark.timeout(600)]  # type: ignore[attr-defined]  # made by hypothesis
test_any_sequence_with_streams_revocations_and_drains_is_as_the_model_says = StreamRelay.TestCase

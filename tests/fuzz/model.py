"""What somebody knows who reads along: who is let in, who was given which nonce, who permits whom to send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from relay.prefix_budget import network_of
from relay.revocations import NOBODY
from relay.stun import attributes as a
from relay.stun.message import Message, MessageClass, Method
from relay.turn.allocation import Allocation
from relay.turn.events import Admit, Drain, EndSession, Event, Now, Revoke, Sweep, TurnRules
from relay.vocabulary import FiveTuple

NONCE_SECONDS = 3600
PERMISSION_SECONDS = {Method.CREATE_PERMISSION: 300, Method.CHANNEL_BIND: 600}


class Model:
    """It knows nothing of rows, and of a server only what it was told and what it answered."""

    def __init__(self, rules: TurnRules, nonces: Mapping[FiveTuple, bytes], now: Now) -> None:
        self._rules = rules
        self._nonces = dict.fromkeys(nonces.items(), now.monotonic)
        self._swept_at = now.monotonic
        self._permits_until: dict[FiveTuple, float] = {}
        self._open: dict[str, tuple[tuple[str, str], float]] = {}
        self._unproven: Counter[tuple[str, float, bool]] = Counter()
        self._revoked = NOBODY
        self._draining = False

    def is_told(self, event: Event, now: Now) -> None:
        match event:
            case Admit(admission):
                self._open[admission.session_id] = admission.parties, admission.expires_at
            case EndSession(session_id):
                self._open.pop(session_id, None)
            case Revoke(revocations):
                self._revoked = revocations
                for session_id in revocations.sessions:
                    self._open.pop(session_id, None)
            case Drain():
                self._draining = True
            case Sweep():
                self._swept_at = now.monotonic
            case _:
                pass

    def hears_answer(self, five_tuple: FiveTuple, answer: Message, now: Now) -> None:
        nonce = answer.first(a.NONCE)
        if nonce is not None:
            self._nonces[five_tuple, nonce] = now.monotonic
        if answer.message_class is MessageClass.SUCCESS and answer.method in PERMISSION_SECONDS:
            until = now.monotonic + PERMISSION_SECONDS[Method(answer.method)]
            self._permits_until[five_tuple] = max(self._permits_until.get(five_tuple, 0), until)

    def hears_of_allocation(self, five_tuple: FiveTuple) -> None:
        """A new one permits nobody yet."""
        self._permits_until.pop(five_tuple, None)

    def unproven_answers(self, ip: str, now: Now, *, is_owned: bool) -> int:
        """How many with this one a network has had at this moment without proving anything, counted by
        whether the five-tuple had an allocation."""
        counted = network_of(ip), now.monotonic, is_owned
        self._unproven[counted] += 1
        return self._unproven[counted]

    # --- what follows ---

    def is_fresh(self, five_tuple: FiveTuple, nonce: bytes, now: Now) -> bool:
        given_at = self._nonces.get((five_tuple, nonce))
        return given_at is not None and now.monotonic - given_at <= NONCE_SECONDS

    def permits(self, five_tuple: FiveTuple, now: Now) -> bool:
        return now.monotonic < self._permits_until.get(five_tuple, 0)

    def may_still_be_heard(self, five_tuple: FiveTuple) -> bool:
        """A permission that has run out counts until the next sweep."""
        return self._swept_at < self._permits_until.get(five_tuple, 0)

    def is_revoked(self, allocation: Allocation) -> bool:
        claim = allocation.claim
        return (
            allocation.username.decode() in self._revoked.credentials
            or claim.session_id in self._revoked.sessions
            or claim.party in self._revoked.users
        )

    def may_be_made(self, allocation: Allocation, now: Now) -> bool:
        claim = allocation.claim
        parties, until = self._open.get(claim.session_id, ((), 0.0))
        admitted = claim.party in parties and now.wall < until
        return (
            not self._draining
            and now.wall < claim.expires_at
            and (admitted or not self._rules.admission_required)
        )

"""Every live session and allocation, and how they begin and end. Commands are appended to `out`."""

from __future__ import annotations

from dataclasses import dataclass

from relay.credentials import ClaimedName
from relay.revocations import NOBODY, Revocations
from relay.turn.address_pool import AddressPool, PortPool
from relay.turn.allocation import Allocation
from relay.turn.allocation_rate import AllocationRate
from relay.turn.events import (
    Admission,
    AllocationGone,
    CloseStream,
    Command,
    Disown,
    GoneReason,
    Now,
    Randomness,
    RemoveSession,
    TurnRules,
)
from relay.turn.refusal import RefusalError, RefusalReason
from relay.turn.routing import Router
from relay.turn.session import Session
from relay.vocabulary import Address, FiveTuple

RESERVATION_SECONDS = 30
ANY_SESSION = "any"
_BY_THE_CLIENT = (GoneReason.CLOSED, GoneReason.STREAM_CLOSED)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A port kept for a RESERVATION-TOKEN (RFC 8656 section 7.2)."""

    session: Session
    username: bytes
    port: int
    until: float


class AllocationTable:
    """Bounded by the rules: in all, per credential, and in reservations per credential.

    Each session is bounded in its rate.
    """

    def __init__(self, rules: TurnRules, randomness: Randomness, router: Router) -> None:
        self.rules = rules
        self._revocations = NOBODY
        self._randomness = randomness
        self._router = router
        self._pool = AddressPool(rules.relayed_prefix, randomness)
        self._rate = AllocationRate()
        self.sessions: dict[str, Session] = {}
        self.by_five_tuple: dict[FiveTuple, Allocation] = {}
        self._by_username: dict[bytes, dict[Allocation, None]] = {}
        self._reservations: dict[bytes, Reservation] = {}

    @property
    def relays_ipv6(self) -> bool:
        return self._pool.is_ipv6

    # --- sessions ---------------------------------------------------------------------------------

    def admit(self, admission: Admission) -> None:
        """Raises ValueError when the session is open with other parties."""
        session = self.sessions.get(admission.session_id)
        if session is None:
            self.sessions[admission.session_id] = Session(
                admission.session_id,
                PortPool(self._randomness),
                parties=admission.parties,
                expires_at=admission.expires_at,
                payload_types={},
            )
        elif session.parties != admission.parties:
            raise ValueError("a session's parties never change")
        else:
            session.expires_at = admission.expires_at

    def session_for(self, username: bytes, claim: ClaimedName, now: Now) -> tuple[Session, str]:
        """The session a credential leads into, and the party. Raises RefusalError 403."""
        if self._revocations.cover(username, claim):
            raise RefusalError(RefusalReason.REVOKED)
        if self.rules.pairing == "any":
            return self._session_by_credential(ANY_SESSION), claim.party
        if not self.rules.admission_required:
            return self._session_by_credential(claim.session_id), claim.party
        session = self.sessions.get(claim.session_id)
        if session is None or session.expires_at is None or session.expires_at <= now.wall:
            raise RefusalError(RefusalReason.NOT_ADMITTED)
        if session.parties is None or claim.party not in session.parties:
            raise RefusalError(RefusalReason.NOT_ADMITTED)
        return session, claim.party

    def end_session(self, session_id: str, reason: GoneReason, now: Now, out: list[Command]) -> None:
        """Nothing of the session passes once these commands are carried out."""
        session = self.sessions.pop(session_id, None)
        if session is None:
            return
        out.append(RemoveSession(session_id))
        allocations = tuple(session.allocations.values())
        for allocation in allocations:
            # Its rows have gone with the session's.
            allocation.installed.clear()
        for allocation in allocations:
            self._take_out(allocation, reason, now, out)
        self._close(session, now)

    def revoke(self, revocations: Revocations, now: Now, out: list[Command]) -> None:
        """Nothing of those who are covered passes once these commands are carried out."""
        self._revocations = revocations
        if self.rules.pairing == "session":
            for session_id in revocations.sessions:
                self.end_session(session_id, GoneReason.REVOKED, now, out)
        for allocation in tuple(self.by_five_tuple.values()):
            if revocations.cover(allocation.username, allocation.claim):
                self.remove(allocation, GoneReason.REVOKED, now, out)

    # --- allocations ------------------------------------------------------------------------------

    def check_rate(self, session: Session, now: Now) -> None:
        """Raises RefusalError 486 for a session that allocates too fast. What all share has no such limit."""
        if self.rules.pairing == "session" and not self._rate.take(session.session_id, now.monotonic):
            raise RefusalError(RefusalReason.ALLOCATING_TOO_FAST)

    def check_room(self, username: bytes) -> None:
        """Raises RefusalError 508 when the relay is full, unless one of the credential's own would go."""
        replaces = len(self._by_username.get(username, ())) >= self.rules.max_allocations_per_credential
        if len(self.by_five_tuple) >= self.rules.max_allocations and not replaces:
            raise RefusalError(RefusalReason.FULL)

    def replace_oldest(self, username: bytes, now: Now, out: list[Command]) -> None:
        """For one more allocation that is sure to be made, so that the credential keeps to its bound."""
        while len(mine := self._by_username.get(username, {})) >= self.rules.max_allocations_per_credential:
            self.remove(next(iter(mine)), GoneReason.REPLACED, now, out)

    def choose_address(
        self, session: Session, username: bytes, now: Now, *, even_port: bool | None, token: bytes | None
    ) -> tuple[Address, bytes | None]:
        """A relayed address, and the token of a port reserved with it. Raises RefusalError 508."""
        if token is not None:
            return self._redeem(token, session, username, now), None
        if session.ip is None:
            session.ip = self._pool.take(now.monotonic)
        if session.ip is None:
            raise RefusalError(RefusalReason.NO_ADDRESS)
        self._end_reservations(now)
        reserve_next = bool(even_port)
        if reserve_next and self._reserved_by(username) >= self.rules.max_allocations_per_credential:
            raise RefusalError(RefusalReason.NO_ADDRESS)
        port = session.ports.take(even=even_port is not None, with_next=reserve_next)
        if port is None:
            raise RefusalError(RefusalReason.NO_ADDRESS)
        if not reserve_next:
            return Address(session.ip, port), None
        new_token = self._randomness.octets(8)
        until = now.monotonic + RESERVATION_SECONDS
        self._reservations[new_token] = Reservation(session, username, port + 1, until)
        return Address(session.ip, port), new_token

    def add(self, allocation: Allocation) -> None:
        self.by_five_tuple[allocation.five_tuple] = allocation
        self._by_username.setdefault(allocation.username, {})[allocation] = None
        allocation.session.allocations[allocation.relayed] = allocation
        allocation.session.was_used = True

    def remove(self, allocation: Allocation, reason: GoneReason, now: Now, out: list[Command]) -> None:
        session = allocation.session
        self._take_out(allocation, reason, now, out)
        self.close_if_unused(session, now, out)

    def _take_out(self, allocation: Allocation, reason: GoneReason, now: Now, out: list[Command]) -> None:
        session = allocation.session
        del session.allocations[allocation.relayed]
        self._router.forget(allocation, out)
        del self.by_five_tuple[allocation.five_tuple]
        mine = self._by_username[allocation.username]
        del mine[allocation]
        if not mine:
            del self._by_username[allocation.username]
        session.ports.give_back(allocation.relayed.port)
        out.append(Disown(allocation.five_tuple))
        out.append(
            AllocationGone(
                session.session_id,
                allocation.party,
                allocation.five_tuple,
                allocation.relayed,
                reason,
            )
        )
        if allocation.five_tuple.transport.is_stream and reason not in _BY_THE_CLIENT:
            out.append(CloseStream(allocation.five_tuple))

    # --- expiry -----------------------------------------------------------------------------------

    def sweep(self, now: Now, out: list[Command]) -> None:
        self._end_reservations(now)
        self._rate.forget_rested(now.monotonic)
        for session in tuple(self.sessions.values()):
            if session.expires_at is not None and session.expires_at <= now.wall:
                self.end_session(session.session_id, GoneReason.SESSION_EXPIRED, now, out)
            else:
                self.close_if_unused(session, now, out)
        for allocation in tuple(self.by_five_tuple.values()):
            if allocation.next_expiry <= now.monotonic:
                self._sweep_one(allocation, now, out)

    def _sweep_one(self, allocation: Allocation, now: Now, out: list[Command]) -> None:
        at = now.monotonic
        if allocation.expires_at <= at:
            self.remove(allocation, GoneReason.EXPIRED, now, out)
            return
        for number, channel in tuple(allocation.channels.items()):
            if channel.expires_at <= at:
                self._router.withdraw(allocation, number, out)
                del allocation.channels[number]
                del allocation.channel_to[channel.peer]
        self._router.end_holds(allocation, at)
        self._router.refresh_around(allocation, at, out)
        allocation.next_expiry = allocation.earliest_expiry(at)

    # --- inside -----------------------------------------------------------------------------------

    def _session_by_credential(self, session_id: str) -> Session:
        session = self.sessions.get(session_id)
        if session is None:
            session = self.sessions[session_id] = Session(
                session_id,
                PortPool(self._randomness),
                parties=None,
                expires_at=None,
                payload_types=None,
                same_party_may_meet=self.rules.pairing == "any",
            )
        return session

    def close_if_unused(self, session: Session, now: Now, out: list[Command]) -> None:
        """End a session that only a credential admitted, once nothing is left of it."""
        if session.expires_at is None and not session.allocations and not self._has_reservation(session):
            del self.sessions[session.session_id]
            if session.was_used:
                out.append(RemoveSession(session.session_id))
            self._close(session, now)

    def _close(self, session: Session, now: Now) -> None:
        for token, reservation in tuple(self._reservations.items()):
            if reservation.session is session:
                del self._reservations[token]
        if session.ip is not None:
            self._pool.give_back(session.ip, now.monotonic)

    def _redeem(self, token: bytes, session: Session, username: bytes, now: Now) -> Address:
        self._end_reservations(now)
        reservation = self._reservations.get(token)
        if (
            reservation is None
            or reservation.session is not session
            or reservation.username != username
            or session.ip is None
        ):
            raise RefusalError(RefusalReason.TOKEN_UNKNOWN)
        del self._reservations[token]
        return Address(session.ip, reservation.port)

    def _end_reservations(self, now: Now) -> None:
        # Insertion order is order of expiry.
        while self._reservations:
            token, reservation = next(iter(self._reservations.items()))
            if reservation.until > now.monotonic:
                return
            del self._reservations[token]
            reservation.session.ports.give_back(reservation.port)

    def _reserved_by(self, username: bytes) -> int:
        return sum(reservation.username == username for reservation in self._reservations.values())

    def _has_reservation(self, session: Session) -> bool:
        return any(reservation.session is session for reservation in self._reservations.values())

"""From permissions and channels to rows: which way one allocation's packets reach another.

Every function appends commands to `out`. A row exists exactly while the sender may send in that form, the
receiver permits it, and both are alive in the same session; it is recomputed whenever one of these changes.
"""

from __future__ import annotations

from collections import deque

from relay.turn.allocation import Allocation, Held
from relay.turn.events import Command, ControlDrop, Forward, Install, Remove, Wake
from relay.vocabulary import Address, Leg, Route

HELD_PER_LEG = 4
HELD_SECONDS = 3.0
MAX_HELD_BYTES = 1 << 20
TOTAL_LIMITER = "total"
"""The limiter that every packet of the relay passes, besides that of its sender."""
SETTLE_SECONDS = 0.02
"""How long after its own success response a client is given what was held for it.

Some take a channel's data only once the code that waited for the response has run.
"""


class Router:
    """Compiles rows, and holds what comes a moment too early."""

    def __init__(self, dtls_budget_bytes: int) -> None:
        self.dtls_budget_bytes = dtls_budget_bytes
        self.held_bytes = 0
        self._settling: deque[tuple[float, Allocation, Leg]] = deque()

    def carry(
        self, sender: Allocation, form: int | Address, payload: bytes, now: float, out: list[Command]
    ) -> ControlDrop | None:
        """Forward a payload that reached control, hold it, or say why it was dropped."""
        peer = self._peer_of(sender, form, now)
        if peer is None:
            return ControlDrop.UNBOUND
        receiver = sender.session.reachable(sender, peer)
        if receiver is None:
            return ControlDrop.FOREIGN_PEER
        if isinstance(form, Address):
            if not sender.permits(now):
                return ControlDrop.NOT_PERMITTED
            if form not in sender.addressed:
                sender.addressed.add(form)
                receiver.senders.add(sender)
                self.refresh(sender, peer, now, out)
        if receiver.permits(now):
            out.append(Forward(sender.leg(form), payload))
            return None
        return None if self._hold(receiver, sender.leg(form), payload, now) else ControlDrop.NOT_HELD

    def refresh(self, sender: Allocation, peer: Address, now: float, out: list[Command]) -> None:
        """Bring the rows from this sender towards this peer up to date."""
        receiver = sender.session.reachable(sender, peer)
        for form in sender.forms_towards(peer):
            wanted = self._route(sender, form, receiver, now) if receiver is not None else None
            if wanted == sender.installed.get(form):
                continue
            if wanted is None or receiver is None:
                self.withdraw(sender, form, out)
                continue
            sender.installed[form] = wanted
            counted_as = sender.session.counted_as
            out.append(Install(wanted, counted_as(sender.party), counted_as(receiver.party)))
            if wanted.source in receiver.held:
                self._settling.append((now + SETTLE_SECONDS, receiver, wanted.source))
                out.append(Wake(SETTLE_SECONDS))

    def refresh_around(self, allocation: Allocation, now: float, out: list[Command]) -> None:
        """Bring all rows from and to this allocation up to date."""
        for sender in tuple(allocation.senders):
            self.refresh(sender, allocation.relayed, now, out)
        for peer in {*allocation.channel_to, *allocation.addressed}:
            self.refresh(allocation, peer, now, out)

    def release(self, now: float, out: list[Command]) -> None:
        """Forward what was held and is permitted by now."""
        while self._settling and self._settling[0][0] <= now:
            _, receiver, source = self._settling.popleft()
            held = receiver.held.pop(source, [])
            self.held_bytes -= sum(len(one.payload) for one in held)
            out.extend(Forward(source, one.payload) for one in held if now < one.until)

    def withdraw(self, sender: Allocation, form: int | Address, out: list[Command]) -> None:
        """Take one row out; nothing if there is none."""
        if sender.installed.pop(form, None) is not None:
            out.append(Remove(sender.session.session_id, sender.leg(form)))

    def forget(self, gone: Allocation, out: list[Command]) -> None:
        """Take out every row from and to an allocation that has left its session."""
        for form in tuple(gone.installed):
            self.withdraw(gone, form, out)
        for sender in gone.senders:
            for form in sender.forms_towards(gone.relayed):
                self.withdraw(sender, form, out)
            sender.addressed.discard(gone.relayed)
            channel = sender.channel_to.pop(gone.relayed, None)
            if channel is not None:
                del sender.channels[channel]
        for peer in {*gone.channel_to, *gone.addressed}:
            receiver = gone.session.allocations.get(peer)
            if receiver is not None:
                receiver.senders.discard(gone)
                self._drop_held(receiver, [leg for leg in receiver.held if leg.five_tuple == gone.five_tuple])
        self._drop_held(gone, list(gone.held))

    def end_holds(self, allocation: Allocation, now: float) -> None:
        """Drop what has been held for too long."""
        for leg, held in tuple(allocation.held.items()):
            if held[0].until <= now:
                self._drop_held(allocation, [leg])

    def _route(
        self, sender: Allocation, form: int | Address, receiver: Allocation, now: float
    ) -> Route | None:
        if not receiver.permits(now) or (isinstance(form, Address) and not sender.permits(now)):
            return None
        session = sender.session
        return Route(
            source=sender.leg(form),
            target=receiver.leg(receiver.channel_to.get(sender.relayed, sender.relayed)),
            session_id=session.session_id,
            payload_types=session.carries_from(sender.party),
            audio_payload_types=session.audio_payload_types.get(sender.party, frozenset()),
            dtls_budget_bytes=self.dtls_budget_bytes,
            limiter_ids=(sender_limiter(session.session_id, sender.party), TOTAL_LIMITER),
        )

    @staticmethod
    def _peer_of(sender: Allocation, form: int | Address, now: float) -> Address | None:
        if isinstance(form, Address):
            return form
        channel = sender.channels.get(form)
        return channel.peer if channel is not None and now < channel.expires_at else None

    def _hold(self, receiver: Allocation, source: Leg, payload: bytes, now: float) -> bool:
        """Whether there was room."""
        held = receiver.held.get(source, [])
        if len(held) >= HELD_PER_LEG or self.held_bytes + len(payload) > MAX_HELD_BYTES:
            return False
        receiver.held[source] = [*held, Held(payload, now + HELD_SECONDS)]
        self.held_bytes += len(payload)
        receiver.next_expiry = 0.0
        return True

    def _drop_held(self, receiver: Allocation, sources: list[Leg]) -> None:
        for source in sources:
            self.held_bytes -= sum(len(one.payload) for one in receiver.held.pop(source))


def sender_limiter(session_id: str, party: str) -> str:
    """The limiter of what one party sends in a session, by whatever allocation."""
    return f"session:{session_id}:{party}"

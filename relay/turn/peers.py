"""CreatePermission, ChannelBind, and data on its way to a peer (RFC 8656 sections 10 to 12)."""

from __future__ import annotations

from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.message import Message
from relay.turn.allocation import (
    CHANNEL_LIFETIME_SECONDS,
    PERMISSION_LIFETIME_SECONDS,
    Allocation,
    Channel,
)
from relay.turn.events import Command, ControlDrop, Now, TurnRules
from relay.turn.refusal import RefusalError, RefusalReason
from relay.turn.request import AllocatedRequest, Answer
from relay.turn.routing import Router
from relay.vocabulary import Address


class Peers:
    """What an allocation's owner says about the peers it wants to exchange data with."""

    def __init__(self, rules: TurnRules, router: Router) -> None:
        self.rules = rules
        self._router = router

    def create_permission(self, request: AllocatedRequest) -> Answer:
        allocation, at = request.allocation, request.now.monotonic
        peers = request.message.every(a.XOR_PEER_ADDRESS)
        if not peers:
            raise RefusalError(RefusalReason.MALFORMED)
        for peer in peers:
            self._check_family(allocation, peer)
        for peer in peers:
            self._reachable(allocation, peer)
        answer = Answer()
        self._permit(allocation, at, PERMISSION_LIFETIME_SECONDS, answer.afterwards)
        return answer

    def bind_channel(self, request: AllocatedRequest) -> Answer:
        allocation, at = request.allocation, request.now.monotonic
        number = request.message.first(a.CHANNEL_NUMBER)
        peer = request.message.first(a.XOR_PEER_ADDRESS)
        if number is None or peer is None:
            raise RefusalError(RefusalReason.MALFORMED)
        last = channel_data.LAST_LEGACY_CHANNEL if self.rules.legacy_channels else channel_data.LAST_CHANNEL
        if not channel_data.FIRST_CHANNEL <= number <= last:
            raise RefusalError(RefusalReason.CHANNEL_OUT_OF_RANGE)
        self._end_expired_channels(request, number, peer)
        bound = allocation.channels.get(number)
        if (bound is not None and bound.peer != peer) or allocation.channel_to.get(peer, number) != number:
            raise RefusalError(RefusalReason.CHANNEL_TAKEN)
        self._check_family(allocation, peer)
        receiver = self._reachable(allocation, peer)
        answer = Answer()
        allocation.channels[number] = Channel(peer, at + CHANNEL_LIFETIME_SECONDS)
        allocation.channel_to[peer] = number
        receiver.senders.add(allocation)
        # The RFC lets this permission end after 300 s. Clients that send nothing but ChannelBind, refreshed
        # once in 500 s, would lose their call; here it lives as long as the channel.
        self._permit(allocation, at, CHANNEL_LIFETIME_SECONDS, answer.afterwards)
        self._router.refresh(allocation, peer, at, answer.afterwards)
        # What this peer sends arrives as ChannelData from now on.
        self._router.refresh(receiver, allocation.relayed, at, answer.afterwards)
        return answer

    def send(
        self, message: Message, allocation: Allocation, now: Now, out: list[Command]
    ) -> ControlDrop | None:
        """A Send indication; why it was dropped, if it was. Raises MalformedError."""
        peer, data = message.first(a.XOR_PEER_ADDRESS), message.first(a.DATA)
        if peer is None or data is None:
            return ControlDrop.MALFORMED
        return self._router.carry(allocation, peer, data, now.monotonic, out)

    def channel_data(
        self, datagram: bytes, allocation: Allocation, now: Now, out: list[Command]
    ) -> ControlDrop | None:
        """ChannelData for which the plane had no row; why it was dropped. Raises MalformedError."""
        number, payload = channel_data.parse(datagram)
        return self._router.carry(allocation, number, payload, now.monotonic, out)

    def _permit(self, allocation: Allocation, at: float, seconds: float, out: list[Command]) -> None:
        permitted = allocation.permits(at)
        allocation.permitted_until = max(allocation.permitted_until, at + seconds)
        allocation.next_expiry = 0.0
        if not permitted:
            self._router.refresh_around(allocation, at, out)

    def _end_expired_channels(self, request: AllocatedRequest, number: int, peer: Address) -> None:
        """Of this number and to this peer, without waiting for the sweep."""
        allocation, at = request.allocation, request.now.monotonic
        for one in (number, allocation.channel_to.get(peer, number)):
            channel = allocation.channels.get(one)
            if channel is not None and channel.expires_at <= at:
                self._router.withdraw(allocation, one, request.before)
                del allocation.channels[one]
                del allocation.channel_to[channel.peer]
                sender = allocation.session.allocations.get(channel.peer)
                if sender is not None:
                    # What this one sends must not come by a number that may mean somebody else now.
                    self._router.refresh(sender, allocation.relayed, at, request.before)

    @staticmethod
    def _check_family(allocation: Allocation, peer: Address) -> None:
        if peer.is_ipv6 != allocation.relayed.is_ipv6:
            raise RefusalError(RefusalReason.FAMILY_MISMATCH)

    @staticmethod
    def _reachable(allocation: Allocation, peer: Address) -> Allocation:
        # One answer for an unused port, another session's and a party's own: it tells nothing of what lives.
        receiver = allocation.session.reachable(allocation, peer)
        if receiver is None:
            raise RefusalError(RefusalReason.PEER_NOT_IN_SESSION)
        return receiver

"""Allocate and Refresh (RFC 8656 sections 7 and 8)."""

from __future__ import annotations

from relay.stun import attributes as a
from relay.stun.address import FAMILY_IPV4, FAMILY_IPV6
from relay.stun.message import Field, Message
from relay.turn.allocation import Allocation
from relay.turn.authentication import Requester
from relay.turn.events import AllocationMade, Command, GoneReason, Now, Own, TurnRules
from relay.turn.refusal import RefusalError, RefusalReason
from relay.turn.request import AllocatedRequest, Answer
from relay.turn.table import AllocationTable
from relay.vocabulary import FiveTuple

_UDP = 17


class Allocator:
    """Makes, prolongs and ends allocations."""

    def __init__(self, rules: TurnRules, table: AllocationTable) -> None:
        self.rules = rules
        self._table = table

    def allocate(
        self, message: Message, five_tuple: FiveTuple, requester: Requester, now: Now, out: list[Command]
    ) -> tuple[Allocation, Answer]:
        """A new allocation with its answer; `out` gets what makes room for it.

        Raises RefusalError and MalformedError.
        """
        self._check_form(message)
        lifetime = self._lifetime(message)
        session, party = self._table.session_for(requester.username, requester.claim, now)
        try:
            self._table.check_rate(session, now)
            self._table.check_room(requester.username)
            relayed, reserved = self._table.choose_address(
                session,
                requester.username,
                now,
                even_port=message.first(a.EVEN_PORT),
                token=message.first(a.RESERVATION_TOKEN),
            )
        except RefusalError:
            self._table.close_if_unused(session, now, out)
            raise
        self._table.replace_oldest(requester.username, now, out)
        allocation = Allocation(
            five_tuple=five_tuple,
            username=requester.username,
            claim=requester.claim,
            seal=requester.seal,
            algorithm=requester.algorithm,
            session=session,
            party=party,
            relayed=relayed,
            transaction_id=message.transaction_id,
            expires_at=now.monotonic + lifetime,
        )
        self._table.add(allocation)
        fields: list[Field] = [
            (a.XOR_RELAYED_ADDRESS, relayed),
            (a.LIFETIME, lifetime),
            (a.XOR_MAPPED_ADDRESS, five_tuple.client),
        ]
        if reserved is not None:
            fields.append((a.RESERVATION_TOKEN, reserved))
        if message.first(a.ADDITIONAL_ADDRESS_FAMILY) is not None:
            other = FAMILY_IPV4 if self._table.relays_ipv6 else FAMILY_IPV6
            fields.append((a.ADDRESS_ERROR_CODE, (other, RefusalReason.FAMILY_NOT_RELAYED.code)))
        made = AllocationMade(session.session_id, party, five_tuple, relayed)
        return allocation, Answer(fields, [Own(five_tuple), made])

    def refresh(self, request: AllocatedRequest) -> Answer:
        message, allocation, now = request.message, request.allocation, request.now
        family = message.first(a.REQUESTED_ADDRESS_FAMILY)
        if family is not None and family != self._family():
            raise RefusalError(RefusalReason.FAMILY_MISMATCH)
        if message.first(a.LIFETIME) == 0:
            answer = Answer([(a.LIFETIME, 0)])
            self._table.remove(allocation, GoneReason.CLOSED, now, answer.afterwards)
            return answer
        lifetime = self._lifetime(message)
        allocation.expires_at = now.monotonic + lifetime
        allocation.next_expiry = 0.0
        return Answer([(a.LIFETIME, lifetime)])

    def _check_form(self, message: Message) -> None:
        # In the order of RFC 8656 section 7.2.
        transport = message.first(a.REQUESTED_TRANSPORT)
        if transport is None:
            raise RefusalError(RefusalReason.MALFORMED)
        if transport != _UDP:
            raise RefusalError(RefusalReason.TRANSPORT_NOT_RELAYED)
        token = message.first(a.RESERVATION_TOKEN)
        even_port = message.first(a.EVEN_PORT)
        family = message.first(a.REQUESTED_ADDRESS_FAMILY)
        additional = message.first(a.ADDITIONAL_ADDRESS_FAMILY)
        if token is not None and (even_port, family, additional) != (None, None, None):
            raise RefusalError(RefusalReason.MALFORMED)
        if additional is not None and (additional != FAMILY_IPV6 or family is not None or even_port):
            raise RefusalError(RefusalReason.MALFORMED)
        # Who names no family asks for IPv4, and with the additional one for both, of which one will do.
        if (
            token is None
            and additional is None
            and (FAMILY_IPV4 if family is None else family) != self._family()
        ):
            raise RefusalError(RefusalReason.FAMILY_NOT_RELAYED)
        if message.first(a.MOBILITY_TICKET) is not None:
            raise RefusalError(RefusalReason.MOBILITY)

    def _family(self) -> int:
        return FAMILY_IPV6 if self._table.relays_ipv6 else FAMILY_IPV4

    def _lifetime(self, message: Message) -> int:
        wanted = message.first(a.LIFETIME) or 0
        return max(min(wanted, self.rules.max_lifetime_seconds), self.rules.default_lifetime_seconds)

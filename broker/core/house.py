"""House: the state that the nouns share, in memory, rebuilt from the store and the connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId
from broker.core.call import Call, EndingCall
from broker.core.client_frames import ClientProgram
from broker.core.clock import Deadlines, Ids, Now
from broker.core.commands import ConnectionId, OpeningEffect, Show, Tell
from broker.core.frame_fields import ShownStatus, Status
from broker.core.frames import Contact, IceServer, OpeningFrame, PlainFrame
from broker.core.gate import Gate
from broker.core.refusals import Refusals
from broker.core.sign_in import SignIn
from broker.core.stopped import Drill, EndOf, PendingLift, Tally
from broker.core.stored import Invitation, SecurityKey
from broker.policy.administration import Role, View
from broker.policy.decision import Decision, Obligation
from broker.policy.question import Subject
from broker.policy.stop import Scope


@dataclass(frozen=True, slots=True)
class HouseRules:
    """The settings that the core obeys; units as in the configuration of the same names."""

    max_connections_per_person: int
    max_text_characters: int
    ring_timeout_seconds: int
    max_call_seconds: int
    invitation_default_expiry_seconds: int
    invitation_max_expiry_seconds: int
    invitation_default_redemptions: int
    invitation_max_redemptions: int
    visit_seconds: int
    sign_in_seconds: int
    outage_grace_seconds: int
    guest_notice: str
    refusal_table_rows: int
    admin_sign_in_seconds: int
    sign_in_idle_seconds: int = 3600
    max_sign_ins_per_person: int = 10
    certificate_warning_seconds: int = 14 * 86400
    flood_refusals_per_minute: int = 1000
    hello_timeout_seconds: int = 10
    directory_grace_seconds: int = 900
    max_vanished_percent: int = 20


IceServerFor = Callable[[str, PartyId, int], IceServer]
"""(session id, party, expiry in Unix seconds) -> the party's own credential for the relay, at the address of
their side."""
InvitationLink = Callable[[str, int, int], str]
"""(invitation id, issue, expiry in Unix seconds) -> the link with the signed secret in its fragment."""


MAX_SHOWN_MESSAGES = 4096
"""How many messages one connection may leave unacknowledged before the oldest can only be delivered again."""


@dataclass(slots=True)
class Connection:
    """One authenticated WebSocket."""

    connection_id: ConnectionId
    principal: Insider | Guest
    source: Personal
    token_digest: str
    opened_at_unix_seconds: int
    host: Insider | None = None
    """Of a guest: their inviter, as the directory last told of them."""
    decisions: tuple[Decision, ...] = ()
    """What let it in, asked last."""
    program: ClientProgram | None = None
    """None until hello."""
    status: Status = "available"
    sees: set[PartyId] = field(default_factory=set)
    """Parties whose status this connection's person may see, as decided when each was shown."""
    sees_folded: set[PartyId] = field(default_factory=set)
    """Those of them of whom only whether they can be reached is shown."""
    shown_messages: dict[str, bool] = field(default_factory=dict)
    """Ids of messages sent to this connection, oldest first; True while it has not acknowledged them."""
    more_waiting: bool = False
    """Messages wait that did not fit into what was read for this connection last."""
    closing: bool = False

    @property
    def party(self) -> PartyId:
        return self.principal.party

    @property
    def subject(self) -> Subject:
        """What policy is asked about: the person and where they connect from."""
        return Subject(self.principal, self.source.reveal())

    def let_see(self, party: PartyId, decision: Decision) -> None:
        """From now on the person sees that party's status as far as the decision says."""
        folded = Obligation.FOLD_PRESENCE in decision.obligations
        (self.sees.add if decision.allowed else self.sees.discard)(party)
        (self.sees_folded.add if decision.allowed and folded else self.sees_folded.discard)(party)

    def lose_sight_of(self, party: PartyId) -> None:
        """From now on the person sees nothing of that party."""
        self.sees.discard(party)
        self.sees_folded.discard(party)

    def sight_of(self, party: PartyId, status: ShownStatus) -> ShownStatus:
        """What the person sees of that party's status."""
        if party not in self.sees:
            return HIDDEN_STATUS
        if party in self.sees_folded:
            return "offline" if status == "offline" else "available"
        return status

    def remember_message(self, message_id: str) -> None:
        """The connection is about to get this message, and may acknowledge it."""
        self.shown_messages.pop(message_id, None)
        self.shown_messages[message_id] = True
        if len(self.shown_messages) > MAX_SHOWN_MESSAGES:
            del self.shown_messages[next(iter(self.shown_messages))]


@dataclass(slots=True)
class Visit:
    """A redeemed invitation: one guest, in the lobby until the host admits them."""

    guest: Guest
    token_digest: str
    admitted: bool
    expires_at_unix_seconds: int
    opened_at_unix_seconds: int | None = None
    """None for one of an earlier run of the edge, as are its decisions."""
    decisions: tuple[Decision, ...] = ()
    """What let the guest into the lobby, and from there to the host."""


@dataclass(slots=True)
class AdminSignIn:
    """Somebody at the admin listener, in one role. In memory only: a restart ends it, on purpose."""

    insider: Insider
    """As the directory knew them at sign-in."""
    role: Role
    second_factor: bool
    """Whether it took more than a password."""
    views: set[View] = field(default_factory=set)
    """What of this person's looking is on record."""

    @property
    def party(self) -> PartyId:
        return self.insider.party


HIDDEN_STATUS: ShownStatus = "available"
"""Shown in place of a status that policy hides."""


@dataclass(frozen=True, slots=True)
class PolicyAlarm:
    """The policy file is not what is in force: it cannot be used."""

    at_ms: int
    sha256: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """Since when, and by whose doing; `how` as in `events.PolicyApplied`, or `start`."""

    at_ms: int
    how: str
    by: Insider | None


@dataclass(slots=True)
class Review:
    """What is still to be asked about again, and for which span of time the last answers hold."""

    waiting: deque[tuple[str, str]] = field(default_factory=deque)
    """Kinds and ids; those that are gone when their turn comes are passed over."""
    queued: set[tuple[str, str]] = field(default_factory=set)
    asked_at_unix_seconds: int = 0
    holds_until_unix_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that needs a person, since when."""

    name: str
    since_ms: int
    since_monotonic_seconds: float
    detail: str

    def with_detail(self, detail: str) -> Alarm:
        return replace(self, detail=detail)


@dataclass(frozen=True, slots=True)
class ClockJump:
    """The clock on the wall went astray from the steady one by so many seconds."""

    at_monotonic_seconds: float
    seconds: int


@dataclass(slots=True)
class House:
    """Everything the core knows."""

    gate: Gate
    ids: Ids
    rules: HouseRules
    ice_server_for: IceServerFor
    invitation_link: InvitationLink
    refusals: Refusals
    connections: dict[ConnectionId, Connection] = field(default_factory=dict)
    invitations: dict[str, Invitation] = field(default_factory=dict)
    visits: dict[PartyId, Visit] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    ending_calls: dict[str, EndingCall] = field(default_factory=dict)
    relayed: dict[tuple[str, int], tuple[str, PartyId]] = field(default_factory=dict)
    """Live relayed addresses and whose they are: (session id, party)."""
    sign_ins: dict[str, SignIn] = field(default_factory=dict)
    """Those of insiders, by the digest of their tokens."""
    tokens_of: dict[PartyId, list[str]] = field(default_factory=dict)
    """The digests of one person's, the oldest first."""
    people: dict[PartyId, Insider] = field(default_factory=dict)
    """Insiders as the directory last told of them: those on somebody's contact list."""
    directory_silent: float | None = None
    """Monotonic seconds since when the directory has not answered; None while it does."""
    silenced: deque[PartyId] = field(default_factory=deque)
    """Those who lose what they have open because of that."""
    vanished: int = 0
    """How many people the directory does not know any more, where they are too many to be believed."""
    review: Review = field(default_factory=Review)
    policy_in_force: PolicyInForce | None = None
    policy_alarm: PolicyAlarm | None = None
    admin_sign_ins: dict[str, AdminSignIn] = field(default_factory=dict)
    """By the digest of their tokens, which open nothing at the other listeners, as theirs open nothing here.
    """
    code_steps: dict[PartyId, int] = field(default_factory=dict)
    """Of each administrator, the step of the last one-time code that was taken: no earlier one is good."""
    security_keys: dict[str, SecurityKey] = field(default_factory=dict)
    """Those of administrators, by their credential ids."""
    break_glass_used_at: float | None = None
    """Monotonic seconds at which the break-glass account was last used to sign in; None in this run not yet.
    """
    tallies: dict[Scope, Tally] = field(default_factory=dict)
    """Of the emergency stops latched in this run (`Gate.stops`)."""
    to_end: deque[EndOf] = field(default_factory=deque)
    """What they end, in order."""
    stopped_last: Scope | None = None
    """The one of them whose doing it is that something ends now."""
    lifts: dict[Scope, PendingLift] = field(default_factory=dict)
    shared_out: tuple[object, ...] = ()
    """What bandwidth was last shared out for."""
    drill: Drill | None = None
    """The last rehearsal of a stop."""
    latches_missed: int = 0
    """How often a stop's file was gone that nobody had lifted."""
    latches_missing: set[Scope] = field(default_factory=set)
    """Whose it was; of those that are latched still, it is an alarm."""
    alarms: dict[str, Alarm] = field(default_factory=dict)
    """What needed a person when it was last looked at, by name."""
    last_look: Now | None = None
    clock_jump: ClockJump | None = None
    certificate_ends_at: int | None = None
    """Unix seconds; None where nobody has told."""
    drops_by_limit: dict[str, int] = field(default_factory=dict)
    """Of each live call, how many packets the relay has dropped for its rate, as last counted."""
    limited_calls: set[str] = field(default_factory=set)
    """Those of which the last count says more than the one before."""
    flush_is_due: bool = False
    """Whether the refusals of strangers that were counted go on record within the minute."""
    floods: set[str] = field(default_factory=set)
    """Kinds of which very many strangers were turned away in the last minute."""
    deadlines: Deadlines = field(default_factory=Deadlines)
    stopping: bool = False
    """The last event has come: nothing opens any more."""
    outage_since: float | None = None
    """Monotonic seconds at which the record stopped being writable; None while it is."""
    by_party: dict[PartyId, list[ConnectionId]] = field(default_factory=dict)

    def sign_ins_of(self, party: PartyId) -> list[SignIn]:
        """All of one insider's."""
        return [self.sign_ins[token_digest] for token_digest in self.tokens_of.get(party, ())]

    def of_party(self, party: PartyId) -> Iterator[Connection]:
        """The party's connections that have said hello and are not closing."""
        for connection_id in self.by_party.get(party, ()):
            connection = self.connections[connection_id]
            if connection.program is not None and not connection.closing:
                yield connection

    def status_of(self, party: PartyId) -> ShownStatus:
        """The most reachable status of the party's connections."""
        statuses = {connection.status for connection in self.of_party(party)}
        for status in ("available", "busy", "away"):
            if status in statuses:
                return status
        return "offline"

    def call_of(self, party: PartyId) -> Call | None:
        """The call this party is in, ringing included."""
        return next((call for call in self.calls.values() if party in call.grant.parties), None)

    def contact(self, principal: Insider | Guest) -> Contact:
        """The party with their true status, for those who have been allowed to see it."""
        return self._contact(principal, self.status_of(principal.party))

    def contact_for(self, viewer: Connection, principal: Insider | Guest) -> Contact:
        """The party as this connection may see them: with their status, or one that says nothing."""
        return self._contact(principal, viewer.sight_of(principal.party, self.status_of(principal.party)))

    def _contact(self, principal: Insider | Guest, status: ShownStatus) -> Contact:
        invitation = self.invitations.get(principal.invitation_id) if isinstance(principal, Guest) else None
        return Contact(
            party=principal.party,
            name=principal.name.reveal(),
            kind="guest" if isinstance(principal, Guest) else "insider",
            status=status,
            invited_as=invitation.guest_name.reveal() if invitation is not None else None,
        )

    def show(self, party: PartyId, frame: OpeningFrame) -> tuple[OpeningEffect, ...]:
        """The opening frame to every connection of the party."""
        return tuple(Show(connection.connection_id, frame) for connection in self.of_party(party))

    @staticmethod
    def standing(connection: Connection, *others: Insider | Guest) -> tuple[str, ...]:
        """What an opening asked for on this connection stands on: the connection, and each guest's visit."""
        guests = [p.party for p in (connection.principal, *others) if isinstance(p, Guest)]
        return (connection.connection_id, *guests)

    def tell_connection(self, connection_id: ConnectionId, frame: PlainFrame) -> tuple[Tell, ...]:
        """The plain frame to one connection, if it is still there."""
        connection = self.connections.get(connection_id)
        return () if connection is None or connection.closing else (Tell(connection_id, frame),)

    def tell(self, party: PartyId, frame: PlainFrame) -> tuple[Tell, ...]:
        """The plain frame to every connection of the party."""
        return tuple(Tell(connection.connection_id, frame) for connection in self.of_party(party))

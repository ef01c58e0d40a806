"""Playbooks: the core specified as events in and effects out, with the clock and every id in the test's hand.

    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    assert play >> ada.says(ChatSend(ref="1", to=bob.party, text="hello")) \
        << ada.shown(ChatAccepted, ref="1") << bob.shown(ChatMessage, text="hello")

`play >> event` lets the real core with the real gate and a small policy handle the event. `<<` says what must
come of it; the truth of the whole is that exactly these effects came, in this order for each connection.
Every event of every playbook is also held against the laws of `tests.spec.watch`.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId
from broker.core import client_frames as cf
from broker.core import events as e
from broker.core import frames as f
from broker.core.clock import Now
from broker.core.commands import (
    CloseConnection,
    Command,
    ConnectionId,
    RequestId,
    Show,
    Tell,
)
from broker.core.errors import ErrorRow
from broker.core.gate import Decide, Gate
from broker.core.house import House, HouseRules
from broker.core.refusals import Refusals
from broker.core.router import handle
from broker.core.stored import StoredMessage, StoredSignIn
from broker.policy.decide import decide
from broker.policy.decision import UNLIMITED, Code, Decision
from broker.policy.index import PolicyIndex
from broker.policy.question import Question
from broker.policy.stop import Scope
from config.policy.loading import load_policy
from config.policy.rule import Effect
from tests.spec.outcome import Expected, Outcome
from tests.spec.policies import OPEN_POLICY
from tests.spec.signed_in import signed_in
from tests.spec.watch import PERSONAL_MARK, Watch

START_WALL_SECONDS = 1_763_899_200
PROGRAM = cf.ClientProgram(name="playbook", version="1")
RULES = HouseRules(
    max_connections_per_person=3,
    max_text_characters=4000,
    ring_timeout_seconds=45,
    max_call_seconds=7200,
    invitation_default_expiry_seconds=3600,
    invitation_max_expiry_seconds=86400,
    invitation_default_redemptions=1,
    invitation_max_redemptions=5,
    visit_seconds=14400,
    sign_in_seconds=36000,
    sign_in_idle_seconds=36000,
    outage_grace_seconds=30,
    guest_notice="Your visit is recorded.",
    admin_sign_in_seconds=3600,
    refusal_table_rows=8,
)


def allow_everything(
    policy: PolicyIndex, question: Question, decision_id: str, stops: Collection[Scope] = ()
) -> Decision:
    """A policy gone wrong. An emergency stop is none of its business."""
    decision = decide(policy, question, decision_id, stops)
    if decision.code is Code.STOPPED:
        return decision
    return replace(decision, effect=Effect.ALLOW, code=Code.ALLOWED, limits=UNLIMITED)


def deny_everything(
    policy: PolicyIndex, question: Question, decision_id: str, stops: Collection[Scope] = ()
) -> Decision:
    """A policy that became strict overnight."""
    decision = decide(policy, question, decision_id)
    return replace(decision, effect=Effect.DENY, code=Code.DENIED, limits=UNLIMITED)


class Playbook:
    """One house, one clock, and the facts that the shell would gather."""

    def __init__(
        self, policy: str = OPEN_POLICY, rules: HouseRules = RULES, decide_by: Decide | None = None
    ) -> None:
        self._ids = itertools.count(1)
        self._requests = itertools.count(1)
        self.decide_by: Decide = decide_by or decide
        self.now = Now(START_WALL_SECONDS * 1000, 1000.0)
        self.asked: list[Question] = []
        self.people: dict[PartyId, Insider] = {}
        self._tokens = set[str]()
        self.house = House(
            Gate(load_policy(policy, "playbook"), self._id, self._decide),
            self._id,
            rules,
            lambda session, party, until: f.IceServer(
                urls=["turn:relay"], username=f"{until}:{session}:{party}", credential=f"{PERSONAL_MARK}key"
            ),
            lambda *what: f"https://outside.example/#{'.'.join(map(str, what))}{PERSONAL_MARK}",
            Refusals(rules.refusal_table_rows),
        )
        self.watch = Watch(self.house)

    def _id(self) -> str:
        return f"{next(self._ids):06}"

    def _decide(
        self, policy: PolicyIndex, question: Question, decision_id: str, stops: Collection[Scope]
    ) -> Decision:
        self.asked.append(question)
        return self.decide_by(policy, question, decision_id, stops)

    def __rshift__(self, event: e.Event) -> Outcome:
        commands = handle(self.house, event, self.now)
        self.watch.see(event, commands, self.now)
        return Outcome(commands)

    # --- the clock ------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Time passes; nobody has looked at the deadlines yet."""
        self.now = Now(self.now.wall_ms + int(seconds * 1000), self.now.monotonic_seconds + seconds)

    def later(self, seconds: float) -> Outcome:
        """Time passes, and everything that fell due happens."""
        self.wait(seconds)
        commands: list[Command] = []
        deadlines = self.house.deadlines
        while (next_at := deadlines.next_at()) is not None and next_at <= self.now.monotonic_seconds:
            commands += (self >> e.Ticked()).commands
        return Outcome(commands)

    # --- people ---------------------------------------------------------------------------------------------

    def insider(self, name: str, *groups: str) -> Insider:
        """Someone the directory knows."""
        known = Insider(
            PartyId(f"u-{name}"),
            Personal(f"{name}.login{PERSONAL_MARK}"),
            Personal(f"{name.title()} {PERSONAL_MARK}"),
            frozenset(groups),
        )
        self.people[known.party] = known
        return known

    def connects(self, principal: Insider | Guest, token: str | None = None) -> Client:
        """A connection to be, from this person's usual place; say `play >> client.arrives()` next."""
        number, visit = next(self._requests), self.house.visits.get(principal.party)
        source = Personal(f"10.7.0.{number % 250}")
        token = token or (visit.token_digest if visit is not None else f"t-{principal.party}")
        if isinstance(principal, Insider) and token not in self._tokens | self.house.sign_ins.keys():
            self.signs_in(principal, token)
        return Client(self, ConnectionId(f"n-{number}"), principal, source, token)

    def signs_in(self, insider: Insider, token: str, prefix: str = "10.7.0.0/24") -> StoredSignIn:
        self._tokens.add(token)
        return signed_in(self.house, insider.party, token, self.now, prefix)

    def person(self, name: str, *groups: str) -> Client:
        """An insider with a connection that has said hello."""
        return self.joined(self.insider(name, *groups))

    def joined(self, principal: Insider | Guest) -> Client:
        """One more connection of somebody, with hello said."""
        client = self.connects(principal)
        self >> client.arrives()
        self >> client.hello()
        return client

    # --- guests ---------------------------------------------------------------------------------------------

    def invitation(self, host: Client, **asked: Any) -> str:
        """The id of an invitation that `host` makes."""
        words = {"guest_name": f"Invited {PERSONAL_MARK}", "purpose": f"Talks {PERSONAL_MARK}"}
        frame = cf.InvitationCreate.model_validate({"ref": "inv", **words, **asked})
        return (self >> host.says(frame)).frame(f.InvitationCreated).invitation.invitation_id

    def redeems(self, invitation_id: str, inviter: Insider | None, issue: int = 1) -> e.RedeemRequested:
        """Somebody redeems it, by its first link or another."""
        number = next(self._requests)
        return e.RedeemRequested(
            RequestId(f"r-{number}"),
            invitation_id,
            issue,
            Personal(f"Gus {PERSONAL_MARK}"),
            Personal(f"10.7.1.{number % 250}"),
            Personal("10.7.1.0/24"),
            f"t-guest-{number}",
            inviter,
        )

    def redeemed(self, invitation_id: str, host: Client) -> Guest:
        """The guest who redeemed it."""
        opened = self >> self.redeems(invitation_id, host.insider)
        return self.house.visits[PartyId(opened.openings[0].scope)].guest

    def waiting(self, host: Client) -> Client:
        """A guest of `host`, connected and in the lobby."""
        return self.joined(self.redeemed(self.invitation(host), host))

    def admitted(self, host: Client) -> Client:
        """A guest of `host` who has been let in."""
        guest = self.waiting(host)
        assert (self >> host.says(cf.LobbyAdmit(guest=guest.party))).openings
        return guest

    # --- calls ----------------------------------------------------------------------------------------------

    def ringing(self, caller: Client, callee: Client, media: tuple[str, ...] = ("audio",)) -> str:
        """The id of a call that rings."""
        frame = cf.CallInvite(ref="call", to=callee.party, media=list(media))  # type: ignore[arg-type]
        return (self >> caller.says(frame)).frame(f.CallCreated).call_id

    def talking(self, caller: Client, callee: Client, media: tuple[str, ...] = ("audio",)) -> str:
        """The id of a call that has been accepted."""
        call_id = self.ringing(caller, callee, media)
        assert (self >> callee.says(cf.CallAccept(call_id=call_id))).openings
        return call_id

    def failed(self, outcome: Outcome, outage: bool = False) -> e.CommitFailed:
        """The event that the records of this outcome could not be written."""
        return e.CommitFailed(tuple(opening.scope for opening in outcome.openings), outage)


@dataclass(frozen=True)
class Client:
    """One connection of one person, as the shell knows it."""

    play: Playbook
    connection_id: ConnectionId
    principal: Insider | Guest
    source: Personal
    token: str

    @property
    def party(self) -> PartyId:
        return self.principal.party

    @property
    def insider(self) -> Insider:
        assert isinstance(self.principal, Insider)
        return self.principal

    @property
    def host(self) -> Insider | None:
        return self.play.people.get(self.principal.invited_by) if isinstance(self.principal, Guest) else None

    def arrives(self) -> e.Connected:
        return e.Connected(self.connection_id, self.principal, self.source, self.token, self.host)

    def leaves(self) -> e.Disconnected:
        return e.Disconnected(self.connection_id, "client_closed", 1, 2, 3, 4)

    def hello(self) -> e.FrameReceived:
        return self.says(cf.Hello(client=PROGRAM))

    def says(self, frame: cf.ClientFrame) -> e.FrameReceived:
        """The frame with the facts that the shell gathers for it."""
        if isinstance(frame, cf.ChatSend | cf.CallInvite):
            return e.FrameReceived(self.connection_id, frame, self.play.people.get(PartyId(frame.to)))
        if isinstance(frame, cf.Hello) and isinstance(self.principal, Guest):
            return e.FrameReceived(self.connection_id, frame, self.host)
        if isinstance(frame, cf.Hello):
            return e.FrameReceived(self.connection_id, frame, people=tuple(self.play.people.values()))
        return e.FrameReceived(self.connection_id, frame)

    def signs_out(self) -> e.SignOutRequested:
        return e.SignOutRequested(self.token)

    def reads(self, *messages: StoredMessage) -> e.UndeliveredRead:
        return e.UndeliveredRead(self.connection_id, messages)

    # --- what this connection gets --------------------------------------------------------------------------

    def shown(self, frame_type: type[f.OpeningFrame], **members: Any) -> Expected:
        return Expected(Show, self.connection_id, frame_type, members)

    def told(self, frame_type: type[f.PlainFrame], **members: Any) -> Expected:
        return Expected(Tell, self.connection_id, frame_type, members)

    def refused(self, row: ErrorRow | str, **members: Any) -> Expected:
        code = row.code if isinstance(row, ErrorRow) else row
        return self.told(f.Error, code=code, **members)

    def closed(self, row: ErrorRow) -> Expected:
        return Expected(CloseConnection, self.connection_id, None, {"row": row})

    def gets(self, kind: type, **members: Any) -> Expected:
        """An effect on this connection that is not a frame."""
        return Expected(kind, self.connection_id, None, members)

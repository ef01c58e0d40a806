"""The one gate: every action asks here, and only what it allowed can become an effect that opens.

`ask` is the single caller of `policy.decide()`. `opening` is the single maker of Opening, and takes only
decisions that allow, or a Grant made from such. `recorded` is the single maker of Recorded, the only value
for which the shell performs an opening effect. A test over the source keeps it single; the type checker does
the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from auth.principal import Guest, Insider, PartyId
from broker.audit.record import Draft
from broker.core.client_frames import ClientProgram
from broker.core.clock import Ids, Now
from broker.core.commands import Opening, OpeningEffect, PlainEffect, Write
from broker.policy.administration import GroupOfRole, administration_policy
from broker.policy.client import ClientVerdict, judge_client
from broker.policy.decide import decide
from broker.policy.decision import Decision
from broker.policy.index import PolicyIndex
from broker.policy.question import Question, Subject
from broker.policy.stop import Scope, Stop, stopped
from config.policy.action import ADMINISTRATION, Action
from config.policy.client import ClientSide
from config.policy.loading import LoadedPolicy

Decide = Callable[[PolicyIndex, Question, str, Collection[Scope]], Decision]


class BypassError(AssertionError):
    """An effect was about to open without an allowing decision. A defect of ours, never a user's doing."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one recorded opening allows from then on: signals inside it are checked against it in memory."""

    session_id: str
    parties: tuple[PartyId, PartyId]
    actions: frozenset[Action]
    until_unix_seconds: int
    decisions: tuple[Decision, ...]

    def holds(self, party: PartyId, now: Now) -> bool:
        """Whether this party may still act inside the grant."""
        return party in self.parties and now.wall_seconds < self.until_unix_seconds

    def shortened(self, until_unix_seconds: int) -> Grant:
        """The same grant, for no longer than until then."""
        return replace(self, until_unix_seconds=min(self.until_unix_seconds, until_unix_seconds))


@dataclass(frozen=True, slots=True)
class Receipt:
    """The writer's word that a batch is durable: the sequence numbers its records got; where it had none,
    the last one is before the first."""

    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """Opening effects whose records are durable. Made by `Gate.recorded` only."""

    receipt: Receipt
    effects: tuple[OpeningEffect, ...]
    _key: object = field(repr=False)

    def __post_init__(self) -> None:
        if self._key is not _KEY:
            raise BypassError("only the gate says what is recorded")


_KEY = object()
_NOBODY: GroupOfRole = MappingProxyType({})


class Gate:
    """Asks policy, and turns what policy allowed into openings.

    `administrators` are the groups of those who work on the edge itself: what they may do is asked of the
    rules of administration (`broker.policy.administration`), all else of the organisation's policy.
    """

    def __init__(
        self,
        policy: LoadedPolicy,
        ids: Ids,
        decide: Decide = decide,
        administrators: GroupOfRole = _NOBODY,
    ) -> None:
        self._ids = ids
        self._decide = decide
        self.administrators = administrators
        self.policy = PolicyIndex(policy)
        self.stops: dict[Scope, Stop] = {}
        """The emergency stops that are latched: each denies what it covers, whatever policy says."""

    @property
    def policy(self) -> PolicyIndex:
        """The organisation's policy, which every question from now on is asked of."""
        return self._policy

    @policy.setter
    def policy(self, policy: PolicyIndex) -> None:
        self._policy = policy
        self._administration = PolicyIndex(administration_policy(policy.loaded, self.administrators), policy)

    def ask(self, action: Action, actor: Subject, counterpart: Subject | None, now: Now) -> Decision:
        """Decide one action at this moment."""
        question = Question(action, actor, counterpart, now.wall_seconds)
        policy = self._administration if action in ADMINISTRATION else self._policy
        return self._decide(policy, question, f"d-{self._ids()}", self.stops)

    def judge(self, principal: Insider | Guest, program: ClientProgram) -> ClientVerdict:
        """What becomes of the program that this person uses, by what it says of itself."""
        side = ClientSide.GUEST if isinstance(principal, Guest) else ClientSide.INSIDER
        return judge_client(self.policy.loaded.policy.clients, side, program.name, program.version)

    @staticmethod
    def grant(
        session_id: str,
        parties: tuple[PartyId, PartyId],
        actions: frozenset[Action],
        until_unix_seconds: int,
        decisions: tuple[Decision, ...],
    ) -> Grant:
        """A grant from decisions that all allow; raises BypassError otherwise."""
        _all_allow(decisions)
        return Grant(session_id, parties, actions, until_unix_seconds, decisions)

    @staticmethod
    def opening(
        scope: str,
        basis: Sequence[Decision] | Grant,
        records: tuple[Draft, ...],
        effects: tuple[OpeningEffect, ...],
        *,
        within: tuple[str, ...] = (),
        writes: tuple[Write, ...] = (),
        on_failure: tuple[PlainEffect, ...] = (),
        then: tuple[PlainEffect, ...] = (),
    ) -> Opening:
        """An opening from decisions that all allow, or inside a grant; raises BypassError otherwise."""
        decisions = basis.decisions if isinstance(basis, Grant) else tuple(basis)
        _all_allow(decisions)
        if not records:
            raise BypassError("an opening without a record")
        return Opening(scope, within, decisions, records, writes, effects, on_failure, then)

    def recorded(self, opening: Opening, receipt: Receipt) -> Recorded | None:
        """The opening's effects, now that the writer has given its receipt; None if an emergency stop that
        came meanwhile covers them."""
        if any(stopped(self.stops, decision.inputs) for decision in opening.decisions):
            return None
        return Recorded(receipt, opening.effects, _KEY)


def _all_allow(decisions: tuple[Decision, ...]) -> None:
    if not decisions or not all(decision.allowed for decision in decisions):
        raise BypassError("not every decision allows")

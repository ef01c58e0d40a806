"""What holds of every policy and every question: the gate's laws, and agreement with a naive reading."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from auth.personal import Personal
from auth.principal import Anonymous, Guest, Insider, PartyId, Principal
from broker.policy.decide import decide
from broker.policy.decision import Code, Decision
from broker.policy.index import PolicyIndex
from broker.policy.question import Question, Subject
from broker.policy.when import span_at
from config.policy.action import ADMINISTRATION, Action
from config.policy.document import Policy
from config.policy.loading import LoadedPolicy
from config.policy.peer import Peer
from config.policy.rule import Rule
from config.policy.when import When
from config.policy.zone import Zone
from tests.property.naive_policy import DAY_ONE, DAY_ONE_UNIX_SECONDS, naive

GROUPS = ["a", "b", "c"]
ADDRESSES = [None, "10.1.0.5", "10.2.0.5", "10.3.0.5", "10.4.0.5", "::ffff:10.1.0.5", "fd00::5", "nonsense"]
LINK = "invitation-link"
ZONES = (
    Zone.model_validate({"id": "plain", "networks": ["10.1.0.0/16"]}),
    Zone.model_validate({"id": "marked", "networks": ["10.2.0.0/16", "fd00::/16"], "attribute": "ou=M"}),
    Zone.model_validate({"id": "high", "networks": ["10.3.0.0/16"], "sensitivity": "high"}),
)
PEERS = (
    Peer.model_validate(
        {"id": "friend", "mode": "allow", "domains": ["a.example", "*.a.example"], "verified": LINK}
    ),
    Peer.model_validate({"id": "other", "mode": "allow", "domains": ["b.example"], "verified": LINK}),
)
FOES = Peer.model_validate({"id": "foe", "mode": "block", "domains": ["foe.example"], "verified": LINK})
EMAILS = [None, "x@a.example", "x@deep.a.example", "X@B.Example", "x@foe.example", "x@c.example"]
HOURS = [
    None,
    None,
    {"tz": "UTC", "hours": "06:00-18:00"},
    {"tz": "Asia/Tokyo", "days": ["thu", "sat"]},
    {"tz": "America/New_York", "days": ["fri"], "hours": "20:00-04:00"},
    {"tz": "UTC", "days": []},
]
ZONE_NAMES = [None, None, None, "plain", "marked", "high"]
TALK = [Action.PRESENCE_SEE, Action.CHAT_SEND, Action.CALL_AUDIO, Action.CALL_VIDEO]

some_groups = st.none() | st.none() | st.lists(st.sampled_from(GROUPS), max_size=2)
some_peers = st.none() | st.none() | st.lists(st.sampled_from(["friend", "other"]), max_size=2)
days = st.integers(0, 4).map(lambda days: DAY_ONE + timedelta(days=days))
limits = st.none() | st.fixed_dictionaries(
    {}, optional={"minutes": st.integers(1, 9), "bits_per_second": st.integers(16_000, 16_009)}
)


@st.composite
def rules(draw: st.DrawFn, effect: str | None = None) -> Rule:
    effect = effect or draw(st.sampled_from(["allow", "allow", "deny"]))
    groups = draw(some_groups)
    who = {"any": True} if groups is None else {"groups": groups}
    fields: dict[str, object] = {
        "id": draw(st.text("0123456789", min_size=1, max_size=5)),
        "effect": effect,
        "who": who | {"zone": draw(st.sampled_from(ZONE_NAMES))},
        "owner": "o",
        "reason": "r",
        "when": draw(st.sampled_from(HOURS)),
    }
    if effect == "allow":
        fields["limits"] = draw(limits)
    if draw(st.integers(0, 9)) == 0:
        return Rule.model_validate(fields | {"actions": ["edge.signin"], "expires": draw(st.none() | days)})
    kind = draw(st.sampled_from(["guest", "insider", "any"]))
    fields["with"] = {"kind": kind} | ({"groups": draw(some_groups)} if kind == "insider" else {})
    if kind == "guest":
        fields["with"] = {"kind": kind, "peers": draw(some_peers)}
    fields["direction"] = draw(st.sampled_from(["out", "in", "both", "both"]))
    optional = effect == "deny" or kind == "insider"
    fields["expires"] = draw(st.none() | days if optional else days)
    others = [action for action in Action if action not in ADMINISTRATION | {Action.EDGE_SIGNIN}]
    actions = draw(st.lists(st.sampled_from(others), max_size=7) | st.just(others))
    fields["actions"] = actions
    if Action.PRESENCE_SEE in actions and not optional:
        fields["presence"] = draw(st.sampled_from(["exact", "folded"]))
    return Rule.model_validate(fields)


def loaded(some_rules: list[Rule], peers: tuple[Peer, ...] = PEERS) -> PolicyIndex:
    policy = Policy(revision=1, zones=ZONES, peers=peers, rules=tuple(some_rules))
    return PolicyIndex(LoadedPolicy(policy, "0" * 64))


policies = st.lists(rules(), max_size=8)
insiders = st.builds(
    Insider,
    party=st.sampled_from([PartyId("u-1"), PartyId("u-2")]),
    login=st.just(Personal("l")),
    name=st.just(Personal("n")),
    groups=st.frozensets(st.sampled_from([*GROUPS, "A"]), max_size=3),
    attributes=st.sampled_from([(), (("ou", "M"),), (("OU", "m"), ("x", "y"))]),
)
guests = st.builds(
    Guest,
    party=st.just(PartyId("g-1")),
    name=st.just(Personal("g")),
    invitation_id=st.just("i"),
    invited_by=st.sampled_from([PartyId("u-1"), PartyId("u-2")]),
    email=st.sampled_from(EMAILS).map(lambda email: Personal(email) if email else None),
)
unmarked = insiders.map(lambda insider: replace(insider, attributes=()))
principals: st.SearchStrategy[Principal] = st.one_of(insiders, guests, st.just(Anonymous()))
subjects = st.builds(Subject, principals, st.sampled_from(ADDRESSES))
questions = st.builds(
    Question,
    st.sampled_from(list(Action)),
    subjects,
    st.none() | subjects,
    st.integers(DAY_ONE_UNIX_SECONDS - 86_400, DAY_ONE_UNIX_SECONDS + 6 * 86_400),
)
likely_questions = st.builds(
    Question,
    st.sampled_from(TALK),
    st.builds(Subject, unmarked, st.sampled_from(["10.1.0.5", "10.4.0.5"])),
    st.builds(Subject, st.one_of(unmarked, guests), st.sampled_from(["10.1.0.5", "10.4.0.5", None])),
    st.integers(DAY_ONE_UNIX_SECONDS, DAY_ONE_UNIX_SECONDS + 2 * 86_400),
)
any_question = st.one_of(questions, likely_questions, likely_questions)


def ask(some_rules: list[Rule], question: Question) -> Decision:
    return decide(loaded(some_rules), question, "d")


@given(any_question)
def test_the_empty_policy_denies_everything(question: Question) -> None:
    assert not ask([], question).allowed


@given(policies, rules(effect="deny"), any_question)
def test_adding_a_deny_never_allows_more(some: list[Rule], deny: Rule, question: Question) -> None:
    assert ask(some, question).allowed or not ask([*some, deny], question).allowed


@given(policies, rules(effect="allow"), any_question)
def test_removing_an_allow_never_allows_more(some: list[Rule], allow: Rule, question: Question) -> None:
    assert ask([*some, allow], question).allowed or not ask(some, question).allowed


@given(policies.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))), any_question)
def test_the_order_of_rules_never_matters(orders: tuple[list[Rule], list[Rule]], question: Question) -> None:
    assert ask(orders[0], question) == ask(orders[1], question)


@given(policies, rules(effect="allow"), any_question)
def test_another_allow_never_widens_a_limit_but_the_end(
    some: list[Rule], allow: Rule, question: Question
) -> None:
    before, after = ask(some, question), ask([*some, allow], question)
    if before.allowed and before.limits.minutes is not None:
        assert after.limits.minutes is not None
        assert after.limits.minutes <= before.limits.minutes


@given(policies, any_question)
def test_an_allow_holds_until_its_end_and_not_after(some: list[Rule], question: Question) -> None:
    decision = ask(some, question)
    until = decision.limits.until_unix_seconds
    if decision.allowed and until is not None:
        assert question.at_unix_seconds < until
        later = Question(question.action, question.actor, question.counterpart, until)
        assert not ask(some, later).allowed


@given(policies, any_question)
def test_an_answer_is_plain_json_without_addresses(some: list[Rule], question: Question) -> None:
    text = json.dumps(ask(some, question).to_json())
    assert "10." not in text
    assert "fd00" not in text


@given(policies, any_question)
def test_the_same_inputs_read_back_from_the_answer_give_the_same_answer(
    some: list[Rule], question: Question
) -> None:
    decision = ask(some, question)
    assert ask(some, read_back(decision)).to_json() == decision.to_json()


def read_back(decision: Decision) -> Question:
    """A question from nothing but the recorded JSON and the personal facts."""
    recorded = json.loads(json.dumps(decision.to_json()))["inputs"]

    def subject(name: str) -> Subject | None:
        party = recorded[name]
        if party is None:
            return None
        address = decision.inputs.personal.get(f"{name}_source_address")
        domain = decision.inputs.personal.get(f"{name}_domain")
        blank = Personal("")
        principal: Principal = Anonymous()
        if party["kind"] == "insider":
            principal = Insider(
                PartyId(party["party"]),
                blank,
                blank,
                frozenset(party["groups"]),
                tuple((key, value) for key, value in party["attributes"]),
                party["directory_version"],
            )
        if party["kind"] == "guest":
            principal = Guest(
                PartyId(party["party"]),
                blank,
                party["invitation_id"],
                PartyId(party["invited_by"]),
                party["verified_by"],
                None if domain is None else Personal(f"somebody@{domain.reveal()}"),
            )
        return Subject(principal, None if address is None else address.reveal())

    actor = subject("actor")
    assert actor is not None
    return Question(Action(recorded["action"]), actor, subject("counterpart"), recorded["at_unix_seconds"])


@given(policies, any_question)
def test_a_naive_reading_of_the_policy_agrees(some: list[Rule], question: Question) -> None:
    assert ask(some, question).allowed is naive(some, question)


@given(policies, any_question)
def test_an_explanation_has_the_same_answer_and_names_every_rule_that_speaks_of_the_action(
    some: list[Rule], question: Question
) -> None:
    index = loaded(some)
    plain, explained = decide(index, question, "d"), decide(index, question, "d", explained=True)
    answers = [replace(one, losing_rules=(), losing_rules_omitted=0) for one in (plain, explained)]
    assert answers[0] == answers[1]
    read = plain.code in {Code.ALLOWED, Code.DENIED, Code.DEFAULT_DENY, Code.RULE_EXPIRED, Code.OUTSIDE_HOURS}
    if read and explained.losing_rules_omitted == 0:
        named = {losing.rule_id for losing in explained.losing_rules} | set(explained.determining_rules)
        assert {rule.id for rule in some if question.action in rule.actions} <= named


@given(policies, any_question)
def test_blocking_a_peer_never_allows_more_and_bars_whoever_may_be_of_it(
    some: list[Rule], question: Question
) -> None:
    before = decide(loaded(some), question, "d")
    after = decide(loaded(some, (*PEERS, FOES)), question, "d")
    assert before.allowed or not after.allowed
    guest = next((p for p in principals_of(question) if isinstance(p, Guest)), None)
    if guest is not None and (guest.domain is None or guest.domain == "foe.example"):
        assert not after.allowed
    elif guest is not None:
        assert before.allowed is after.allowed


def principals_of(question: Question) -> list[Principal]:
    return [subject.principal for subject in (question.actor, question.counterpart) if subject is not None]


@given(st.sampled_from([h for h in HOURS if h]), st.integers(0, 2**31), st.integers(0, 8 * 86_400))
def test_a_window_is_open_or_closed_for_the_whole_of_its_span(
    hours: dict[str, object], at: int, later: int
) -> None:
    when = When.model_validate(hours)
    span, other = span_at(when, at), span_at(when, at + later)
    assert span.since_unix_seconds <= at < span.until_unix_seconds
    if at + later < span.until_unix_seconds:
        assert other.open is span.open
    next_span = span_at(when, span.until_unix_seconds)
    assert next_span.open is not span.open or hours.get("days") == []


@given(any_question)
def test_only_zones_stand_between_an_allow_for_everything_and_a_lawful_question(question: Question) -> None:
    everything = Rule.model_validate(
        {
            "id": "all",
            "effect": "allow",
            "who": {"any": True},
            "with": {"kind": "any"},
            "direction": "both",
            "actions": [action for action in Action if action not in ADMINISTRATION | {Action.EDGE_SIGNIN}],
            "presence": "exact",
            "expires": date(2030, 1, 1),
            "owner": "o",
            "reason": "r",
        }
    )
    code = ask([everything], question).code
    assert code not in {Code.DENIED, Code.RULE_EXPIRED}
    assert code is not Code.DEFAULT_DENY or question.action in ADMINISTRATION | {Action.EDGE_SIGNIN}

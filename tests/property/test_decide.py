"""What holds of every policy and every question: the gate's laws, and agreement with a naive reading."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from auth.personal import Personal
from auth.principal import Anonymous, Guest, Insider, PartyId, Principal
from broker.policy.decide import Question, Subject, decide
from broker.policy.decision import Code, Decision
from config.policy import ADMINISTRATION, Action, LoadedPolicy, Policy, Rule, Zone

DAY_ONE = date(2026, 1, 1)
DAY_ONE_UNIX_SECONDS = 1_767_225_600
GROUPS = ["a", "b", "c"]
ADDRESSES = [None, "10.1.0.5", "10.2.0.5", "10.3.0.5", "10.4.0.5", "::ffff:10.1.0.5", "fd00::5", "nonsense"]
ZONES = (
    Zone.model_validate({"id": "plain", "networks": ["10.1.0.0/16"]}),
    Zone.model_validate({"id": "marked", "networks": ["10.2.0.0/16", "fd00::/16"], "attribute": "ou=M"}),
    Zone.model_validate({"id": "high", "networks": ["10.3.0.0/16"], "sensitivity": "high"}),
)
ZONE_NAMES = [None, None, None, "plain", "marked", "high"]
TALK = [Action.PRESENCE_SEE, Action.CHAT_SEND, Action.CALL_AUDIO, Action.CALL_VIDEO]

some_groups = st.none() | st.none() | st.lists(st.sampled_from(GROUPS), max_size=2)
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
    }
    if effect == "allow":
        fields["limits"] = draw(limits)
    if draw(st.integers(0, 9)) == 0:
        return Rule.model_validate(fields | {"actions": ["edge.signin"], "expires": draw(st.none() | days)})
    kind = draw(st.sampled_from(["guest", "insider", "any"]))
    fields["with"] = {"kind": kind} | ({"groups": draw(some_groups)} if kind == "insider" else {})
    fields["direction"] = draw(st.sampled_from(["out", "in", "both", "both"]))
    optional = effect == "deny" or kind == "insider"
    fields["expires"] = draw(st.none() | days if optional else days)
    others = [action for action in Action if action not in ADMINISTRATION | {Action.EDGE_SIGNIN}]
    fields["actions"] = draw(st.lists(st.sampled_from(others), max_size=7) | st.just(others))
    return Rule.model_validate(fields)


def loaded(some_rules: list[Rule]) -> LoadedPolicy:
    return LoadedPolicy(Policy(revision=1, zones=ZONES, rules=tuple(some_rules)), "0" * 64)


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
            )
        return Subject(principal, None if address is None else address.reveal())

    actor = subject("actor")
    assert actor is not None
    return Question(Action(recorded["action"]), actor, subject("counterpart"), recorded["at_unix_seconds"])


@given(policies, any_question)
def test_a_naive_reading_of_the_policy_agrees(some: list[Rule], question: Question) -> None:
    assert ask(some, question).allowed is naive(some, question)


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
            "expires": date(2030, 1, 1),
            "owner": "o",
            "reason": "r",
        }
    )
    code = ask([everything], question).code
    assert code not in {Code.DENIED, Code.RULE_EXPIRED}
    assert code is not Code.DEFAULT_DENY or question.action in ADMINISTRATION | {Action.EDGE_SIGNIN}


def naive(some: list[Rule], question: Question) -> bool:
    """The policy's words taken one by one, written without looking at how the gate does it."""
    needed = naive_needs(question)
    other = question.counterpart.principal if question.counterpart is not None else None
    inside_only = isinstance(question.actor.principal, Insider) and isinstance(other, Insider)
    inside_only = inside_only or question.action in ADMINISTRATION | {Action.EDGE_SIGNIN}
    for action, me, they, way in needed:
        zone = naive_zone(me)
        if zone == "contradiction" or (zone == "high" and not inside_only):
            return False
        applying = [
            rule for rule in some if applies(rule, action, me, they, way, zone, question.at_unix_seconds)
        ]
        if not applying or any(rule.effect == "deny" for rule in applying):
            return False
    return bool(needed)


def naive_needs(question: Question) -> list[tuple[Action, Subject, Principal | None, str]]:
    """Whose permission is needed, for what and which way; nobody's when the question makes no sense."""
    action, me, you = question.action, question.actor, question.counterpart
    if action in ADMINISTRATION | {Action.EDGE_SIGNIN, Action.GUEST_INVITE}:
        alone = isinstance(me.principal, Insider) and you is None
        return [(action, me, None, "out")] if alone else []
    if you is None:
        return []
    kinds = (type(me.principal), type(you.principal))
    friends = all(
        host.party == visitor.invited_by
        for visitor, host in ((me.principal, you.principal), (you.principal, me.principal))
        if isinstance(visitor, Guest) and isinstance(host, Insider)
    )
    talking = [(Insider, Insider), (Insider, Guest), (Guest, Insider)]
    special: dict[Action, tuple[type, type]] = {
        Action.EDGE_JOIN: (Guest, Insider),
        Action.GUEST_ADMIT: (Insider, Guest),
    }
    lawful: list[tuple[type, type]] = [special[action]] if action in special else talking
    if kinds not in lawful or not friends:
        return []
    both: list[tuple[Action, Subject, Principal | None, str]]
    both = [(action, me, you.principal, "out"), (action, you, me.principal, "in")]
    needed = [need for need in both if isinstance(need[1].principal, Insider)]
    return needed + [(Action.GUEST_INVITE, you, me.principal, "out")] * (action is Action.EDGE_JOIN)


def naive_zone(subject: Subject) -> str:
    assert isinstance(subject.principal, Insider)
    marked = any(
        name.lower() == "ou" and value.lower() == "m" for name, value in subject.principal.attributes
    )
    if subject.source_address is None:
        return "marked" if marked else "unknown"
    if subject.source_address == "nonsense":
        return "contradiction"
    address = ip_address(subject.source_address.removeprefix("::ffff:"))
    networks = {"10.1.0.0/16": "plain", "10.2.0.0/16": "marked", "fd00::/16": "marked", "10.3.0.0/16": "high"}
    found = [name for network, name in networks.items() if address in ip_network(network)]
    zone = found[0] if found else "none"
    return zone if (zone == "marked") == marked else "contradiction"


def applies(
    rule: Rule, action: Action, me: Subject, they: Principal | None, way: str, zone: str, at_unix_seconds: int
) -> bool:
    def in_one_of(person: Principal | None, names: tuple[str, ...]) -> bool:
        return isinstance(person, Insider) and any(
            mine.lower() == name.lower() for mine in person.groups for name in names
        )

    if action not in rule.actions:
        return False
    if not rule.who.any and not in_one_of(me.principal, rule.who.groups or ()):
        return False
    unknown_counts = zone == "unknown" and rule.effect == "deny"
    if rule.who.zone is not None and rule.who.zone != zone and not unknown_counts:
        return False
    if rule.with_ is not None:
        if rule.with_.kind == "guest" and isinstance(they, Insider):
            return False
        if rule.with_.kind == "insider" and not isinstance(they, Insider):
            return False
        if rule.with_.groups is not None and not in_one_of(they, rule.with_.groups):
            return False
    if rule.direction is not None and rule.direction.value not in (way, "both"):
        return False
    day = DAY_ONE + timedelta(days=(at_unix_seconds - DAY_ONE_UNIX_SECONDS) // 86_400)
    return rule.expires is None or day <= rule.expires

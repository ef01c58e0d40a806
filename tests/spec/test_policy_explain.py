"""Explain, diff and replay: the gate's own answers, told, compared and asked again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from auth.principal import Guest, Insider
from broker.policy.asking import AskingError, moment_of, question_asked
from broker.policy.diff import TooManyQuestionsError, diff
from broker.policy.explain import explain
from broker.policy.index import PolicyIndex
from broker.policy.question import Question, Subject
from broker.policy.replay import RecordedDecision, replay
from config.policy.action import ADMINISTRATION, Action
from config.policy.loading import load_policy
from tests.spec.questions import ANYTHING, HOME, NOW, OFFICE, ask, guest, insider, policy, rule

PEOPLE = {"ada": insider("u-ada", ("ext",)), "bob": insider("u-bob")}
NO_CHAT = rule("no-chat", '"chat.send"', effect="deny")


def asked(who: str, to: str | None, action: str = "chat.send") -> Question:
    return question_asked(PEOPLE.get, who, to, action, NOW, OFFICE, HOME)


class TestExplain:
    def test_it_names_what_won_what_lost_and_by_which_condition(self) -> None:
        loaded = policy(rule("ext", who='{ groups = ["ext"] }'), rule("in", direction="in"), rule("all"))
        told = explain(loaded, question_asked(PEOPLE.get, "ada", "guest", "chat.send", NOW, OFFICE, HOME))
        assert [one.id for one in told.winning] == ["ext", "all"]
        losing = [(one.rule_id, one.condition.value) for one in told.decision.losing_rules]
        assert losing == [("in", "direction")]
        assert told.silence is None

    def test_it_says_why_silence_denied(self) -> None:
        loaded = policy(rule("ext", who='{ groups = ["ext"] }'), rule("calls", '"call.audio"'))
        question = question_asked(PEOPLE.get, "bob", "guest", "chat.send", NOW, OFFICE, HOME)
        silence = explain(loaded, question).silence
        assert silence is not None
        assert "1 by who.groups failed" in silence
        assert "ext came closest for u-bob" in silence
        nothing = explain(policy(rule("calls", '"call.audio"')), question).silence
        assert nothing == "no rule speaks of chat.send: what no rule allows is denied"

    def test_it_has_the_verdict_and_the_rules_of_the_decision_that_is_recorded(self) -> None:
        for actor, other in ((insider(), guest()), (guest(), insider()), (insider(), insider("u-bob"))):
            for action in sorted(set(Action) - ADMINISTRATION):
                recorded = ask(ANYTHING, action, actor, other)
                question = Question(action, Subject(actor, OFFICE), Subject(other, OFFICE), NOW)
                told = explain(ANYTHING, question).decision
                assert (told.code, told.determining_rules) == (recorded.code, recorded.determining_rules)

    def test_its_json_is_plain(self) -> None:
        question = question_asked(PEOPLE.get, "ada", "guest:e@a.example", "call.video", NOW, OFFICE, None)
        json.dumps(explain(ANYTHING, question).to_json())


class TestAsking:
    def test_a_guest_is_of_the_insider_on_the_other_side(self) -> None:
        eve = asked("guest:eve@a.example", "ada").actor.principal
        assert isinstance(eve, Guest)
        assert (eve.invited_by, eve.domain) == ("u-ada", "a.example")

    @pytest.mark.parametrize(
        ("who", "to", "action"),
        [
            ("nobody", "guest", "chat.send"),
            ("ada", "nobody", "chat.send"),
            ("ada", "guest", "fly"),
            ("ada", None, "admin.audit"),
            ("guest:eve", "ada", "chat.send"),
            ("x" * 400, "ada", "chat.send"),
            ("\x1b[31m", "ada", "chat.send"),
        ],
    )
    def test_words_that_are_no_question_are_told_without_what_a_terminal_obeys(
        self, who: str, to: str | None, action: str
    ) -> None:
        with pytest.raises(AskingError) as told:
            asked(who, to, action)
        assert str(told.value).isprintable()
        assert len(str(told.value)) < 500

    @pytest.mark.parametrize("text", ["", "tomorrow", "0001-01-01", "9999-12-31", "\x00"])
    def test_a_moment_is_in_iso_8601_and_in_a_year_that_calendars_have(self, text: str) -> None:
        with pytest.raises(AskingError):
            moment_of(text)


class TestDiff:
    def test_only_answers_that_change_are_told_once_for_people_who_are_alike(self) -> None:
        people = [*PEOPLE.values(), insider("u-cid")]
        told = list(diff(policy(rule("all")), policy(rule("all"), NO_CHAT), people, NOW))
        assert {one.action for one in told} == {"chat.send"}
        assert {one.after for one in told} == {"POLICY_DENIED"}
        assert {one.who for one in told} == {"u-ada"}
        assert {one.like_them for one in told} == {3}
        assert list(diff(ANYTHING, ANYTHING, people, NOW)) == []

    def test_people_whom_a_policy_tells_apart_are_told_apart(self) -> None:
        members = policy(rule("ext", who='{ groups = ["ext"] }', with_='{ kind = "guest" }'))
        told = list(diff(policy(), members, list(PEOPLE.values()), NOW))
        assert {(one.who, one.like_them) for one in told} == {("u-ada", 1)}
        assert {one.direction for one in told} == {"in", "out"}
        json.dumps([one.to_json() for one in told])

    def test_a_zone_that_changes_its_mark_or_is_one_address_is_told(self) -> None:
        def lab(zone: str) -> PolicyIndex:
            text = f'revision = 1\n[[zones]]\nid = "lab"\n{zone}\n'
            in_lab = rule("lab", who='{ any = true, zone = "lab" }', with_='{ kind = "guest" }')
            return PolicyIndex(load_policy(text + in_lab, "p"))

        marked = [insider(f"u-{dept}", dept=dept) for dept in ("a", "b")]
        marks = [lab(f'networks = ["10.9.0.0/16"]\nattribute = "dept={dept}"') for dept in ("a", "b")]
        assert {one.who for one in diff(marks[0], marks[1], marked, NOW)} == {"u-a", "u-b"}
        single = lab('networks = ["255.255.255.255/32"]')
        assert list(diff(policy(), single, [insider()], NOW))

    def test_too_many_kinds_of_people_are_refused(self) -> None:
        rules = [rule(f"r{n}", who=f'{{ groups = ["g{n}"] }}') for n in range(300)]
        people = [insider(f"u-{n}", (f"g{n}",)) for n in range(300)]
        with pytest.raises(TooManyQuestionsError):
            next(diff(policy(*rules), ANYTHING, people, NOW))

    def test_so_are_too_many_peers_and_places(self) -> None:
        peers = "".join(
            f'[[peers]]\nid = "p{n}"\nmode = "allow"\ndomains = ["p{n}.example"]\n'
            'verified = "invitation-link"\n'
            for n in range(300)
        )
        zones = "".join(f'[[zones]]\nid = "z{n}"\nnetworks = ["10.0.{n}.0/24"]\n' for n in range(99))
        many = PolicyIndex(load_policy(f"revision = 1\n{peers}{zones}{rule('all')}", "p"))
        with pytest.raises(TooManyQuestionsError, match="104 places"):
            next(diff(policy(), many, [insider()], NOW))


class TestReplay:
    def recorded(self, number: int, loaded: PolicyIndex, who: Insider) -> RecordedDecision:
        decision = replace(ask(loaded, Action.CHAT_SEND, who, guest()), id=f"d-{number}")
        personal = {name: value.reveal() for name, value in decision.inputs.personal.items()}
        return RecordedDecision(number, "2026-11-23T12:00:00Z", decision.to_json(), personal)

    def test_every_verdict_that_would_change_is_told_with_its_record(self) -> None:
        records = [self.recorded(n, ANYTHING, insider(groups=("ext",) if n % 2 else ())) for n in range(10)]
        outcome = replay(policy(rule("ext", who='{ groups = ["ext"] }')), records)
        assert outcome.decided == 10
        assert [(c.seq, c.decision_id, c.after) for c in outcome.changed] == [
            (n, f"d-{n}", "deny") for n in range(0, 10, 2)
        ]
        assert replay(ANYTHING, records).changed == []

    def test_what_cannot_be_asked_again_is_counted_by_why(self) -> None:
        whole = self.recorded(1, ANYTHING, insider())
        redacted = replace(whole, personal=dict.fromkeys(whole.personal))
        shortened = replace(whole, decision={**whole.decision, "shortened": True})
        odd: list[dict[str, Any]] = [{}, {"inputs": None}, {"inputs": []}]
        odd.append({"inputs": {"action": "fly", "counterpart": None, "actor": {}}})
        strange = [replace(whole, decision=decision) for decision in odd]
        outcome = replay(ANYTHING, [whole, redacted, shortened, *strange])
        assert outcome.decided == 1
        assert outcome.to_json()["unreadable"] == 6
        assert outcome.unreadable["redacted"] == 1

    def test_administration_is_not_the_candidates(self) -> None:
        decision = ask(ANYTHING, Action.ADMIN_AUDIT, insider())
        outcome = replay(policy(), [RecordedDecision(1, "t", decision.to_json(), {})])
        assert (outcome.decided, outcome.changed) == (0, [])

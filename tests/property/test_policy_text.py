"""Whatever a policy file, a record or an administrator says: a value comes of it, or the one error of its
reader."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from broker.policy.asking import AskingError, moment_of, question_asked
from broker.policy.decide import decide
from broker.policy.index import PolicyIndex
from broker.policy.recorded import UnreadableDecisionError, question_of
from config.policy.loading import PolicyErrors, load_policy
from tests.spec.questions import ANYTHING, NOW, ask, guest, insider

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = [
    "revision",
    "zones",
    "peers",
    "clients",
    "rules",
    "id",
    "effect",
    "actions",
    "who",
    "with",
    "direction",
    "presence",
    "when",
    "expires",
]
KEYS += [
    "owner",
    "reason",
    "limits",
    "groups",
    "any",
    "zone",
    "kind",
    "networks",
    "attribute",
    "sensitivity",
    "mode",
    "domains",
    "verified",
]
KEYS += [
    "tz",
    "days",
    "hours",
    "otherwise",
    "otherwise_link",
    "programs",
    "name",
    "side",
    "versions",
    "link",
    "message",
    "minutes",
]
WORDS = [
    "allow",
    "deny",
    "guest",
    "chat.send",
    "UTC",
    "07:00-19:00",
    "10.0.0.0/8",
    "a.example",
    ">=1",
    "\x1b[31m",
]
toml_values = st.one_of(
    st.integers(-5, 99).map(str),
    st.sampled_from(WORDS).map(json.dumps),
    st.text(max_size=8).map(json.dumps),
    st.sampled_from(["true", "[]", "{}", "2027-01-31", "1.5", "inf"]),
)
toml_values = toml_values | st.lists(toml_values, max_size=3).map(lambda many: f"[{', '.join(many)}]")
tables = st.sampled_from(["", "[[rules]]", "[[zones]]", "[[peers]]", "[clients]", "[[clients.programs]]"])
actions = st.sampled_from(sorted(ANYTHING.loaded.policy.rules[0].actions))
lines = st.one_of(tables, st.tuples(st.sampled_from(KEYS), toml_values).map(" = ".join))


@given(st.binary(max_size=200) | st.text(max_size=200) | st.lists(lines, max_size=14).map("\n".join))
def test_any_text_is_a_policy_or_all_its_mistakes(text: str | bytes) -> None:
    try:
        loaded = load_policy(text, "p")
    except PolicyErrors as mistakes:
        assert mistakes.errors
        assert all(error.path.isascii() for error in mistakes.errors)
    else:
        decide(PolicyIndex(loaded), question_asked(lambda _: insider(), "a", "guest", "chat.send", NOW), "d")


@given(json_values)
def test_any_record_is_a_question_or_unreadable(value: object) -> None:
    if isinstance(value, dict):
        with contextlib.suppress(UnreadableDecisionError):
            question_of(value, {})


@given(st.data())
def test_a_recorded_decision_with_anything_in_a_place_of_its_own_is_a_question_or_unreadable(
    data: st.DataObject,
) -> None:
    recorded = json.loads(json.dumps(ask(ANYTHING, data.draw(actions), insider(), guest()).to_json()))
    place = recorded["inputs"]
    if data.draw(st.booleans()):
        place = place[data.draw(st.sampled_from(["actor", "counterpart"]))]
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(json_values)
    with contextlib.suppress(UnreadableDecisionError):
        decide(ANYTHING, question_of(recorded, {"actor_source_address": data.draw(st.text())}), "d")


@given(st.text(max_size=400), st.none() | st.text(max_size=400), st.text(max_size=400), st.none() | st.text())
def test_any_words_are_a_question_or_an_error_that_a_terminal_can_show(
    who: str, to: str | None, action: str, source: str | None
) -> None:
    for named in (action, "chat.send"):
        try:
            question = question_asked(lambda login: insider() if login else None, who, to, named, NOW, source)
        except AskingError as unclear:
            assert str(unclear).isprintable()
        else:
            decide(ANYTHING, question, "d", explained=True)


@given(st.text(max_size=40) | st.datetimes().map(str))
def test_any_text_is_a_moment_or_an_error(text: str) -> None:
    with contextlib.suppress(AskingError):
        ask(ANYTHING, next(iter(ANYTHING.loaded.policy.rules[0].actions)), insider(), at=moment_of(text))

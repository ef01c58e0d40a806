"""Any name of a file in the emergency directory is a stop or nothing, and any text in one a note."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from broker.policy.stop import ALL, MODALITIES, Scope, ScopeError, ScopeKind, parse_scope
from broker.shell.latches import latch_name, note_of, scope_of

NAMES = st.text(
    st.characters(exclude_characters="/", exclude_categories=("Cc", "Cs")), min_size=1, max_size=64
)
NAMED = st.builds(Scope, st.sampled_from([ScopeKind.ZONE, ScopeKind.PEER, ScopeKind.USER]), NAMES)
SCOPES = st.one_of(
    st.just(ALL), st.builds(Scope, st.just(ScopeKind.MODALITY), st.sampled_from(sorted(MODALITIES))), NAMED
)
FILE_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1)


@given(SCOPES)
def test_a_scope_that_can_be_asked_for_survives_the_name_of_its_file(scope: Scope) -> None:
    try:
        asked = parse_scope(str(scope))
    except ScopeError:
        return  # the name is too long for a file
    assert asked == scope
    name = latch_name(scope)
    assert len(name.encode()) <= 255
    assert "/" not in name
    assert scope_of(name) == scope


@given(st.text())
@example("stop-user:%00")
def test_any_text_is_a_scope_or_the_one_error(text: str) -> None:
    try:
        scope = parse_scope(text)
    except ScopeError:
        return
    assert str(scope) == text


@given(FILE_NAMES)
@example("stop-zone:%ff")
@example("STOP")
@example("stop-user:a%2Fb")
def test_a_name_that_says_stop_stops_something_and_no_other_does(name: str) -> None:
    assert (scope_of(name) is not None) is name.lower().startswith("stop")


@given(st.binary(max_size=6000))
@example(b'{"by": "x", "reason": ' + b"[" * 3000)
def test_whatever_a_latch_holds_is_a_note(content: bytes) -> None:
    note = note_of(content)
    assert all(said is None or len(said) <= 1000 for said in (note.by, note.reason))

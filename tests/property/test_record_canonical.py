"""A record's text is RFC 8785 text, held against a complete implementation of it."""

from __future__ import annotations

import json

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from auth.personal import Personal
from broker.audit.record import Draft, RecordError, canonical, seal, timestamp

TEXT = st.text()
KEYS = st.text(st.characters(max_codepoint=127))
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.from_regex(r"[a-z][a-z0-9.]{0,20}", fullmatch=True)


@given(VALUES)
def test_every_value_in_the_domain_has_the_text_of_rfc_8785(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]  # JSON by construction


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(ANYTHING)
def test_any_value_has_a_text_that_reads_back_or_is_refused(value: object) -> None:
    try:
        text = canonical(value)  # type: ignore[arg-type]  # anything, on purpose
    except RecordError:
        return
    assert json.loads(text) == value


@given(
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.dictionaries(NAMES, TEXT, max_size=4),
    st.none() | TEXT,
    st.integers(1, 2**53 - 1),
    st.integers(0, 4_000_000_000_000),
)
def test_a_sealed_record_is_canonical_as_a_whole(
    fields: dict[str, object], personal: dict[str, str], session: str | None, seq: int, wall_ms: int
) -> None:
    values = {name: Personal(value) for name, value in personal.items()}
    draft = Draft("node.started", session, fields, values)  # type: ignore[arg-type]  # JSON by construction
    body = seal(draft, seq, timestamp(wall_ms), canonical("edge-1"), [bytes(32)] * len(values)).body
    read = json.loads(body)
    assert rfc8785.dumps(read) == body
    assert (read["fields"], read["session"], read["seq"]) == (fields, session, seq)
    assert read["personal"].keys() == personal.keys()

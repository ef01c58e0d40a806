"""Record format v1: what a draft may hold, and the bytes it becomes."""

from __future__ import annotations

import json
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import pytest

from auth.personal import Personal
from broker.audit.catalogue import CATALOGUE, ENDING_TYPES, OPENING_TYPES
from broker.audit.record import MAX_BODY_BYTES, Draft, JsonValue, RecordError, commitment, seal, timestamp

DOCUMENT = Path(__file__).parents[2] / "docs" / "record.md"
SALTS = [bytes([number]) * 32 for number in range(2)]


def draft(**fields: JsonValue) -> Draft:
    return Draft(
        "presence.opened", "s-1", fields, {"party.name": Personal("Ada"), "party.address": Personal("::1")}
    )


def test_the_body_of_a_record_is_exactly_these_bytes() -> None:
    sealed = seal(draft(b=[1, None, True], a="é\n"), 7, timestamp(1_767_225_600_042), b'"edge-1"', SALTS)
    name = sha256(b"turngate/record/v1/personal\n" + SALTS[0] + b"Ada").hexdigest()
    address = sha256(b"turngate/record/v1/personal\n" + SALTS[1] + b"::1").hexdigest()
    assert sealed.body.decode() == (
        '{"fields":{"a":"é\\n","b":[1,null,true]},"node":"edge-1",'
        f'"personal":{{"party.address":"{address}","party.name":"{name}"}},'
        '"seq":7,"session":"s-1","ts":"2026-01-01T00:00:00.042Z","type":"presence.opened","v":1}'
    )


def test_personal_values_are_not_in_the_body_and_not_in_any_repr() -> None:
    written = draft()
    sealed = seal(written, 1, timestamp(0), b'"edge-1"', SALTS)
    assert b"Ada" not in sealed.body
    assert "Ada" not in repr(written) + repr(sealed)
    assert {(row.name, row.value.reveal()) for row in sealed.personal} == {
        ("party.name", "Ada"),
        ("party.address", "::1"),
    }


def test_equal_values_have_unequal_commitments_under_different_salts() -> None:
    assert commitment(SALTS[0], "Ada") != commitment(SALTS[1], "Ada")


def test_a_record_without_a_session_says_null() -> None:
    assert json.loads(seal(Draft("node.started"), 1, timestamp(0), b'"n"', []).body)["session"] is None


def test_a_draft_keeps_the_facts_as_they_were_when_it_was_made() -> None:
    fields: dict[str, JsonValue] = {"reason": "signed_out"}
    written = Draft("auth.ended", None, fields)
    fields["reason"] = "changed later"
    assert json.loads(seal(written, 1, timestamp(0), b'"n"', []).body)["fields"] == {"reason": "signed_out"}


class Spelling(StrEnum):
    ALLOW = "allow"


def test_an_enumeration_of_text_is_written_as_its_text() -> None:
    assert draft(effect=Spelling.ALLOW).canonical_fields == b'{"effect":"allow"}'


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        [0.5],
        {"a": {"b": 2.0}},
        2**53,
        -(2**53),
        b"bytes",
        {1: "a"},
        {"é": 1},
        "\ud800",
        {1, 2},
        object(),
    ],
    ids=repr,
)
def test_what_has_no_single_json_text_is_refused_where_the_draft_is_made(value: JsonValue) -> None:
    with pytest.raises(RecordError):
        draft(value=value)


def test_nesting_without_end_is_refused() -> None:
    nested: JsonValue = 1
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(RecordError):
        draft(value=nested)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(RecordError, match=r"call\.guessed"):
        Draft("call.guessed")


def test_a_draft_without_a_fact_its_type_requires_is_refused() -> None:
    with pytest.raises(RecordError, match="reason"):
        Draft("auth.ended")


def test_a_record_larger_than_the_bound_is_refused_and_one_at_the_bound_is_not() -> None:
    with pytest.raises(RecordError, match="larger"):
        draft(text="x" * MAX_BODY_BYTES)
    fits = draft(text="x" * (MAX_BODY_BYTES - 1000))
    assert len(seal(fits, 10**18, timestamp(0), b'"edge-1"', SALTS).body) <= MAX_BODY_BYTES


def test_personal_values_larger_than_the_bound_are_refused() -> None:
    with pytest.raises(RecordError, match="larger"):
        Draft("node.started", personal={"party.name": Personal("é" * 40_000)})


@pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "é", "a\nb"])
def test_a_personal_fact_has_a_plain_name(name: str) -> None:
    with pytest.raises(RecordError):
        Draft("node.started", personal={name: Personal("x")})


def test_a_personal_value_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(RecordError):
        Draft("node.started", personal={"party.name": Personal("\udfff")})


def test_every_type_that_opens_or_ends_a_session_is_in_the_catalogue() -> None:
    assert {*OPENING_TYPES, *ENDING_TYPES} <= CATALOGUE.keys()


def test_the_document_lists_every_type_with_its_sentence_and_its_required_facts() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for row in CATALOGUE.values():
        facts = ", ".join(f"`{name}`" for name in row.required) or "none"
        assert f"| `{row.name}` | {row.sentence} | {facts} |" in text, row.name


def test_the_document_lists_no_type_that_does_not_exist() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text.partition("## Event catalogue")[2].partition("\n## ")[0]
    listed = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert listed == list(CATALOGUE)

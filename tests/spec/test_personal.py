"""Personal data prints redacted."""

import json

import pytest

from auth.personal import Personal


@pytest.mark.parametrize(
    "shown", [str, repr, "{}".format, "{!r:>40}".format, "%s".__mod__, lambda text: f"{[text]}"]
)
def test_personal_text_is_redacted_wherever_it_is_formatted(shown: object) -> None:
    assert callable(shown)
    text = shown(Personal("Ada Lovelace"))
    assert "REDACTED" in text
    assert "Ada" not in text


def test_personal_text_does_not_slip_into_json_or_joined_text() -> None:
    with pytest.raises(TypeError):
        json.dumps(Personal("Ada"))
    with pytest.raises(TypeError):
        "".join([Personal("Ada")])  # type: ignore[list-item]  # the mistake under test


def test_personal_text_is_read_by_revealing_it_and_compares_by_its_text() -> None:
    assert Personal("Ada").reveal() == "Ada"
    assert Personal("Ada") == Personal("Ada")
    assert Personal("Ada") != Personal("Grace")
    assert hash(Personal("Ada")) == hash(Personal("Ada"))

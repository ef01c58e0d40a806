"""Shown text: names and purposes that show as what they are."""

from __future__ import annotations

import pytest

from auth.shown_text import ShownTextError, shown_text


@pytest.mark.parametrize(
    "text",
    [
        "Grace Hopper",
        "Grünfink, Zoë (née Ó Súilleabháin)",
        "山田太郎",
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
        "Kick-off \u260e\ufe0f 2",
        "<b>Gus</b> & 'co'; =1+1",
    ],
)
def test_a_line_of_any_script_is_taken_as_it_is(text: str) -> None:
    assert shown_text(text) == text


def test_spaces_of_all_kinds_become_one() -> None:
    assert shown_text(" Grace \u00a0 \u3000 Hopper ") == "Grace Hopper"


@pytest.mark.parametrize(
    "hidden",
    [
        "\x00",
        "\n",
        "\t",
        "\x1b",
        "\x7f",
        "\x85",
        "\u00ad",
        "\u061c",
        "\u200b",
        "\u200e",
        "\u2028",
        "\u2029",
        "\u202e",
        "\u2066",
        "\ufeff",
        "\ud800",
        "\U000e0041",
    ],
    ids=lambda c: f"U+{ord(c):04X}",
)
def test_what_does_not_show_or_turns_other_text_around_is_refused(hidden: str) -> None:
    with pytest.raises(ShownTextError) as refused:
        shown_text(f"Grace{hidden} Hopper")
    assert "Grace" not in str(refused.value)


@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\u3164", "\uffa0\u115f", "\u200d", "...", "\u0301"])
def test_a_text_without_a_letter_or_a_digit_is_refused(blank: str) -> None:
    with pytest.raises(ShownTextError):
        shown_text(blank)

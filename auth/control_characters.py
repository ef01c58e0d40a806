"""Characters that start a new line or drive a terminal."""

from __future__ import annotations

import re

_CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def has_control_characters(text: str) -> bool:
    """C0, C1, DEL and the two Unicode line breaks."""
    return _CONTROL_CHARACTERS.search(text) is not None


def without_control_characters(text: str) -> str:
    """The text with a space in place of each of them."""
    return _CONTROL_CHARACTERS.sub(" ", text)

"""Shown text: one line that somebody wrote and others read, such as a name or a purpose. It can neither hide,
nor change how the text around it is shown.

Two texts that differ may still look alike. Nothing compares them: whoever reads such a text is told whose
word it is.
"""

from __future__ import annotations

import unicodedata

_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, bidirectional and other invisible formatting, halves of surrogates, line and paragraph ends."""
_JOINERS = "\u200c\u200d"
"""Persian, Indic scripts and emoji need them inside of words."""
_FILLERS = "\u115f\u1160\u3164\uffa0"
"""Letters of Hangul that show nothing."""


class ShownTextError(ValueError):
    """The only error of `shown_text`. The message does not repeat the text."""


def shown_text(text: str) -> str:
    """The text with its runs of spaces made one space, and none at its ends."""
    if any(unicodedata.category(c) in _NOT_SHOWN and c not in _JOINERS for c in text):
        raise ShownTextError("holds characters that do not show")
    if not any(unicodedata.category(c)[0] in "LN" and c not in _FILLERS for c in text):
        raise ShownTextError("holds no letter and no digit")
    return " ".join(text.split())

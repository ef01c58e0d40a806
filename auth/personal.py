"""Text about a person, which no log, traceback or f-string may show by accident."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Personal:
    """A piece of personal data. `str()` and `repr()` are redacted; the text itself is read through
    `.reveal()`."""

    _text: str

    def reveal(self) -> str:
        """The text itself. Each call is a place where personal data leaves its wrapping: keep them few."""
        return self._text

    def __str__(self) -> str:
        return "REDACTED"

    __repr__ = __str__

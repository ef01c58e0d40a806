"""One mistake in what an administrator wrote, and all of them together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConfigurationError:
    """A mistake: where it was written (file name, `environment`, `--set`), under which path, what is wrong.

    The message never repeats text that was written, since that text may be a secret under the wrong name.
    """

    source: str
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.path, self.message) if part)


class ConfigurationErrors(Exception):  # noqa: N818 - it carries all errors, not one
    """Every mistake found in one loading; its text has one line for each."""

    def __init__(self, errors: Iterable[ConfigurationError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(map(str, self.errors)))

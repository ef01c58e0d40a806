"""From what was written to `Settings`: file, then environment, then flags; every mistake at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.errors import ConfigurationError, ConfigurationErrors
from config.schema import Declaration, declarations
from config.secret_files import read_secret_files
from config.settings import LISTENERS_CLASH, Settings
from config.sources import Entry, dotted, read_environment, read_file, read_flags

_DECLARED = {declaration.path: declaration for declaration in declarations(Settings)}

_SENTENCES = (
    {
        "greater_than_equal": "{input} is below the least allowed {ge}",
        "greater_than": "{input} is not above {gt}",
        "less_than_equal": "{input} is above the most allowed {le}",
        "less_than": "{input} is not below {lt}",
        "string_too_short": "is shorter than the least allowed {min_length} characters",
        "string_too_long": "is longer than the most allowed {max_length} characters",
        "too_short": "has fewer than the least allowed {min_length} entries",
        "too_long": "has more than the most allowed {max_length} entries",
        "string_type": "must be text",
        "string_pattern_mismatch": "does not have the form {pattern}",
        "path_type": "must be a path",
        "literal_error": "must be {expected}",
        "enum": "must be {expected}",
        "value_error": "{error}",
    }
    | dict.fromkeys(
        ("int_type", "int_parsing", "int_parsing_size", "int_from_float", "finite_number"),
        "must be a whole number",
    )
    | dict.fromkeys(("float_type", "float_parsing"), "must be a number")
    | dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false")
)

_MAX_SHOWN_NUMBER = 10**15
"""Longer numbers are not repeated: Python refuses to print the longest ones."""


def load_settings(file: Path | None, environment: Mapping[str, str], flags: Sequence[str] = ()) -> Settings:
    """Settings from a TOML file (if any), TURNGATE_SECTION__FIELD variables and `section.field=value` flags.

    A later source overrides an earlier one, setting by setting; secrets named by a `*_file` setting are read.
    Raises ConfigurationErrors with every mistake that can be told at once; none repeats what was written.
    """
    entries: dict[tuple[str, ...], Entry] = {}
    errors: list[ConfigurationError] = []
    for found in chain(
        read_file(Settings, file) if file is not None else (),
        read_environment(Settings, environment),
        read_flags(Settings, flags),
    ):
        if isinstance(found, Entry):
            entries[found.path] = found
        else:
            errors.append(found)
    errors += read_secret_files(_DECLARED, entries)
    settings, found_errors = _validated(entries)
    errors += found_errors
    if settings is None or errors:
        raise ConfigurationErrors(errors)
    return settings


def _validated(entries: Mapping[tuple[str, ...], Entry]) -> tuple[Settings | None, list[ConfigurationError]]:
    """Settings, or every mistake: a wrong setting must not hide sections that contradict each other."""
    rest = dict(entries)
    errors: list[ConfigurationError] = []
    spoiled: set[str] = set()
    while True:
        try:
            return (Settings.model_validate(_nested(rest.values())), errors)
        except ValidationError as invalid:
            details = invalid.errors(include_url=False)
        errors += [_explained(detail, rest) for detail in details if not _sections(detail) & spoiled]
        spoiled |= set[str]().union(*map(_sections, details))
        kept = {path: entry for path, entry in rest.items() if path[0] not in spoiled}
        if len(kept) == len(rest):
            return None, errors
        rest = kept


def _nested(entries: Iterable[Entry]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for entry in entries:
        branch = tree
        for name in entry.path[:-1]:
            branch = branch.setdefault(name, {})
        branch[entry.path[-1]] = entry.value
    return tree


def _sections(detail: ErrorDetails) -> set[str]:
    if detail["type"] == LISTENERS_CLASH:
        return {str(detail["ctx"]["name"]), str(detail["ctx"]["other"])}
    return {str(part) for part in detail["loc"][:1]}


def _explained(detail: ErrorDetails, entries: Mapping[tuple[str, ...], Entry]) -> ConfigurationError:
    location = detail["loc"]
    if detail["type"] == LISTENERS_CLASH:
        context = detail["ctx"]
        names = (str(context["name"]), str(context["other"]))
        sources = dict.fromkeys(entry.source for entry in entries.values() if entry.path[0] in names)
        return ConfigurationError(", ".join(sources), names[0], detail["msg"])
    declared = next(
        (
            _DECLARED[path]
            for n in range(len(location), 0, -1)
            if (path := tuple(map(str, location[:n]))) in _DECLARED
        ),
        None,
    )
    shown = location if declared is None else _shown(location, declared)
    return ConfigurationError(_source(location, entries), dotted(shown), _message(detail, declared))


def _shown(location: tuple[int | str, ...], declared: Declaration) -> tuple[int | str, ...]:
    """The setting's path and the index within a list; what else pydantic adds names its own inner steps."""
    inner = tuple(part for part in location[len(declared.path) :] if isinstance(part, int))
    return (*declared.path, *inner)


def _source(location: Sequence[int | str], entries: Mapping[tuple[str, ...], Entry]) -> str:
    """Where the setting was written; for a whole section, all places that wrote into it."""
    names = tuple(map(str, location))
    sources = [
        entry.source
        for path, entry in entries.items()
        if path == names[: len(path)] or names == path[: len(names)]
    ]
    return ", ".join(dict.fromkeys(sources)) or "settings"


def _message(detail: ErrorDetails, declared: Declaration | None) -> str:
    kind = detail["type"]
    if declared is not None and declared.is_secret:
        # What a validator says about a secret may quote it.
        kind = {"too_short": "string_too_short", "too_long": "string_too_long"}.get(kind, kind)
        if kind == "value_error":
            return "is not acceptable"
    sentence = _SENTENCES.get(kind)
    if sentence is None:
        return detail["msg"][:1].lower() + detail["msg"][1:]
    return sentence.format_map({**detail.get("ctx", {}), "input": _number(detail["input"])})


def _number(value: object) -> str:
    """A number as written; anything else is not repeated."""
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, int | float) and abs(number) < _MAX_SHOWN_NUMBER:
        return str(number)
    return "the number"

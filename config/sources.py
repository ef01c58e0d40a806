"""The three places settings are written: the TOML file, the environment and `--set` flags.

Each reader turns its source into `Entry` values at known paths and reports every mistake it meets on the way:
unknown keys with the nearest known one, and secrets where a secret must not be written.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from config.errors import ConfigurationError
from config.schema import kinds, section_of

ENVIRONMENT_PREFIX = "TURNGATE_"
MAX_FILE_BYTES = 1 << 20
"""Larger files are refused before they are parsed; the generated sample has 20 KiB."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NO_PLACE = "a secret is never written here: use the environment"


@dataclass(frozen=True, slots=True)
class Entry:
    """A value as written, before the declarations have judged it."""

    source: str
    path: tuple[str, ...]
    value: Any


Findings = Iterator[Entry | ConfigurationError]


def dotted(path: Iterable[object]) -> str:
    """`section.field`; names that are not plain are escaped, since whoever wrote them may not be a friend."""
    return ".".join(
        str(part) if isinstance(part, int) or _PLAIN_NAME.fullmatch(str(part)) else ascii(str(part)[:64])
        for part in path
    )


def read_file(root: type[BaseModel], file: Path) -> Findings:
    """Entries of a TOML file of at most `MAX_FILE_BYTES`."""
    source = file.name
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            yield ConfigurationError(source, "", f"is larger than {MAX_FILE_BYTES} bytes")
            return
        document = tomllib.loads(content.decode())
    except OSError as error:
        yield ConfigurationError(source, "", f"cannot be read: {error.strerror}")
    except tomllib.TOMLDecodeError as error:
        yield ConfigurationError(source, "", f"is not TOML: {_position(error)}")
    except RecursionError:
        yield ConfigurationError(source, "", "is not TOML that can be read: nested too deeply")
    except ValueError:
        # Bytes that are not UTF-8, and numbers with more digits than the interpreter converts.
        yield ConfigurationError(
            source, "", "is not TOML: it must be UTF-8 with numbers of a sensible length"
        )
    else:
        yield from _table(root, source, (), document)


def read_environment(root: type[BaseModel], environment: Mapping[str, str]) -> Findings:
    """Entries of variables such as TURNGATE_CALLS__RING_TIMEOUT_SECONDS; other variables are left alone."""
    for variable in sorted(environment):
        if variable.startswith(ENVIRONMENT_PREFIX):
            path = tuple(variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
            yield from _text(root, "environment", path, environment[variable], secrets_allowed=True)


def read_flags(root: type[BaseModel], flags: Sequence[str]) -> Findings:
    """Entries of `section.field=value`, as given to `--set`."""
    for flag in flags:
        name, equals, text = flag.partition("=")
        if equals:
            yield from _text(root, "--set", tuple(name.strip().split(".")), text, secrets_allowed=False)
        else:
            yield ConfigurationError("--set", "", "must have the form section.field=value")


def _position(error: tomllib.TOMLDecodeError) -> str:
    # The parser's sentence may quote what it met; its position alone cannot hold a secret.
    found = re.search(r"\((at line \d+, column \d+|at end of document)\)$", str(error))
    return f"syntax error {found.group(1)}" if found else "syntax error"


def _table(model: type[BaseModel], source: str, path: tuple[str, ...], table: Mapping[str, Any]) -> Findings:
    for name, value in table.items():
        here = (*path, name)
        field = model.model_fields.get(name)
        if field is None:
            yield _unknown(model, source, here)
        elif (section := section_of(field)) is None:
            yield _setting(field, source, here, value, secrets_allowed=False)
        elif isinstance(value, dict):
            yield from _table(section, source, here, value)
        else:
            yield ConfigurationError(source, dotted(here), "is a section, not a setting")


def _text(
    root: type[BaseModel], source: str, path: tuple[str, ...], text: str, *, secrets_allowed: bool
) -> Findings:
    model: type[BaseModel] | None = root
    field: FieldInfo | None = None
    for depth, name in enumerate(path, start=1):
        if model is None or (field := model.model_fields.get(name)) is None:
            yield _unknown(model, source, path[:depth])
            return
        model = section_of(field)
    if field is None or model is not None:
        yield ConfigurationError(source, dotted(path), "is a section, not a setting")
    elif kinds(field.annotation) & {list, tuple, set, frozenset, dict}:
        yield from _list(field, source, path, text, secrets_allowed=secrets_allowed)
    else:
        yield _setting(field, source, path, text, secrets_allowed=secrets_allowed)


def _list(
    field: FieldInfo, source: str, path: tuple[str, ...], text: str, *, secrets_allowed: bool
) -> Findings:
    """Settings that are lists are written as in TOML: `["10.0.0.0/8"]`."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        document = {}
    if document.keys() == {"value"}:
        yield _setting(field, source, path, document["value"], secrets_allowed=secrets_allowed)
    else:
        yield ConfigurationError(source, dotted(path), 'must be a list as in TOML, such as ["one", "two"]')


def _setting(
    field: FieldInfo, source: str, path: tuple[str, ...], value: object, *, secrets_allowed: bool
) -> Entry | ConfigurationError:
    allowed = kinds(field.annotation)
    if SecretStr in allowed and not secrets_allowed:
        return ConfigurationError(source, dotted(path), f"{_NO_PLACE} or {path[-1]}_file")
    if isinstance(value, bool) and bool not in allowed:
        # Python counts true as 1; an administrator does not.
        return ConfigurationError(source, dotted(path), "must not be true or false")
    return Entry(source, path, value)


def _unknown(model: type[BaseModel] | None, source: str, path: tuple[str, ...]) -> ConfigurationError:
    names = list(model.model_fields) if model is not None else []
    near = difflib.get_close_matches(path[-1][:64].lower(), names, n=1)
    suggestion = f"; did you mean {dotted((*path[:-1], near[0]))}?" if near else ""
    kind = "is no setting" if model is not None else "is below a setting"
    return ConfigurationError(source, dotted(path), kind + suggestion)

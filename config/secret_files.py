"""Secrets that lie in files: read for every setting `NAME_file` beside a secret setting `NAME`."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from config.errors import ConfigurationError
from config.schema import Declaration, kinds
from config.sources import Entry, dotted

MAX_SECRET_BYTES = 4096

_TOO_OPEN = stat.S_IWGRP | stat.S_IRWXO
"""Group-readable is accepted: credentials that systemd passes with an access list show so."""


def read_secret_files(
    declared: Mapping[tuple[str, ...], Declaration], entries: dict[tuple[str, ...], Entry]
) -> list[ConfigurationError]:
    """Put what every named secret file holds into `entries`; return what went wrong.

    That is its first line, or every line that is not empty where the setting is a list.
    """
    errors = []
    for path, declaration in declared.items():
        named = entries.get((*path[:-1], f"{path[-1]}_file"))
        if not declaration.is_secret or named is None or not isinstance(named.value, str) or not named.value:
            continue
        place = dotted(named.path)
        if path in entries:
            errors.append(
                ConfigurationError(named.source, place, f"{path[-1]} is set too: set one of the two")
            )
            continue
        try:
            lines = _lines(Path(named.value))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            errors.append(ConfigurationError(named.source, place, f"cannot be used: {reason}"))
            continue
        is_list = tuple in kinds(declaration.field.annotation)
        entries[path] = Entry(named.source, path, list(filter(None, lines)) if is_list else lines[0])
    return errors


def _lines(file: Path) -> list[str]:
    if "\0" in str(file):
        raise ValueError("a path has no zero byte")
    with file.open("rb") as opened:
        if os.fstat(opened.fileno()).st_mode & _TOO_OPEN:
            raise ValueError("others than its owner may use it (chmod 600)")
        content = opened.read(MAX_SECRET_BYTES + 1)
    if len(content) > MAX_SECRET_BYTES:
        raise ValueError(f"it is larger than {MAX_SECRET_BYTES} bytes")
    try:
        return [line.strip() for line in content.decode().split("\n")]
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None

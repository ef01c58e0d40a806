"""Whatever an administrator writes, loading answers with Settings or ConfigurationErrors and nothing else."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from config.errors import ConfigurationErrors
from config.loading import load_settings
from config.reference import sample_toml
from config.schema import declarations
from config.settings import Settings

PATHS = [declared.path for declared in declarations(Settings)]
NAMES = sorted({name for path in PATHS for name in path})
SAMPLE = sample_toml()

names = st.sampled_from(NAMES) | st.text(max_size=12)
scalars = (
    st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(["127.0.0.1", "https://a.b", "/tmp/x"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(names, values | st.dictionaries(names, values, max_size=4), max_size=5)


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value).replace("\x7f", "\\u007f")


def loads(content: bytes, environment: dict[str, str] | None = None, flags: tuple[str, ...] = ()) -> bool:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "turngate.toml")
        file.write_bytes(content)
        try:
            settings = load_settings(file, environment or {}, flags)
        except ConfigurationErrors as mistakes:
            assert mistakes.errors
            # One line each, and nothing in it that a terminal would act on.
            assert all(line.isprintable() for line in map(str, mistakes.errors))
            return False
    assert isinstance(settings, Settings)
    return True


@given(st.binary(max_size=300))
@example(b"")
@example(b"\xef\xbb\xbf")
def test_any_bytes(content: bytes) -> None:
    loads(content)


@given(documents)
def test_any_document(document: dict[str, object]) -> None:
    loads(
        "\n".join(f"{json.dumps(name)} = {toml(value)}" for name, value in document.items()).encode(
            errors="replace"
        )
    )


@given(st.integers(0, len(SAMPLE)), st.integers(0, 40), st.text(max_size=10))
def test_any_damage_to_the_sample(start: int, length: int, put: str) -> None:
    uncommented = SAMPLE.replace("\n# ", "\n")
    loads((uncommented[:start] + put + uncommented[start + length :]).encode(errors="replace"))


@given(st.lists(st.tuples(st.sampled_from(PATHS), st.text(max_size=30) | scalars.map(str)), max_size=5))
def test_any_text_for_any_setting(written: list[tuple[tuple[str, ...], str]]) -> None:
    loads(
        b"",
        {"TURNGATE_" + "__".join(path).upper(): text for path, text in written},
        tuple(f"{'.'.join(path)}={text}" for path, text in written),
    )


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_variable_and_any_flag(name: str, flag: str) -> None:
    loads(b"", {"TURNGATE_" + name: flag}, (flag,))


def test_the_empty_file_and_the_sample_load() -> None:
    assert loads(b"")
    assert loads(SAMPLE.encode())

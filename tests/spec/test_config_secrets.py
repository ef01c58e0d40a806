"""Secrets come from files or the environment, and nothing ever prints one."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigurationErrors
from config.loading import load_settings
from config.schema import declarations
from config.settings import Settings

SECRET = "correct-horse-battery-staple-0123456789"


def refused(file: Path | None, environment: dict[str, str], flags: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ConfigurationErrors) as raised:
        load_settings(file, environment, flags)
    assert SECRET not in str(raised.value)
    assert SECRET not in repr(raised.value)
    assert SECRET not in repr(raised.value.errors)
    return str(raised.value).splitlines()


def secret_file(tmp_path: Path, content: bytes = SECRET.encode() + b"\n", mode: int = 0o600) -> Path:
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(mode)
    return file


def test_a_secret_from_the_environment_is_held_and_never_shown() -> None:
    settings = load_settings(None, {"TURNGATE_INVITATIONS__SECRET": SECRET})
    assert settings.invitations.secret is not None
    assert settings.invitations.secret.get_secret_value() == SECRET
    for shown in (repr(settings), str(settings), settings.model_dump_json(), f"{settings.model_dump()}"):
        assert SECRET not in shown


def test_the_first_line_of_a_secret_file_is_the_secret(tmp_path: Path) -> None:
    file = secret_file(tmp_path, SECRET.encode() + b"\r\nsecond line\n")
    settings = load_settings(None, {}, [f"invitations.secret_file={file}"])
    assert settings.invitations.secret is not None
    assert settings.invitations.secret.get_secret_value() == SECRET


def test_a_secret_in_the_toml_file_or_in_a_flag_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "turngate.toml"
    file.write_text(f'[invitations]\nsecret = "{SECRET}"\n', encoding="utf-8")
    advice = "invitations.secret: a secret is never written here: use the environment or secret_file"
    assert refused(file, {}, (f"invitations.secret={SECRET}",)) == [
        f"turngate.toml: {advice}",
        f"--set: {advice}",
    ]


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (SECRET.encode(), 0o644, "cannot be used: others than its owner may use it (chmod 600)"),
        (SECRET.encode(), 0o620, "cannot be used: others than its owner may use it (chmod 600)"),
        (b"\xff" * 40, 0o600, "cannot be used: it is not UTF-8 text"),
        (b"x" * 4097, 0o600, "cannot be used: it is larger than 4096 bytes"),
    ],
)
def test_a_secret_file_that_is_open_to_others_or_holds_no_text_is_refused(
    tmp_path: Path, content: bytes, mode: int, reason: str
) -> None:
    file = secret_file(tmp_path, content, mode)
    assert refused(None, {}, (f"invitations.secret_file={file}",)) == [
        f"--set: invitations.secret_file: {reason}"
    ]


def test_an_absent_secret_file_is_told_without_a_traceback(tmp_path: Path) -> None:
    assert refused(None, {}, (f"invitations.secret_file={tmp_path / 'absent'}",)) == [
        "--set: invitations.secret_file: cannot be used: No such file or directory"
    ]


def test_a_secret_and_its_file_are_not_set_together(tmp_path: Path) -> None:
    environment = {"TURNGATE_INVITATIONS__SECRET": SECRET}
    assert refused(None, environment, (f"invitations.secret_file={secret_file(tmp_path)}",)) == [
        "--set: invitations.secret_file: secret is set too: set one of the two"
    ]


def test_a_secret_that_is_too_short_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigurationErrors) as raised:
        load_settings(None, {"TURNGATE_INVITATIONS__SECRET": "hunter2"})
    assert str(raised.value) == (
        "environment: invitations.secret: is shorter than the least allowed 32 characters"
    )


@pytest.mark.parametrize(
    "declared",
    [declared for declared in declarations(Settings) if not declared.is_secret],
    ids=lambda declared: ".".join(declared.path),
)
def test_a_secret_under_a_wrong_name_is_not_repeated_by_any_error(declared: object) -> None:
    path = declared.path  # type: ignore[attr-defined]
    text = f"//user:{SECRET}@host?{SECRET}" + "\0" * 5000
    refused(None, {"TURNGATE_" + "__".join(path).upper(): text, "TURNGATE_INVITATIONS__SECRTE": SECRET})

"""Settings are read from file, environment and flags; every mistake is told at once, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigurationErrors
from config.loading import load_settings
from config.settings import Settings


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "turngate.toml"
    file.write_text(text, encoding="utf-8")
    return file


def mistakes(
    file: Path | None = None, environment: dict[str, str] | None = None, flags: tuple[str, ...] = ()
) -> list[str]:
    with pytest.raises(ConfigurationErrors) as raised:
        load_settings(file, environment or {}, flags)
    lines = str(raised.value).splitlines()
    assert lines == [str(error) for error in raised.value.errors]
    return lines


def test_without_any_source_everything_has_its_default_and_listens_on_loopback() -> None:
    settings = load_settings(None, {})
    assert settings == Settings()
    assert {listener.address for _, listener in settings.listeners()} == {"127.0.0.1"}


def test_the_file_sets_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, "[calls]\nring_timeout_seconds = 30\n"), {})
    assert (settings.calls.ring_timeout_seconds, settings.calls.max_call_seconds) == (30, 14400)


def test_the_environment_wins_over_the_file_and_a_flag_over_both(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "[calls]\nring_timeout_seconds = 30\nmax_call_seconds = 100\n[chat]\nmax_text_characters = 10\n",
    )
    environment = {"TURNGATE_CALLS__RING_TIMEOUT_SECONDS": "31", "TURNGATE_CALLS__MAX_CALL_SECONDS": "101"}
    settings = load_settings(file, environment, ["calls.ring_timeout_seconds=32"])
    assert (settings.calls.ring_timeout_seconds, settings.calls.max_call_seconds) == (32, 101)
    assert settings.chat.max_text_characters == 10


def test_of_two_flags_for_one_setting_the_last_wins() -> None:
    assert load_settings(
        None, {}, ["calls.ring_timeout_seconds=30", "calls.ring_timeout_seconds=31"]
    ) == load_settings(None, {}, ["calls.ring_timeout_seconds=31"])


def test_a_setting_at_the_root_has_a_variable_and_a_flag_too() -> None:
    assert load_settings(None, {"TURNGATE_DATA_DIRECTORY": "/srv/a"}).data_directory == Path("/srv/a")
    assert load_settings(None, {}, ["data_directory=/srv/b"]).data_directory == Path("/srv/b")


def test_a_list_is_written_as_in_toml_everywhere(tmp_path: Path) -> None:
    one = '["udp://127.0.0.1:1", "udp://127.0.0.2:2"]'
    from_file = load_settings(written(tmp_path, f"[relay]\nlisten = {one}\n"), {})
    assert from_file.relay.listen == ("udp://127.0.0.1:1", "udp://127.0.0.2:2")
    assert load_settings(None, {"TURNGATE_RELAY__LISTEN": one}) == load_settings(
        None, {}, [f"relay.listen={one}"]
    )
    assert load_settings(None, {}, [f"relay.listen={one}"]) == from_file


def test_a_mistake_within_a_list_is_told_with_its_index() -> None:
    assert mistakes(flags=('relay.listen=["udp://127.0.0.1:1", "udp://224.0.0.1:2"]',)) == [
        "--set: relay.listen.1: must be a unicast address"
    ]
    assert (
        mistakes(flags=("relay.listen=udp://127.0.0.1:1", "relay.listen=[]\nx=1"))
        == ['--set: relay.listen: must be a list as in TOML, such as ["one", "two"]'] * 2
    )


def test_variables_of_other_programs_are_left_alone() -> None:
    assert load_settings(None, {"PATH": "/bin", "TURN_GATE": "1", "turngate_chat": "1"}) == Settings()


def test_text_after_the_first_equals_sign_belongs_to_the_value() -> None:
    assert load_settings(None, {}, ["guests.contact_text=a=b"]).guests.contact_text == "a=b"


def test_every_mistake_is_told_at_once_with_its_source_and_path(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "[calls]\nring_timeout_seconds = 0\nmax_call_secnds = 60\n[chat]\nmax_text_characters = 99999\n",
    )
    found = mistakes(file, {"TURNGATE_INSIDE__PORT": "many"}, ("admin.address=224.0.0.1", "outside"))
    assert sorted(found) == sorted(
        [
            "turngate.toml: calls.ring_timeout_seconds: 0 is below the least allowed 5",
            "turngate.toml: calls.max_call_secnds: is no setting; did you mean calls.max_call_seconds?",
            "turngate.toml: chat.max_text_characters: 99999 is above the most allowed 10000",
            "environment: inside.port: must be a whole number",
            "--set: admin.address: must be a unicast address",
            "--set: must have the form section.field=value",
        ]
    )


def test_a_wrong_setting_does_not_hide_sections_that_contradict(tmp_path: Path) -> None:
    file = written(tmp_path, "[calls]\nring_timeout_seconds = 0\n[inside]\nport = 9443\n")
    assert mistakes(file) == [
        "turngate.toml: calls.ring_timeout_seconds: 0 is below the least allowed 5",
        "turngate.toml: inside: has the same address and port as [outside]",
    ]


def test_a_wrong_value_that_a_later_source_replaces_is_no_mistake(tmp_path: Path) -> None:
    file = written(tmp_path, "[calls]\nring_timeout_seconds = 0\n")
    assert load_settings(file, {}, ["calls.ring_timeout_seconds=5"]).calls.ring_timeout_seconds == 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[cals]\nx = 1\n", "cals: is no setting; did you mean calls?"),
        ("[zzzzzzzz]\n", "zzzzzzzz: is no setting"),
        ("calls = 5\n", "calls: is a section, not a setting"),
        ("[data_directory]\nx = 1\n", "data_directory: must be a path"),
        ("[calls]\nring_timeout_seconds = true\n", "calls.ring_timeout_seconds: must not be true or false"),
        ("[calls]\nring_timeout_seconds = 7.5\n", "calls.ring_timeout_seconds: must be a whole number"),
        ("[calls]\nring_timeout_seconds = inf\n", "calls.ring_timeout_seconds: must be a whole number"),
        ("[guests]\ncontact_text = 7\n", "guests.contact_text: must be text"),
        ('[directory]\nkind = "ldap"\n', "directory.kind: must be 'ldif', 'openldap' or 'active_directory'"),
        (
            '[tls]\ncertificate_file = ""\n',
            "tls.certificate_file: names no file; leave the setting out instead",
        ),
        ('"\\u001b[2J" = 1\n', "'\\x1b[2J': is no setting"),
        ("[calls\n", "is not TOML: syntax error at line 1, column 7"),
        ("a = " + "[" * 5000, "is not TOML that can be read: nested too deeply"),
        ("a = " + "1" * 5000, "is not TOML: it must be UTF-8 with numbers of a sensible length"),
    ],
)
def test_a_mistake_in_the_file_is_told_in_one_plain_line(tmp_path: Path, text: str, line: str) -> None:
    assert mistakes(written(tmp_path, text)) == [f"turngate.toml: {line}"]


def test_a_number_too_long_to_print_is_not_repeated(tmp_path: Path) -> None:
    assert mistakes(written(tmp_path, f"[calls]\nring_timeout_seconds = 0x{'f' * 5000}\n")) == [
        "turngate.toml: calls.ring_timeout_seconds: the number is above the most allowed 300"
    ]


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("calls=5", "calls: is a section, not a setting"),
        ("calls.ring_timeout_seconds.x=5", "calls.ring_timeout_seconds.x: is below a setting"),
        (".=5", "'': is no setting"),
        ("=5", "'': is no setting"),
    ],
)
def test_a_flag_names_a_setting_and_nothing_else(flag: str, line: str) -> None:
    assert mistakes(flags=(flag,)) == [f"--set: {line}"]


def test_a_file_that_cannot_be_read_is_told_with_the_other_mistakes(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "absent.toml", flags=("x=1",)) == [
        "absent.toml: cannot be read: No such file or directory",
        "--set: x: is no setting",
    ]
    assert mistakes(tmp_path) == [f"{tmp_path.name}: cannot be read: Is a directory"]


def test_bytes_that_are_not_utf_8_and_files_that_are_too_large_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "turngate.toml"
    file.write_bytes(b"\xff")
    assert mistakes(file) == [
        "turngate.toml: is not TOML: it must be UTF-8 with numbers of a sensible length"
    ]
    file.write_bytes(b"#" * ((1 << 20) + 1))
    assert mistakes(file) == ["turngate.toml: is larger than 1048576 bytes"]


def test_settings_cannot_be_changed_once_loaded() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().calls.ring_timeout_seconds = 7

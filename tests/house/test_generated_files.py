"""Files generated from the declarations are what the declarations say now; `make docs` writes them again."""

from __future__ import annotations

from pathlib import Path

from config.loading import load_settings
from config.reference import (
    POLICY_SCHEMA_FILE,
    REFERENCE_FILE,
    SAMPLE_FILE,
    markdown,
    policy_schema,
    sample_toml,
)
from config.schema import declarations
from config.settings import Settings


def test_the_configuration_page_is_up_to_date() -> None:
    assert REFERENCE_FILE.read_text(encoding="utf-8") == markdown()


def test_the_sample_file_is_up_to_date() -> None:
    assert SAMPLE_FILE.read_text(encoding="utf-8") == sample_toml()


def test_the_schema_of_the_policy_is_up_to_date() -> None:
    assert POLICY_SCHEMA_FILE.read_text(encoding="utf-8") == policy_schema()


def test_the_sample_file_loads_as_it_is_and_says_the_defaults() -> None:
    assert load_settings(SAMPLE_FILE, {}) == Settings()


def test_the_page_and_the_sample_name_every_setting_but_no_secret_in_the_sample() -> None:
    page, sample = markdown(), sample_toml()
    for declared in declarations(Settings):
        assert f"| `{declared.path[-1]}` |" in page
        assert (f"\n# {declared.path[-1]} = " in sample) is not declared.is_secret


def test_the_sample_with_every_default_written_out_loads_too(tmp_path: Path) -> None:
    # Two characters mark prose, one marks a setting; those without a default have no value to write.
    settings = [line.removeprefix("# ") for line in sample_toml().splitlines() if not line.startswith("##")]
    file = tmp_path / "turngate.toml"
    file.write_text("\n".join(line for line in settings if not line.endswith('= "..."')), encoding="utf-8")
    assert load_settings(file, {}) == Settings()

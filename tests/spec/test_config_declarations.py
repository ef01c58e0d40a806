"""Every setting says what it is: help, unit, bounds, and a default within them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from config.schema import Declaration, declarations, kinds, section_of
from config.settings import Settings

DECLARED = list(declarations(Settings))


@pytest.fixture(params=DECLARED, ids=lambda declared: ".".join(declared.path))
def declared(request: pytest.FixtureRequest) -> Declaration:
    assert isinstance(request.param, Declaration)
    return request.param


def test_every_setting_has_help_that_ends_in_a_full_stop(declared: Declaration) -> None:
    assert (declared.field.description or "").endswith(".")


def test_every_setting_has_a_unit(declared: Declaration) -> None:
    assert declared.unit


def test_every_number_and_every_text_is_bounded(declared: Declaration) -> None:
    allowed = kinds(declared.field.annotation)
    if allowed & {int, float}:
        assert declared.least is not None
        assert declared.most is not None
    elif allowed & {str, list, tuple, set, frozenset}:
        assert declared.most is not None
    elif SecretStr in allowed:
        assert declared.least >= 20
        assert declared.most is not None
    else:
        assert declared.choices or allowed <= {Path, bool}


def test_units_stand_in_the_names_of_numbers(declared: Declaration) -> None:
    if declared.unit in ("seconds", "bytes", "characters", "rows"):
        assert declared.path[-1].endswith(declared.unit)


def test_every_setting_has_a_default(declared: Declaration) -> None:
    assert not declared.field.is_required()


def sections(model: type[BaseModel]) -> list[type[BaseModel]]:
    below = [section for field in model.model_fields.values() if (section := section_of(field)) is not None]
    return [model, *(deeper for section in below for deeper in sections(section))]


@pytest.mark.parametrize("section", sections(Settings), ids=lambda section: section.__name__)
def test_every_section_is_frozen_refuses_unknown_keys_and_says_what_it_is(section: type[BaseModel]) -> None:
    assert section.model_config["frozen"] is True
    assert section.model_config["extra"] == "forbid"
    assert section.__doc__
    # Defaults are not validated when a value is made from them; here they are.
    assert section.model_validate(section().model_dump()) == section()

"""What is generated from the frames says what the frames say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from broker.core import typedefs
from broker.core.client_frames import ClientFrame
from broker.core.frames import EdgeFrame

ROOT = Path(__file__).resolve().parents[2]


def test_the_browser_typedefs_are_those_of_the_frames() -> None:
    written = (ROOT / "broker/web/protocol/frames.js").read_text()
    assert written == typedefs.javascript_typedefs(), (
        "python -m broker.core.typedefs javascript > broker/web/protocol/frames.js"
    )


def test_the_json_schema_is_that_of_the_frames() -> None:
    written = (ROOT / "docs/frames.schema.json").read_text()
    assert written == typedefs.json_schema(), (
        "python -m broker.core.typedefs schema > docs/frames.schema.json"
    )


@pytest.mark.parametrize(("name", "union"), [("ClientFrame", ClientFrame), ("EdgeFrame", EdgeFrame)])
def test_every_frame_of_a_direction_is_in_its_union(name: str, union: object) -> None:
    models = [model.__name__ for model in get_args(union)]
    assert f"@typedef {{{' | '.join(models)}}} {name} */\n" in typedefs.javascript_typedefs()
    schema = json.loads(typedefs.json_schema())["$defs"]
    assert [member["$ref"] for member in schema[name]["oneOf"]] == [f"#/$defs/{model}" for model in models]
    assert all("type" in schema[model]["required"] for model in models)


def test_a_member_that_may_be_left_out_is_optional_in_javascript() -> None:
    text = typedefs.javascript_typedefs()
    assert " * @property {number | null} [expires_in_seconds]\n" in text
    assert " * @property {Contact | null} [host]\n" in text
    assert ' * @property {("audio" | "video")[]} media\n' in text
    assert " * @property {EndReason} reason\n" in text

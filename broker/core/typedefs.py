"""The frames, told to other languages: JSDoc typedefs for the browser client, a JSON Schema for all others.

Both are pure functions of the models in `broker.core.frames`; what they return is kept in
`broker/web/protocol/frames.js` and `docs/frames.schema.json`, and a test compares. To write them anew:

    python -m broker.core.typedefs javascript > broker/web/protocol/frames.js
    python -m broker.core.typedefs schema > docs/frames.schema.json
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field, TypeAdapter

from broker.core import client_frames, frame_fields, frames
from broker.core.client_frames import ClientFrame
from broker.core.frames import EdgeFrame, Frame

_SCALARS: dict[type, str] = {str: "string", int: "number", bool: "boolean"}
_ALIASES: dict[object, str] = {
    frame_fields.Status: "Status",
    frame_fields.ShownStatus: "ShownStatus",
    frame_fields.Kind: "Kind",
    frame_fields.EndReason: "EndReason",
    frame_fields.ShareEndReason: "ShareEndReason",
}
"""Literals that are typedefs of their own."""
_HEADER = """\
/**
 * The frames of `turngate.v1`: one typedef per message, joined on `type`.
 * Generated from broker/core/frames.py by broker/core/typedefs.py: change it there.
 */
"""


def javascript_typedefs() -> str:
    """A module without code: each frame as a JSDoc typedef, `ClientFrame` and `EdgeFrame` as their unions.

    A member that may be null may also be absent: the edge leaves null members out.
    """
    blocks = []
    for alias, name in _ALIASES.items():
        blocks.append(_comment([f"@typedef {{{_spelt_out(alias)}}} {name}"]))
    blocks += [_typedef(model) for model in _models()]
    for name, union in (("ClientFrame", ClientFrame), ("EdgeFrame", EdgeFrame)):
        members = " | ".join(model.__name__ for model in get_args(union))
        blocks.append(_comment([f"@typedef {{{members}}} {name}"]))
    return "\n".join([_HEADER, "".join(blocks), "export {};\n"])


def json_schema() -> str:
    """JSON Schema 2020-12 of both directions, `#/$defs/ClientFrame` and `#/$defs/EdgeFrame`."""
    definitions: dict[str, Any] = {}
    client: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="type")])
    edge: TypeAdapter[EdgeFrame] = TypeAdapter(Annotated[EdgeFrame, Field(discriminator="type")])
    for name, schema in (("ClientFrame", client.json_schema()), ("EdgeFrame", edge.json_schema())):
        definitions |= schema.pop("$defs")
        definitions[name] = schema
    for definition in definitions.values():
        _require_type(definition)
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "turngate.v1",
        "description": "A client sends ClientFrame, the edge EdgeFrame: one JSON object per message.",
        "$defs": dict(sorted(definitions.items())),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _require_type(definition: dict[str, Any]) -> None:
    # The models default `type` so that Python need not repeat it; on the wire it is what tells frames apart.
    if "type" in definition.get("properties", {}):
        definition["required"] = ["type", *definition.get("required", [])]


def _models() -> Iterator[type[Frame]]:
    """Every model on the wire, in the order of the source, the families' empty base classes left out."""
    for model in (*vars(client_frames).values(), *vars(frames).values()):
        if inspect.isclass(model) and issubclass(model, Frame) and model.model_fields:
            yield model


def _typedef(model: type[Frame]) -> str:
    prose = inspect.cleandoc(model.__doc__ or "").splitlines() if model.__doc__ else []
    lines = [*prose, f"@typedef {{object}} {model.__name__}"]
    for name, field in model.model_fields.items():
        optional = NoneType in get_args(field.annotation)
        shown = f"[{name}]" if optional else name
        lines.append(f"@property {{{_type_of(field.annotation)}}} {shown}")
    return _comment(lines)


def _type_of(annotation: Any) -> str:
    return _ALIASES.get(annotation) or _spelt_out(annotation)


def _spelt_out(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _type_of(get_args(annotation)[0])
    if origin is Literal:
        return " | ".join(json.dumps(value) for value in get_args(annotation))
    if origin in (Union, UnionType):
        return " | ".join(_type_of(member) for member in get_args(annotation))
    if origin is list:
        item = _type_of(get_args(annotation)[0])
        return f"({item})[]" if "|" in item else f"{item}[]"
    if annotation is NoneType:
        return "null"
    if inspect.isclass(annotation) and issubclass(annotation, Frame):
        return annotation.__name__
    return _SCALARS[annotation]


def _comment(lines: list[str]) -> str:
    if len(lines) == 1:
        return f"/** {lines[0]} */\n"
    body = "\n".join(f" * {line}".rstrip() for line in lines[1:])
    return f"/** {lines[0]}\n{body}\n */\n"


if __name__ == "__main__":
    sys.stdout.write({"javascript": javascript_typedefs, "schema": json_schema}[sys.argv[1]]())

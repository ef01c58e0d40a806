"""What the declarations say about themselves: sections, settings, units, bounds, and which are secret."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Declaration:
    """One setting as declared, at its path from the root."""

    path: tuple[str, ...]
    field: FieldInfo

    @property
    def unit(self) -> str:
        extra = self.field.json_schema_extra
        return str(extra.get("unit", "")) if isinstance(extra, dict) else ""

    @property
    def is_secret(self) -> bool:
        return SecretStr in kinds(self.field.annotation)

    @property
    def least(self) -> Any:
        """The least allowed value or length; None where the declaration has none."""
        return self._bound("ge", "gt", "min_length")

    @property
    def most(self) -> Any:
        """The greatest allowed value or length; None where the declaration has none."""
        return self._bound("le", "lt", "max_length")

    @property
    def choices(self) -> tuple[Any, ...]:
        """The allowed values of a setting that is a choice; empty otherwise."""
        return tuple(
            value
            for kind in _alternatives(self.field.annotation)
            if typing.get_origin(kind) is Literal
            for value in typing.get_args(kind)
        )

    def _bound(self, *names: str) -> Any:
        for constraint in _flat(self.field.metadata):
            for name in names:
                if (value := getattr(constraint, name, None)) is not None:
                    return value
        return None


def declarations(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Declaration]:
    """Every setting below `model`, in the order of declaration."""
    for name, field in model.model_fields.items():
        if (section := section_of(field)) is not None:
            yield from declarations(section, (*path, name))
        else:
            yield Declaration((*path, name), field)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a section; None for a setting."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def kinds(annotation: Any) -> set[Any]:
    """The types a value may have: `int | None` is {int}; `tuple[SecretStr, ...]` is {tuple, SecretStr}."""
    found: set[Any] = set()
    for alternative in _alternatives(annotation):
        found.add(typing.get_origin(alternative) or alternative)
        if typing.get_origin(alternative) in (list, tuple, set, frozenset):
            for argument in typing.get_args(alternative):
                found |= kinds(argument) if argument is not Ellipsis else set()
    return found


def _alternatives(annotation: Any) -> Iterator[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _alternatives(typing.get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for argument in typing.get_args(annotation):
            yield from _alternatives(argument)
    elif annotation is not NoneType:
        yield annotation


def _flat(metadata: list[Any]) -> Iterator[Any]:
    for constraint in metadata:
        if isinstance(constraint, FieldInfo):
            yield from _flat(constraint.metadata)
        elif isinstance(constraint, annotated_types.GroupedMetadata):
            yield from _flat(list(constraint))
        else:
            yield constraint

"""What the core commanded in answer to one event, and what a playbook expected of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, TypeVar

from broker.audit.record import Draft
from broker.core.commands import Answer, Command, ConnectionId, Narrowing, Opening, Show, Tell, Write

Model = TypeVar("Model")
AnyEffect = Any
NOBODY = ConnectionId("")


def effects_of(command: Command) -> tuple[AnyEffect, ...]:
    """Every effect of a command that nothing stands in the way of, in the order of release."""
    return (*command.effects, *command.then) if isinstance(command, Opening) else tuple(command.effects)


@dataclass(frozen=True)
class Expected:
    """One effect, by its kind and by those of its members that matter."""

    kind: Any
    connection_id: ConnectionId
    frame_type: type | None
    members: dict[str, Any]

    def matches(self, effect: AnyEffect) -> bool:
        if self.kind is not type(effect) or getattr(effect, "connection_id", NOBODY) != self.connection_id:
            return False
        subject: Any = effect
        if self.frame_type is not None:
            subject = effect.frame
            if type(subject) is not self.frame_type:
                return False
        return all(getattr(subject, name) == value for name, value in self.members.items())


def effect(kind: type, **members: Any) -> Expected:
    """An effect that goes to no connection."""
    return Expected(kind, NOBODY, None, members)


@dataclass
class Outcome:
    """What the core commanded in answer to one event."""

    commands: list[Command]
    expected: list[Expected] = field(default_factory=list)

    def __lshift__(self, expected: Expected | list[Expected]) -> Outcome:
        self.expected.extend(expected if isinstance(expected, list) else [expected])
        return self

    def __bool__(self) -> bool:
        """True when exactly the expected effects came, in order for each connection; else says what did."""
        left: dict[ConnectionId, list[AnyEffect]] = defaultdict(list)
        for each in self.effects:
            left[getattr(each, "connection_id", NOBODY)].append(each)
        for wanted in self.expected:
            first = (left[wanted.connection_id] or [None]).pop(0)
            assert wanted.matches(first), f"wanted {wanted}\n came: {self.effects}"
        unexpected = [each for those in left.values() for each in those]
        assert not unexpected, f"nobody expected {unexpected}"
        return True

    @property
    def effects(self) -> list[AnyEffect]:
        return [each for command in self.commands for each in effects_of(command)]

    @property
    def openings(self) -> list[Opening]:
        return [command for command in self.commands if isinstance(command, Opening)]

    @property
    def ended_scopes(self) -> list[str]:
        return [s for command in self.commands if isinstance(command, Narrowing) for s in command.scopes]

    @property
    def records(self) -> list[Draft]:
        return [r for command in self.commands if not isinstance(command, Answer) for r in command.records]

    @property
    def record_types(self) -> list[str]:
        return [record.type for record in self.records]

    def record(self, record_type: str) -> Draft:
        """The one record of this type."""
        (found,) = [record for record in self.records if record.type == record_type]
        return found

    @property
    def writes(self) -> list[Write]:
        return [w for command in self.commands if not isinstance(command, Answer) for w in command.writes]

    def frame(self, frame_type: type[Model]) -> Model:
        """The first frame of this type, to whomever."""
        for each in self.effects:
            if isinstance(each, Show | Tell) and isinstance(each.frame, frame_type):
                return each.frame
        raise AssertionError(f"no {frame_type.__name__} among {self.effects}")

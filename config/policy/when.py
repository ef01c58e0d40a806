"""When: days and hours at which a rule holds, in a named time zone."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from config.policy.declaration import PolicyDeclaration

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
MINUTES_OF_A_DAY = 24 * 60
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-(([01][0-9]|2[0-3]):([0-5][0-9])|24:00)")


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("write a time zone by its name, such as Europe/Berlin or UTC") from None
    return name


def _hours(text: str) -> str:
    found = _HOURS.fullmatch(text)
    if found is None or found[0][:5] == found[0][6:]:
        raise ValueError("write hours as 07:00-19:00; up to 24:00 at most, over midnight as 22:00-06:00")
    return text


class When(PolicyDeclaration):
    """A window of time. Hours that go over midnight belong to the day on which they begin."""

    tz: Annotated[str, Field(max_length=64), AfterValidator(_time_zone)] = Field(
        description="IANA name of the time zone that days and hours are told in."
    )
    days: tuple[Day, ...] | None = Field(
        default=None, description="Such as mon, tue; an empty list is never. Absent: every day."
    )
    hours: Annotated[str, AfterValidator(_hours)] | None = Field(
        default=None,
        validate_default=True,
        description="From and until, such as 07:00-19:00; the last minute named is outside. "
        "Absent: the whole day.",
    )

    @field_validator("hours")
    @classmethod
    def _says_something(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and "days" in info.data and info.data["days"] is None:
            raise ValueError("say days, hours or both")
        return value

    @property
    def minutes(self) -> tuple[int, int]:
        """First minute of the day, and the minute after the last; beyond `MINUTES_OF_A_DAY` the next day."""
        if self.hours is None:
            return 0, MINUTES_OF_A_DAY
        first, last = (int(text[:2]) * 60 + int(text[3:]) for text in self.hours.split("-"))
        return first, last if last > first else last + MINUTES_OF_A_DAY

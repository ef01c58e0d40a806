"""Recorded: a question read back from the decision that a record holds, so that it can be asked again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auth.personal import Personal
from auth.principal import Anonymous, Guest, Insider, PartyId, Principal
from broker.policy.question import Question, Subject
from config.policy.action import Action

_NOBODY = Personal("")


class UnreadableDecisionError(ValueError):
    """The record does not hold all that the question was made of; says why."""


def question_of(decision: Mapping[str, Any], personal: Mapping[str, str | None]) -> Question:
    """The question of a decision as `Decision.to_json()` gives it, with its personal facts under their names
    there; None for what was redacted. Raises UnreadableDecisionError for any other text."""
    if decision.get("shortened"):
        raise UnreadableDecisionError("shortened: it was too large for its record")
    try:
        inputs = decision["inputs"]
        counterpart = inputs["counterpart"]
        return Question(
            Action(inputs["action"]),
            _subject(inputs["actor"], "actor", personal),
            None if counterpart is None else _subject(counterpart, "counterpart", personal),
            _whole(inputs["at_unix_seconds"]),
        )
    except UnreadableDecisionError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableDecisionError(f"not a decision: {type(error).__name__}") from None


def _subject(party: Mapping[str, Any], role: str, personal: Mapping[str, str | None]) -> Subject:
    principal: Principal
    match party["kind"]:
        case "insider":
            if party["groups_omitted"]:
                raise UnreadableDecisionError("somebody is in more groups than were recorded")
            principal = Insider(
                PartyId(_text(party["party"])),
                _NOBODY,
                _NOBODY,
                frozenset(_text(group) for group in party["groups"]),
                tuple((_text(name), _text(value)) for name, value in party["attributes"]),
                _text(party["directory_version"]),
            )
        case "guest":
            domain = _personal(personal, f"{role}_domain")
            principal = Guest(
                PartyId(_text(party["party"])),
                _NOBODY,
                _text(party["invitation_id"]),
                PartyId(_text(party["invited_by"])),
                _text(party["verified_by"]),
                None if domain is None else Personal(f"recorded@{domain}"),
            )
        case "anonymous":
            principal = Anonymous()
        case _:
            raise UnreadableDecisionError("not a kind of party")
    return Subject(principal, _personal(personal, f"{role}_source_address"))


def _personal(personal: Mapping[str, str | None], name: str) -> str | None:
    if name in personal and personal[name] is None:
        raise UnreadableDecisionError("redacted")
    return personal.get(name)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value

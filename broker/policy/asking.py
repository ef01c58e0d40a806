"""Asking: a question in an administrator's words, as the command line and the console take it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from auth.email_address import EmailAddressError, email_address
from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId
from broker.policy.question import Question, Subject
from config.policy.action import ADMINISTRATION, Action

MAX_WORD_CHARACTERS = 320
_GUEST = PartyId("g-somebody")


class AskingError(ValueError):
    """The words are no question; the message says which of them."""


def question_asked(
    insider: Callable[[str], Insider | None],
    who: str,
    to: str | None,
    action: str,
    at_unix_seconds: int,
    source: str | None = None,
    to_source: str | None = None,
) -> Question:
    """`who` and `to` are logins, or `guest` or `guest:ADDRESS` for a guest of the other one. `insider` finds
    somebody by their login. Raises AskingError."""
    try:
        asked = Action(action)
    except ValueError:
        raise AskingError(f"no such action: {action[:MAX_WORD_CHARACTERS]!a}") from None
    if asked in ADMINISTRATION:
        raise AskingError("administration is not the policy's: [admin] in the settings names its groups")
    actor, other = _party(insider, who), None if to is None else _party(insider, to)
    if isinstance(actor, Guest) and isinstance(other, Insider):
        actor = _invited_by(actor, other)
    if isinstance(other, Guest) and isinstance(actor, Insider):
        other = _invited_by(other, actor)
    counterpart = None if other is None else Subject(other, to_source)
    return Question(asked, Subject(actor, source), counterpart, at_unix_seconds)


def moment_of(text: str) -> int:
    """Unix seconds of a time in ISO 8601, in UTC unless it says otherwise. Raises AskingError."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise AskingError(f"not a time in ISO 8601: {text[:MAX_WORD_CHARACTERS]!a}") from None
    if not 1970 <= time.year <= 9000:
        raise AskingError("a year from 1970 to 9000, please")
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _party(insider: Callable[[str], Insider | None], word: str) -> Insider | Guest:
    if len(word) > MAX_WORD_CHARACTERS:
        raise AskingError("a name is too long")
    kind, colon, address = word.partition(":")
    if kind == "guest":
        try:
            email = Personal(email_address(address)) if colon else None
        except EmailAddressError:
            raise AskingError(f"not an e-mail address: {address!a}") from None
        return Guest(_GUEST, Personal("somebody"), "i-somebody", _GUEST, email=email)
    found = insider(word)
    if found is None:
        raise AskingError(f"the directory has nobody who signs in as {word!a}")
    return found


def _invited_by(guest: Guest, host: Insider) -> Guest:
    return Guest(guest.party, guest.name, guest.invitation_id, host.party, guest.verified_by, guest.email)

"""Terminal: text from strangers, shown to a person at a prompt."""

from __future__ import annotations


def safe(value: object) -> str:
    """Text in which nothing is left that moves a cursor, changes colours or turns the direction of
    writing."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(value)
    )

"""Opaque sign-in tokens."""

import hashlib

import pytest

from auth.tokens import TokenError, new_token, token_digest


def test_a_token_is_its_random_bytes_in_base64url_without_padding() -> None:
    assert new_token(bytes(16)) == "A" * 22
    assert new_token(b"\xfb\xff\xfe" * 8) == "-__-" * 8


@pytest.mark.parametrize("count", [0, 15, 65])
def test_a_token_of_too_little_or_too_much_randomness_is_not_made(count: int) -> None:
    with pytest.raises(ValueError, match="16 to 64 random bytes"):
        new_token(bytes(count))


@pytest.mark.parametrize("count", [16, 32, 64])
def test_only_the_sha256_of_the_token_text_is_stored(count: int) -> None:
    token = new_token(bytes(range(count)))
    assert token_digest(token) == hashlib.sha256(token.encode()).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A" * 21,
        "A" * 87,
        "A" * 31 + "=",
        "A" * 31 + "\n",
        "A" * 32 + "\n",
        "A" * 31 + "+",
        "A" * 31 + "ä",
        "\ud800" * 32,
    ],
)
def test_what_cannot_be_a_token_is_refused_before_anything_is_looked_up(text: str) -> None:
    with pytest.raises(TokenError) as refusal:
        token_digest(text)
    assert str(refusal.value) == "not a token"

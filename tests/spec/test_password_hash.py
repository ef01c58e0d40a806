"""Stored passwords in LDIF."""

import pytest

from auth.password_hash import PasswordHashError, format_user_password, parse_user_password
from auth.passwords import PasswordNotUsableError, hash_password, password_bytes

SALT, DIGEST = "c2FsdHNhbHRzYWx0c2E", "A" * 43
ENCODED = f"$argon2id$v=19$m=65536,t=3,p=4${SALT}${DIGEST}"


@pytest.mark.parametrize("scheme", ["{ARGON2}", "{argon2}"])
def test_an_argon2id_hash_is_understood_with_its_cost(scheme: str) -> None:
    stored = parse_user_password(scheme + ENCODED)
    assert (stored.encoded, stored.cost) == (ENCODED, (65536, 3, 4))
    assert format_user_password(stored.encoded) == "{ARGON2}" + ENCODED


def test_a_stored_hash_prints_without_itself() -> None:
    assert "argon2id" not in repr(parse_user_password("{ARGON2}" + ENCODED))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "hunter2",
        ENCODED,
        "{CLEARTEXT}hunter2",
        "{SSHA}hunter2",
        "{ARGON2}",
        "{ARGON2}hunter2",
        "{ARGON2}" + ENCODED + "\n",
        "{ARGON2}" + ENCODED.replace("argon2id", "argon2i"),
        "{ARGON2}" + ENCODED.replace("v=19", "v=16"),
        "{ARGON2}" + ENCODED.replace("m=65536", "m=9999999"),
        "{ARGON2}" + ENCODED.replace("m=65536", "m=262145"),
        "{ARGON2}" + ENCODED.replace("m=65536", "m=8"),
        "{ARGON2}" + ENCODED.replace("m=65536", "m=٣٣"),
        "{ARGON2}" + ENCODED.replace("t=3", "t=17"),
        "{ARGON2}" + ENCODED.replace("t=3", "t=0"),
        "{ARGON2}" + ENCODED.replace("p=4", "p=17"),
        "{ARGON2}" + ENCODED.replace(SALT, "short"),
        "{ARGON2}" + ENCODED.replace(DIGEST, "A" * 45),
    ],
)
def test_every_other_scheme_and_every_excessive_cost_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(PasswordHashError) as refusal:
        parse_user_password(value)
    assert "hunter2" not in str(refusal.value)
    assert SALT not in str(refusal.value)


def test_a_decoy_costs_the_same_and_shares_neither_salt_nor_digest() -> None:
    stored = parse_user_password("{ARGON2}" + ENCODED)
    decoy = parse_user_password(format_user_password(stored.decoy().encoded))
    assert decoy.cost == stored.cost
    assert SALT not in decoy.encoded


def test_a_new_hash_can_be_stored_and_is_salted() -> None:
    one, other = hash_password("correct horse"), hash_password("correct horse")
    assert one != other
    assert parse_user_password(one).cost == (65536, 3, 1)


@pytest.mark.parametrize("password", ["", "x" * 1025, "ä" * 513, "\ud800", "x" * 10_000_000])
def test_a_password_nobody_can_have_is_neither_hashed_nor_checked(password: str) -> None:
    assert password_bytes(password) is None
    with pytest.raises(PasswordNotUsableError) as refusal:
        hash_password(password)
    assert str(refusal.value) == "a password has 1 to 1024 bytes of text"


def test_a_password_is_whole_bytes_up_to_the_limit_and_beyond_a_nul() -> None:
    assert password_bytes("x" * 1024) == b"x" * 1024
    assert password_bytes("a\x00b") == b"a\x00b"


def test_an_umlaut_typed_as_two_characters_is_the_same_password() -> None:
    assert password_bytes("scho\u0308n") == password_bytes("sch\u00f6n") == "schön".encode()

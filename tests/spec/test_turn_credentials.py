"""TURN credentials: what is issued verifies, what is not a username is refused, nothing leaks."""

from __future__ import annotations

import pytest

from relay.credentials import ClaimedName, CredentialSecrets, read_username


def test_a_credential_is_the_hmac_of_its_username() -> None:
    credential = CredentialSecrets((b"north",)).issue("s1", "alice", 1900000000)
    assert credential.username == "1900000000:s1:alice"
    # openssl dgst -sha1 -hmac north -binary <<< username, in base64
    assert credential.password == "qgc7n++WPFXFb8//p1LO0dKk9wc="


def test_the_first_secret_signs_and_all_verify() -> None:
    old, new = CredentialSecrets((b"old",)), CredentialSecrets((b"new", b"old"))
    before = old.issue("s1", "alice", 1)
    after = new.issue("s1", "alice", 1)
    assert before.password != after.password
    known = new.passwords(after.username.encode())
    assert {before.password.encode(), after.password.encode()} == set(known)


def test_a_printed_credential_shows_no_password() -> None:
    secrets = CredentialSecrets((b"secret-of-the-house",))
    credential = secrets.issue("s1", "alice", 1)
    assert credential.password not in f"{credential} {credential!r}"
    assert "secret-of-the-house" not in repr(secrets)


def test_a_username_names_expiry_session_and_party() -> None:
    assert read_username(b"17:s1:alice", with_session=True) == ClaimedName(17, "s1", "alice")


def test_without_sessions_any_name_after_the_expiry_will_do() -> None:
    assert read_username(b"17:user", with_session=False) == ClaimedName(17, "", "user")
    assert read_username(b"17:@a:b.org", with_session=False) == ClaimedName(17, "", "@a:b.org")


@pytest.mark.parametrize(
    "username",
    [
        b"",
        b"17",
        b"17:",
        b"17:s1",
        b"17:s1:",
        b"17::alice",
        b"17:s1:a:b",
        b"x:s1:alice",
        b"-1:s1:alice",
        b"17:s1:al ice",
        b"17:s1:al\nice",
        b"17:s1:al\x1b[2Jice",
        b"17:s1:\xff",
        b"\xd9\xa1:s1:alice",
        b"17:s1:" + b"a" * 129,
    ],
)
def test_any_other_username_is_unknown(username: bytes) -> None:
    assert read_username(username, with_session=True) is None


@pytest.mark.parametrize(("session_id", "party"), [("s:1", "a"), ("s", ""), ("s", "a b"), ("s", "\n")])
def test_no_credential_is_issued_for_a_name_a_username_cannot_carry(session_id: str, party: str) -> None:
    with pytest.raises(ValueError, match="colon"):
        CredentialSecrets((b"k",)).issue(session_id, party, 1)


@pytest.mark.parametrize("secrets", [(), (b"",), (b"a", b"")])
def test_a_relay_without_a_secret_is_refused(secrets: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="secret"):
        CredentialSecrets(secrets)

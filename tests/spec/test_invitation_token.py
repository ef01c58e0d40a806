"""Signed, expiring invitation tokens."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from auth.invitation import InvitationClaim, InvitationSigner, InvitationTokenError, InvitationTokenFault

KEY = b"k" * 32
OTHER_KEY = b"o" * 32
NONCE = bytes(range(16))
ISSUE = b"\x00\x00\x00\x02"
EXPIRY = 1_800_000_000
SIGNER = InvitationSigner([KEY])
TOKEN = SIGNER.sign("i-4711", 2, EXPIRY, NONCE)


def _fault(signer: InvitationSigner, text: str, now_seconds: float = EXPIRY - 1) -> InvitationTokenFault:
    with pytest.raises(InvitationTokenError) as refusal:
        signer.verify(text, now_seconds)
    assert text == "" or text not in str(refusal.value)
    return refusal.value.reason


def _with_mac(body: bytes, label: bytes) -> str:
    mac = hmac.digest(KEY, label + body, hashlib.sha256)
    return urlsafe_b64encode(body + mac).rstrip(b"=").decode()


def test_a_genuine_token_tells_which_invitation_it_is_and_until_when_it_holds() -> None:
    assert SIGNER.verify(TOKEN, EXPIRY - 1) == InvitationClaim("i-4711", 2, EXPIRY)


def test_the_bytes_on_the_wire_are_as_documented() -> None:
    body = b"\x01" + EXPIRY.to_bytes(8, "big") + ISSUE + NONCE + b"i-4711"
    assert _with_mac(body, b"turngate invitation token\x00") == TOKEN


def test_a_token_expires_at_its_expiry_and_not_before() -> None:
    assert SIGNER.verify(TOKEN, EXPIRY - 0.001).expires_at_seconds == EXPIRY
    assert _fault(SIGNER, TOKEN, EXPIRY) is InvitationTokenFault.EXPIRED


def test_a_time_that_is_no_number_expires_everything() -> None:
    assert _fault(SIGNER, TOKEN, float("nan")) is InvitationTokenFault.EXPIRED


def test_a_forged_token_is_called_forged_even_when_it_claims_to_have_expired() -> None:
    old = InvitationSigner([OTHER_KEY]).sign("i-4711", 2, 1, NONCE)
    assert _fault(SIGNER, old) is InvitationTokenFault.FORGED


def test_a_token_signed_with_a_key_that_was_rotated_out_of_the_front_still_holds() -> None:
    rotated = InvitationSigner([OTHER_KEY, KEY])
    assert rotated.verify(TOKEN, 0).invitation_id == "i-4711"
    assert rotated.sign("i-4711", 2, EXPIRY, NONCE) == InvitationSigner([OTHER_KEY]).sign(
        "i-4711", 2, EXPIRY, NONCE
    )


def test_a_token_signed_with_a_key_that_was_taken_out_is_forged() -> None:
    assert _fault(InvitationSigner([OTHER_KEY]), TOKEN) is InvitationTokenFault.FORGED


def test_a_mac_that_the_same_key_made_for_another_purpose_is_forged() -> None:
    body = urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))[:-32]
    assert _fault(SIGNER, _with_mac(body, b"")) is InvitationTokenFault.FORGED


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("another version", b"\x02" + EXPIRY.to_bytes(8, "big") + ISSUE + NONCE + b"i-4711"),
        ("an expiry beyond every calendar", b"\x01" + b"\xff" * 8 + ISSUE + NONCE + b"i-4711"),
        ("no issue", b"\x01" + EXPIRY.to_bytes(8, "big") + bytes(4) + NONCE + b"i-4711"),
        ("an id with a slash", b"\x01" + EXPIRY.to_bytes(8, "big") + ISSUE + NONCE + b"i/4711"),
        (
            "an id with a line feed at its end",
            b"\x01" + EXPIRY.to_bytes(8, "big") + ISSUE + NONCE + b"i-4711\n",
        ),
        ("an id in another script", b"\x01" + EXPIRY.to_bytes(8, "big") + ISSUE + NONCE + "é".encode()),
    ],
)
def test_what_this_version_never_writes_is_malformed_even_under_a_good_mac(what: str, body: bytes) -> None:
    text = _with_mac(body, b"turngate invitation token\x00")
    assert _fault(SIGNER, text) is InvitationTokenFault.MALFORMED, what


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        TOKEN + "=",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN + "A" * 4,
        TOKEN[:-4],
        "A" * 100_000,
        "\ud800" * 90,
        "ä" * 90,
    ],
)
def test_padded_lengthened_shortened_and_foreign_texts_are_refused(text: str) -> None:
    assert _fault(SIGNER, text) in {InvitationTokenFault.MALFORMED, InvitationTokenFault.FORGED}


def test_two_invitations_with_the_same_id_and_expiry_have_different_tokens() -> None:
    assert SIGNER.sign("i-4711", 2, EXPIRY, bytes(16)) != TOKEN


@pytest.mark.parametrize("keys", [[], [b"k" * 31], [KEY, b""], [KEY] * 9])
def test_no_keys_weak_keys_and_too_many_keys_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="invitation key"):
        InvitationSigner(keys)


@pytest.mark.parametrize(
    ("invitation_id", "issue", "expires_at_seconds", "nonce"),
    [
        ("", 1, 1, NONCE),
        ("a" * 65, 1, 1, NONCE),
        ("a b", 1, 1, NONCE),
        ("i", 0, 1, NONCE),
        ("i", 1 << 32, 1, NONCE),
        ("i", 1, -1, NONCE),
        ("i", 1, 1 << 63, NONCE),
        ("i", 1, 1, b""),
    ],
)
def test_nothing_is_signed_that_would_not_verify(
    invitation_id: str, issue: int, expires_at_seconds: int, nonce: bytes
) -> None:
    with pytest.raises(ValueError, match=r"invitation id|issue|expiry|nonce"):
        SIGNER.sign(invitation_id, issue, expires_at_seconds, nonce)

"""Invitation tokens against everything that is not exactly what was signed."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.invitation import (
    MAX_EXPIRES_AT_SECONDS,
    MAX_ISSUE,
    InvitationClaim,
    InvitationSigner,
    InvitationTokenError,
    InvitationTokenFault,
)

SIGNER = InvitationSigner([b"k" * 32])
BASE64URL = string.ascii_letters + string.digits + "-_"
ids = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=64)
issues = st.integers(1, MAX_ISSUE)
expiries = st.integers(1, MAX_EXPIRES_AT_SECONDS)
nonces = st.binary(min_size=16, max_size=16)


@given(ids, issues, expiries, nonces)
def test_what_was_signed_verifies_until_it_expires(
    invitation_id: str, issue: int, expiry: int, nonce: bytes
) -> None:
    token = SIGNER.sign(invitation_id, issue, expiry, nonce)
    assert set(token) <= set(BASE64URL)
    assert SIGNER.verify(token, expiry - 1) == InvitationClaim(invitation_id, issue, expiry)
    with pytest.raises(InvitationTokenError) as refusal:
        SIGNER.verify(token, expiry)
    assert refusal.value.reason is InvitationTokenFault.EXPIRED


@given(ids, nonces, st.data())
def test_any_single_changed_character_is_refused(
    invitation_id: str, nonce: bytes, data: st.DataObject
) -> None:
    token = SIGNER.sign(invitation_id, 1, 1_800_000_000, nonce)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw((st.sampled_from(BASE64URL) | st.characters()).filter(lambda new: new != token[at]))
    with pytest.raises(InvitationTokenError):
        SIGNER.verify(token[:at] + other + token[at + 1 :], 0)


@given(ids, nonces)
def test_no_other_spelling_of_the_last_character_is_accepted(invitation_id: str, nonce: bytes) -> None:
    token = SIGNER.sign(invitation_id, 1, 1_800_000_000, nonce)
    accepted = []
    for last in BASE64URL:
        try:
            SIGNER.verify(token[:-1] + last, 0)
        except InvitationTokenError:
            continue
        accepted.append(last)
    assert accepted == [token[-1]]


@given(st.text(max_size=200) | st.text(BASE64URL, max_size=200), st.floats())
def test_arbitrary_text_never_raises_anything_else(text: str, now_seconds: float) -> None:
    with pytest.raises(InvitationTokenError):
        SIGNER.verify(text, now_seconds)

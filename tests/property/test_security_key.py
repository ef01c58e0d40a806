"""What browsers say of security keys, and challenges, against any text and bytes."""

from __future__ import annotations

import json
from typing import Any

import cbor2
from hypothesis import given
from hypothesis import strategies as st
from webauthn.helpers import bytes_to_base64url

from auth.challenge import CHALLENGE_BYTES, NONCE_BYTES, Challenges
from auth.security_key import (
    RelyingParty,
    SecurityKeyError,
    enrolment_options,
    parse_enrolment,
    parse_use,
    use_options,
    verified_enrolment,
    verified_sign_count,
)
from tests.spec.software_key import SoftwareKey

PAGE = RelyingParty("edge.example", "https://edge.example")
CHALLENGE = bytes(range(CHALLENGE_BYTES))
KEY = SoftwareKey(PAGE.origin, PAGE.id)
MADE = KEY.made(enrolment_options(PAGE, CHALLENGE, bytes(32), "carol", ()))
USED = KEY.used(use_options(PAGE, CHALLENGE))
PUBLIC_KEY = verified_enrolment(PAGE, parse_enrolment(MADE)).public_key

any_text = st.text(max_size=300)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
in_base64url = st.binary(max_size=200).map(bytes_to_base64url)
any_cbor = st.recursive(
    st.none() | st.integers() | st.binary(max_size=100) | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text | st.integers(), inner, max_size=3),
    max_leaves=8,
).map(lambda value: bytes_to_base64url(cbor2.dumps(value)))


@st.composite
def changed(draw: st.DrawFn, answer: str) -> str:
    """A key's answer with another value somewhere."""
    told: dict[str, Any] = json.loads(answer)
    place = told["response"] if draw(st.booleans()) else told
    name = draw(st.sampled_from(sorted(place)))
    place[name] = draw(any_json | in_base64url | any_cbor)
    return json.dumps(told)


@given(any_text | any_json.map(json.dumps) | changed(MADE) | changed(USED))
def test_any_text_is_an_answer_or_its_one_error_and_none_that_was_changed_is_a_use(text: str) -> None:
    try:
        made = verified_enrolment(PAGE, parse_enrolment(text))
        assert made.credential_id.isascii()
    except SecurityKeyError as refused:
        assert str(refused).isprintable()
    try:
        use = parse_use(text)
        verified_sign_count(PAGE, use, PUBLIC_KEY)
    except SecurityKeyError as refused:
        assert str(refused).isprintable()
        return
    # What was signed is unchanged: only what goes beside it may differ.
    told, honest = json.loads(text)["response"], json.loads(USED)["response"]
    assert {name: told[name] for name in honest} == honest


@given(st.integers(0, 8 * len(CHALLENGE) - 1), st.binary(min_size=1, max_size=600))
def test_nothing_verifies_with_another_key_or_another_bit(bit: int, public_key: bytes) -> None:
    use = parse_use(USED)
    assert verified_sign_count(PAGE, use, PUBLIC_KEY) == 1
    told = json.loads(USED)
    data = bytearray(use.response.response.authenticator_data)
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    told["response"]["authenticatorData"] = bytes_to_base64url(bytes(data))
    for text, key in ((json.dumps(told), PUBLIC_KEY), (USED, public_key)):
        try:
            verified_sign_count(PAGE, parse_use(text), key)
        except SecurityKeyError:
            continue
        raise AssertionError("verified")


@given(
    st.binary(max_size=100),
    st.text(max_size=40),
    st.text(max_size=40),
    st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES),
    st.floats(0, 1e9),
    st.floats(-300, 300),
)
def test_only_what_was_issued_holds_for_its_purpose_and_its_time(
    garbage: bytes, purpose: str, other: str, nonce: bytes, now: float, later: float
) -> None:
    challenges = Challenges(b"k" * 32)
    issued = challenges.issue(purpose, nonce, now)
    assert challenges.holds(issued, purpose, now)
    assert challenges.holds(issued, other, now) is (other == purpose)
    assert challenges.holds(garbage, purpose, now) is (garbage == issued)
    assert challenges.holds(issued, purpose, now + later) is (now + later < int(now) + 120)
    challenges.use_up(issued, now)
    assert not challenges.holds(issued, purpose, now)

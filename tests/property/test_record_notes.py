"""Reading notes and verifier keys: a value, or the one error."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.audit.checkpoint import CheckpointError, SigningKey, VerifierKey

KEY = SigningKey.from_seed("edge.example/log", bytes(range(32)))
SIGNED_LINES = KEY.sign(7, bytes(32)).split("\n")
PIECES = st.sampled_from(["edge.example/log", "\n", "\n\n", "12", "— ", " ", "+", "AAAA", "=", *SIGNED_LINES])
NOTES = st.text() | st.lists(PIECES, max_size=12).map("".join)
KEY_PIECES = st.sampled_from([*str(KEY.verifier).split("+"), "+", "="])
KEY_TEXTS = st.text() | st.lists(KEY_PIECES, max_size=6).map("".join)


@given(NOTES)
def test_any_text_opens_as_a_signed_head_or_is_refused(text: str) -> None:
    try:
        head = KEY.verifier.open(text)
    except CheckpointError:
        return
    assert text == KEY.sign(head.size, head.root)


@given(KEY_TEXTS)
def test_any_text_is_a_verifier_key_in_its_one_spelling_or_is_refused(text: str) -> None:
    try:
        key = VerifierKey.parse(text)
    except CheckpointError:
        return
    assert str(key) == text


@given(st.integers(0, 10**18), st.binary(min_size=32, max_size=32))
def test_what_is_signed_opens(size: int, root: bytes) -> None:
    head = KEY.verifier.open(KEY.sign(size, root))
    assert (head.size, head.root) == (size, root)

"""Whatever arrives is a frame or a FrameError, and a frame survives being written and read."""

from __future__ import annotations

import contextlib
import json
import string
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from broker.core.client_frames import ClientFrame
from broker.core.frame_codec import FrameError, encode, parse_client_frame, parse_edge_frame
from broker.core.frames import Frame

FRAMES: dict[str, type[Frame]] = {
    str(frame.model_fields["type"].default): frame for frame in get_args(ClientFrame)
}
IDS = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=80)
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("ref", "to", "message_id", "invitation_id", "guest", "call_id", "sign_in_id"), IDS),
    **dict.fromkeys(("text", "guest_name", "purpose", "sdp", "candidate"), TEXTS),
    "guest_email": st.none()
    | st.sampled_from(["eve@a.example", "E.v-e+x@deep.a-b.example", "x@xn--nxa.example"]),
    "client": st.fixed_dictionaries(
        {"name": st.text(min_size=1, max_size=64), "version": IDS.map(lambda v: v[:32])}
    ),
    "status": st.sampled_from(["available", "away", "busy"]),
    "media": st.lists(st.sampled_from(["audio", "video"]), min_size=1, max_size=2),
    "expires_in_seconds": st.none() | st.integers(60),
    "redemptions": st.none() | st.integers(1),
    "guests": st.lists(IDS, min_size=1, max_size=64),
    "mid": st.text(string.ascii_letters + string.digits, max_size=16),
}
GOOD = st.sampled_from(sorted(FRAMES)).flatmap(
    lambda name: st.fixed_dictionaries(
        {"type": st.just(name)} | {m: MEMBERS[m] for m in FRAMES[name].model_fields if m != "type"}
    )
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner))
SPOILED = st.tuples(GOOD, st.sampled_from(["type", *MEMBERS]), JSON).map(lambda t: t[0] | {t[1]: t[2]})


def parsed(data: bytes | str) -> Frame | None:
    try:
        return parse_client_frame(data)
    except FrameError:
        return None


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_a_frame_error(data: bytes) -> None:
    assert parsed(data) is None or parsed(data) == parsed(data.decode())


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_even_what_is_no_unicode_is_a_frame_or_a_frame_error(text: str) -> None:
    parsed(text)
    with contextlib.suppress(FrameError):
        parse_edge_frame(text)


@given(JSON | SPOILED)
def test_any_json_is_a_frame_or_a_frame_error(value: Any) -> None:
    frame = parsed(json.dumps(value))
    if frame is not None:
        assert value["type"] in FRAMES
        assert set(value) <= set(type(frame).model_fields)


@given(GOOD)
def test_a_frame_survives_being_written_and_read(value: dict[str, Any]) -> None:
    frame = parse_client_frame(json.dumps(value))
    assert type(frame) is FRAMES[value["type"]]
    assert parse_client_frame(encode(frame)) == frame

"""Frames: what may be said on the wire, and that anything else is not a frame."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from broker.core import client_frames as cf
from broker.core import frames as f
from broker.core.answers import error
from broker.core.errors import BAD_FRAME
from broker.core.frame_codec import (
    MAX_FRAME_BYTES,
    FrameError,
    encode,
    parse_client_frame,
    parse_edge_frame,
)

CLIENT_FRAMES: list[type[f.Frame]] = list(get_args(cf.ClientFrame))
EDGE_FRAMES: list[type[f.Frame]] = list(get_args(f.EdgeFrame))

HELLO = {"type": "hello", "client": {"name": "n", "version": "1"}}
SEND = {"type": "chat.send", "ref": "1", "to": "u-ada", "text": "hello"}
INVITE = {"type": "call.invite", "ref": "1", "to": "u-ada", "media": ["audio"]}
CREATE = {"type": "invitation.create", "ref": "1", "guest_name": "Gus", "purpose": "A talk"}
CANDIDATE = {"type": "call.candidate", "call_id": "c-1", "candidate": "", "mid": "0"}


def parse(frame: Any) -> f.Frame:
    return parse_client_frame(json.dumps(frame))


def type_of(frame: type[f.Frame]) -> str:
    return str(frame.model_fields["type"].default)


@pytest.mark.parametrize("good", [HELLO, SEND, INVITE, CREATE, CANDIDATE])
def test_a_frame_is_read_and_written_without_a_difference(good: dict[str, Any]) -> None:
    frame = parse(good)
    assert json.loads(encode(frame)) == good
    assert parse_client_frame(encode(frame).encode()) == frame


@pytest.mark.parametrize(
    "bad",
    [
        {},
        [],
        None,
        "hello",
        7,
        {"type": "hello"},
        {"type": "nonsense"},
        {"type": None},
        {"type": ["hello"]},
        {**HELLO, "more": 1},
        {**HELLO, "client": {**HELLO["client"], "more": 1}},  # type: ignore[dict-item]
        {**HELLO, "client": {"name": "", "version": "1"}},
        {**HELLO, "client": {"name": "n" * 65, "version": "1"}},
        {**HELLO, "client": {"name": 1, "version": "1"}},
        {**SEND, "ref": ""},
        {**SEND, "ref": "a b"},
        {**SEND, "ref": "a\n"},
        {**SEND, "ref": "x" * 65},
        {**SEND, "ref": 1},
        {**SEND, "to": "../../etc"},
        {**SEND, "to": "u-ädä"},
        {**SEND, "text": ""},
        {**SEND, "text": "x" * 16001},
        {**SEND, "text": None},
        {**SEND, "sender": "u-somebody-else"},
        {**INVITE, "media": []},
        {**INVITE, "media": ["audio", "video", "audio"]},
        {**INVITE, "media": ["application"]},
        {**INVITE, "media": "audio"},
        {**CREATE, "guest_name": ""},
        {**CREATE, "guest_name": "x" * 81},
        {**CREATE, "expires_in_seconds": 59},
        {**CREATE, "expires_in_seconds": 60.0},
        {**CREATE, "expires_in_seconds": "60"},
        {**CREATE, "expires_in_seconds": True},
        {**CREATE, "redemptions": 0},
        {**CREATE, "redemptions": -1},
        {**CANDIDATE, "candidate": "x" * 513},
        {**CANDIDATE, "mid": "a=b"},
        {"type": "call.offer", "call_id": "c-1", "sdp": "x" * 49153},
        {"type": "presence.set", "status": "offline"},
        {"type": "presence.set", "status": "Available"},
    ],
)
def test_anything_else_is_not_a_frame(bad: Any) -> None:
    with pytest.raises(FrameError):
        parse(bad)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        '{"type":"hello"',
        "\ufeff" + json.dumps(HELLO),
        '{"type":"presence.set","status":"busy"} {}',
        '{"type":"presence.set","status":"\\ud800"}',
        '{"type":"chat.send","ref":"1","to":"u","text":"\\udfff"}',
        '{"type":"chat.send","ref":"1","to":"u","text":"\ud800"}',
        '{"type":"invitation.create","ref":"1","guest_name":"g","purpose":"p","redemptions":1e400}',
        "[" * 30000,
        '{"type":' * 5000,
    ],
)
def test_broken_text_is_not_a_frame(text: str) -> None:
    with pytest.raises(FrameError):
        parse_client_frame(text)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\x00", json.dumps(HELLO).encode("utf-16")])
def test_bytes_that_are_no_text_are_not_a_frame(data: bytes) -> None:
    with pytest.raises(FrameError):
        parse_client_frame(data)


def test_a_frame_has_a_largest_size() -> None:
    padded = json.dumps(HELLO) + " " * MAX_FRAME_BYTES
    assert encode(parse_client_frame(padded[:MAX_FRAME_BYTES])) == json.dumps(HELLO, separators=(",", ":"))
    with pytest.raises(FrameError):
        parse_client_frame(padded)
    with pytest.raises(FrameError):
        parse_client_frame(padded.encode())


def test_an_error_tells_nothing_of_the_bytes() -> None:
    with pytest.raises(FrameError) as raised:
        parse_client_frame('{"type":"chat.send","text":"secret"}')
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("frame", EDGE_FRAMES, ids=type_of)
def test_a_client_cannot_send_what_only_the_edge_says(frame: type[f.Frame]) -> None:
    if type_of(frame) not in {type_of(known) for known in CLIENT_FRAMES}:
        with pytest.raises(FrameError):
            parse({"type": type_of(frame)})
    assert issubclass(frame, f.OpeningFrame) != issubclass(frame, f.PlainFrame)


def test_every_frame_has_its_own_type_on_its_side_of_the_wire() -> None:
    for side in (CLIENT_FRAMES, EDGE_FRAMES):
        types = [type_of(frame) for frame in side]
        assert len(types) == len(set(types))
    both = {type_of(x) for x in CLIENT_FRAMES} & {type_of(x) for x in EDGE_FRAMES}
    assert both == {"call.offer", "call.answer", "call.candidate"}


def test_every_frame_there_is_belongs_to_one_side() -> None:
    parts = {cf.ClientProgram, f.Contact, f.InvitationInfo, f.WaitingGuest, f.IceServer, f.SignInInfo}
    kinds = {f.Frame, f.OpeningFrame, f.PlainFrame}
    frames = {
        v for v in (*vars(f).values(), *vars(cf).values()) if isinstance(v, type) and issubclass(v, f.Frame)
    }
    assert frames == set(CLIENT_FRAMES) | set(EDGE_FRAMES) | parts | kinds


def test_absent_members_are_left_out_of_what_the_edge_says() -> None:
    text = encode(error(BAD_FRAME))
    assert "null" not in text
    assert parse_edge_frame(text) == error(BAD_FRAME)


def test_the_edges_own_frames_are_checked_by_clients() -> None:
    for text in ("{}", '{"type":"welcome"}', '{"type":"hello"}', "\ud800", "[" * 30000):
        with pytest.raises(FrameError):
            parse_edge_frame(text)


@pytest.mark.parametrize("name", ["a\nb", "a\x00", "\x1b[31m", "\x7f"])
def test_a_name_holds_no_control_character(name: str) -> None:
    frame = {"type": "invitation.create", "ref": "1", "guest_name": name}
    with pytest.raises(FrameError):
        parse_client_frame(json.dumps(frame))


def test_a_text_may_have_lines_but_no_zero() -> None:
    frame = {"type": "chat.send", "ref": "1", "to": "u-ada", "text": "one\ntwo\tthree"}
    assert isinstance(parse_client_frame(json.dumps(frame)), cf.ChatSend)
    with pytest.raises(FrameError):
        parse_client_frame(json.dumps(frame | {"text": "one\0two"}))

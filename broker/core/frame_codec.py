"""Bytes to frames and back: WebSocket subprotocol `turngate.v1`, one UTF-8 JSON object per message."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from broker.core.client_frames import ClientFrame
from broker.core.frames import EdgeFrame, Frame

SUBPROTOCOL = "turngate.v1"
MAX_FRAME_BYTES = 65536

_CLIENT_FRAMES: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="type")])
_EDGE_FRAMES: TypeAdapter[EdgeFrame] = TypeAdapter(Annotated[EdgeFrame, Field(discriminator="type")])


class FrameError(Exception):
    """The bytes are not a frame. Holds nothing of the bytes themselves."""


def parse_client_frame(data: bytes | str) -> ClientFrame:
    """One frame a client sent; raises FrameError and nothing else."""
    if len(data) > MAX_FRAME_BYTES:
        raise FrameError("too large")
    try:
        return _CLIENT_FRAMES.validate_json(data)
    except (ValidationError, RecursionError, UnicodeError):
        raise FrameError("not a frame of this protocol") from None


def parse_edge_frame(data: bytes | str) -> EdgeFrame:
    """One frame the edge sent (for clients); raises FrameError and nothing else."""
    try:
        return _EDGE_FRAMES.validate_json(data)
    except (ValidationError, RecursionError, UnicodeError):
        raise FrameError("not a frame of this protocol") from None


def encode(frame: Frame) -> str:
    """The frame as JSON text, absent members left out."""
    return frame.model_dump_json(exclude_none=True)

"""[gateway]: bounds on connected clients and on what waits for them."""

from __future__ import annotations

from pydantic import Field

from config.section import Section


class GatewaySettings(Section):
    """What one client may hold and send; what exceeds it is answered with an error or closed."""

    heartbeat_seconds: int = Field(
        default=20,
        ge=5,
        le=300,
        description="Interval of WebSocket pings; a client that misses one is gone.",
        json_schema_extra={"unit": "seconds"},
    )
    max_frame_bytes: int = Field(
        default=65536,
        ge=16384,
        le=65536,
        description="Longest frame taken from a client. Session descriptions of browsers need 16 KiB.",
        json_schema_extra={"unit": "bytes"},
    )
    send_queue_frames: int = Field(
        default=256,
        ge=16,
        le=4096,
        description="Frames that may wait for one client; a client that reads more slowly is closed.",
        json_schema_extra={"unit": "frames"},
    )
    frames_per_second: int = Field(
        default=50,
        ge=1,
        le=1000,
        description="Steady rate of frames taken from one client.",
        json_schema_extra={"unit": "frames per second"},
    )
    frames_burst: int = Field(
        default=200,
        ge=1,
        le=10000,
        description="Frames one client may send at once before the steady rate applies.",
        json_schema_extra={"unit": "frames"},
    )
    max_connections_per_person: int = Field(
        default=8,
        ge=1,
        le=64,
        description="Connections one person may hold: devices and tabs.",
        json_schema_extra={"unit": "connections"},
    )
    max_connections: int = Field(
        default=10000,
        ge=1,
        le=100000,
        description="Connections of all clients together.",
        json_schema_extra={"unit": "connections"},
    )
    max_pending_commits: int = Field(
        default=10000,
        ge=100,
        le=1000000,
        description="Commands that may wait for their record; beyond it new events are refused.",
        json_schema_extra={"unit": "commands"},
    )

"""What the members of frames are made of: kinds of text with their bounds, and the words that are choices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-]+$")]
"""An id the edge made (party, call, message, invitation) or a client's own `ref`."""
Name = Annotated[str, Field(min_length=1, max_length=80)]
Purpose = Annotated[str, Field(min_length=1, max_length=200)]
"""As Name: read by `auth.shown_text`, so that what does not show is answered in words."""
Email = Annotated[str, Field(min_length=1, max_length=254)]
"""Read by `auth.email_address`."""
Sdp = Annotated[str, Field(max_length=49152)]
Status = Literal["available", "away", "busy"]
ShownStatus = Literal["available", "away", "busy", "offline"]
Media = Annotated[list[Literal["audio", "video"]], Field(min_length=1, max_length=2)]
Kind = Literal["insider", "guest"]
_EndByAParty = Literal["hung_up", "declined", "cancelled", "answered_elsewhere", "no_answer", "party_left"]
_EndByTheEdge = Literal[
    "time_limit",
    "policy",
    "operator",
    "access_ended",
    "directory_silent",
    "record_unavailable",
    "edge_stopping",
    "emergency_stop",
]
EndReason = _EndByAParty | _EndByTheEdge
ShareEndReason = Literal["stopped", "time_limit", "policy", "record_unavailable", "emergency_stop"]

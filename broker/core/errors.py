"""The one table of errors a client can see: who is to blame, stable code, sentence, answer, retryable.

Codes of refused decisions (`POLICY_*`) come from `broker.policy.decision`; they are answered through
`POLICY_REFUSED` below, with the decision's own code and sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Blame(StrEnum):
    """Whose doing it is: the caller's, the counterpart's, policy's, or ours."""

    CALLER = "caller"
    PEER = "peer"
    POLICY = "policy"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One row: `http_status` is the answer on HTTP, `closes` whether a WebSocket that caused it is closed."""

    code: str
    blame: Blame
    sentence: str
    http_status: int
    retryable: bool = False
    closes: bool = False


BAD_FRAME = ErrorRow("BAD_FRAME", Blame.CALLER, "The message was not understood.", 400)
TOO_MANY_BAD_FRAMES = ErrorRow(
    "TOO_MANY_BAD_FRAMES", Blame.CALLER, "Too many messages were not understood.", 400, closes=True
)
NOT_HELLO = ErrorRow("NOT_HELLO", Blame.CALLER, "The first message must be hello.", 400, closes=True)
ALREADY_HELLO = ErrorRow("ALREADY_HELLO", Blame.CALLER, "hello was already said.", 400)
RATE_LIMITED = ErrorRow("RATE_LIMITED", Blame.CALLER, "Too many messages; slow down.", 429, retryable=True)
BAD_REQUEST = ErrorRow("BAD_REQUEST", Blame.CALLER, "The request was not understood.", 400)
ORIGIN_REFUSED = ErrorRow("ORIGIN_REFUSED", Blame.CALLER, "This page may not talk to this edge.", 403)
SIGN_IN_REFUSED = ErrorRow("SIGN_IN_REFUSED", Blame.CALLER, "What you entered is not right.", 401)
SIGN_IN_THROTTLED = ErrorRow(
    "SIGN_IN_THROTTLED", Blame.CALLER, "Too many attempts; wait and try again.", 429, retryable=True
)
SECOND_FACTOR_NEEDED = ErrorRow(
    "SECOND_FACTOR_NEEDED", Blame.CALLER, "Sign in with a second factor for that.", 403
)
SECURITY_KEYS_NOT_OFFERED = ErrorRow(
    "SECURITY_KEYS_NOT_OFFERED", Blame.CALLER, "Security keys need a page that has a host name.", 404
)
SECURITY_KEY_REFUSED = ErrorRow(
    "SECURITY_KEY_REFUSED", Blame.CALLER, "This security key cannot be added.", 409
)
TOO_MANY_SECURITY_KEYS = ErrorRow(
    "TOO_MANY_SECURITY_KEYS", Blame.CALLER, "You have as many security keys as you may.", 409
)
UNKNOWN_SECURITY_KEY = ErrorRow(
    "UNKNOWN_SECURITY_KEY", Blame.CALLER, "You have no such security key any more.", 404
)
ENDED_BY_OPERATOR = ErrorRow(
    "ENDED_BY_OPERATOR", Blame.POLICY, "An operator of your organisation ended this.", 403, closes=True
)
UNKNOWN_SESSION = ErrorRow("UNKNOWN_SESSION", Blame.CALLER, "There is no such session any more.", 404)
NOT_SIGNED_IN = ErrorRow("NOT_SIGNED_IN", Blame.CALLER, "You are not signed in.", 401, closes=True)
ACCESS_ENDED = ErrorRow(
    "ACCESS_ENDED", Blame.POLICY, "Your account may not be used here any more.", 401, closes=True
)
SIGNED_OUT = ErrorRow("SIGNED_OUT", Blame.CALLER, "You have signed out.", 401, closes=True)
SIGN_IN_EXPIRED = ErrorRow(
    "SIGN_IN_EXPIRED", Blame.CALLER, "Your sign-in has expired. Sign in again.", 401, closes=True
)
SIGN_IN_REVOKED = ErrorRow(
    "SIGN_IN_REVOKED", Blame.CALLER, "This sign-in was ended from another of yours.", 401, closes=True
)
SIGN_IN_REPLACED = ErrorRow(
    "SIGN_IN_REPLACED",
    Blame.CALLER,
    "You are signed in at too many places; a newer sign-in ended this one.",
    401,
    closes=True,
)
UNKNOWN_SIGN_IN = ErrorRow("UNKNOWN_SIGN_IN", Blame.CALLER, "You have no such sign-in any more.", 404)
TOO_MANY_CONNECTIONS = ErrorRow(
    "TOO_MANY_CONNECTIONS", Blame.CALLER, "You are connected from too many places.", 429, closes=True
)
DIRECTORY_UNAVAILABLE = ErrorRow(
    "DIRECTORY_UNAVAILABLE", Blame.OURS, "Sign-in is not possible right now.", 503, retryable=True
)
DIRECTORY_SILENT = ErrorRow(
    "DIRECTORY_SILENT",
    Blame.OURS,
    "Your organisation's directory has not answered for too long.",
    503,
    retryable=True,
    closes=True,
)
INVITATION_INVALID = ErrorRow(
    "INVITATION_INVALID", Blame.CALLER, "This invitation is not valid. Ask for a new one.", 403
)
NOTICE_NOT_ACKNOWLEDGED = ErrorRow(
    "NOTICE_NOT_ACKNOWLEDGED", Blame.CALLER, "The notice must be acknowledged first.", 400
)
INVITATION_LIMIT = ErrorRow(
    "INVITATION_LIMIT", Blame.CALLER, "This invitation is longer or wider than allowed, or one too many.", 400
)
INVITATION_THROTTLED = ErrorRow(
    "INVITATION_THROTTLED",
    Blame.CALLER,
    "Too many invitations that are not valid came from your network; wait and try again.",
    429,
    retryable=True,
)
EMAIL_INVALID = ErrorRow("EMAIL_INVALID", Blame.CALLER, "This is not an e-mail address.", 400)
TEXT_INVALID = ErrorRow(
    "TEXT_INVALID", Blame.CALLER, "Names and purposes are one line of letters that show.", 400
)
UNKNOWN_INVITATION = ErrorRow("UNKNOWN_INVITATION", Blame.CALLER, "There is no such invitation.", 404)
UNKNOWN_GUEST = ErrorRow("UNKNOWN_GUEST", Blame.CALLER, "Nobody by that name is waiting.", 404)
STILL_IN_LOBBY = ErrorRow("STILL_IN_LOBBY", Blame.CALLER, "The host has not let you in yet.", 403)
PEER_UNREACHABLE = ErrorRow("PEER_UNREACHABLE", Blame.PEER, "This person cannot be reached.", 404)
USER_BUSY = ErrorRow("USER_BUSY", Blame.PEER, "This person is in another call.", 409, retryable=True)
YOU_ARE_BUSY = ErrorRow("YOU_ARE_BUSY", Blame.CALLER, "You are in another call.", 409)
BANDWIDTH_EXCEEDED = ErrorRow(
    "BANDWIDTH_EXCEEDED", Blame.POLICY, "There is not enough bandwidth for this now.", 409, retryable=True
)
UNKNOWN_CALL = ErrorRow("UNKNOWN_CALL", Blame.CALLER, "There is no such call.", 404)
CALL_STATE = ErrorRow("CALL_STATE", Blame.CALLER, "The call is not in a state for that.", 409)
NEGOTIATION_BUSY = ErrorRow(
    "NEGOTIATION_BUSY", Blame.CALLER, "Another change of this call is under way.", 409, retryable=True
)
SHARE_BUSY = ErrorRow(
    "SHARE_BUSY", Blame.CALLER, "A screen is already being shared in this call.", 409, retryable=True
)
NOT_SHARING = ErrorRow("NOT_SHARING", Blame.CALLER, "You are not sharing your screen.", 409)
SDP_MALFORMED = ErrorRow("SDP_MALFORMED", Blame.CALLER, "The media description was not understood.", 400)
SDP_TOO_LARGE = ErrorRow("SDP_TOO_LARGE", Blame.CALLER, "The media description is too large.", 400)
SDP_MEDIA_NOT_ALLOWED = ErrorRow(
    "SDP_MEDIA_NOT_ALLOWED",
    Blame.CALLER,
    "The media description asks for more than this call may carry.",
    403,
)
SDP_FOREIGN_CANDIDATE = ErrorRow(
    "SDP_FOREIGN_CANDIDATE", Blame.CALLER, "The media description names an address that is not yours.", 403
)
MESSAGE_TOO_LONG = ErrorRow("MESSAGE_TOO_LONG", Blame.CALLER, "The message is too long.", 400)
UNKNOWN_MESSAGE = ErrorRow("UNKNOWN_MESSAGE", Blame.CALLER, "There is no such message.", 404)
POLICY_INVALID = ErrorRow(
    "POLICY_INVALID", Blame.CALLER, "The policy cannot be used; its mistakes are listed.", 422
)
QUESTION_INVALID = ErrorRow("QUESTION_INVALID", Blame.CALLER, "The question was not understood.", 422)
POLICY_NOT_WRITTEN = ErrorRow(
    "POLICY_NOT_WRITTEN", Blame.OURS, "The policy file cannot be written; the old policy goes on.", 503
)
POLICY_REFUSED = ErrorRow("POLICY_REFUSED", Blame.POLICY, "This is not allowed by your organisation.", 403)
CLIENT_REFUSED = ErrorRow(
    "CLIENT_REFUSED", Blame.POLICY, "This version of the program is not allowed here.", 426, closes=True
)
AUDIT_UNAVAILABLE = ErrorRow(
    "AUDIT_UNAVAILABLE",
    Blame.OURS,
    "This cannot be put on record right now, so it was not done.",
    503,
    retryable=True,
)
EMERGENCY_STOP = ErrorRow(
    "EMERGENCY_STOP",
    Blame.OURS,
    "This has been stopped for now by the organisation.",
    503,
    retryable=True,
    closes=True,
)
NOT_STOPPED = ErrorRow("NOT_STOPPED", Blame.CALLER, "No such emergency stop is latched.", 404)
SECOND_PERSON = ErrorRow("SECOND_PERSON", Blame.CALLER, "Somebody else has to approve this.", 409)
SCOPE_INVALID = ErrorRow("SCOPE_INVALID", Blame.CALLER, "There is no such thing to stop.", 422)
EDGE_BUSY = ErrorRow("EDGE_BUSY", Blame.OURS, "The edge is busy; try again.", 503, retryable=True)
EDGE_STOPPING = ErrorRow(
    "EDGE_STOPPING", Blame.OURS, "The edge is stopping.", 503, retryable=True, closes=True
)
SLOW_READER = ErrorRow("SLOW_READER", Blame.CALLER, "Messages were not read in time.", 408, closes=True)

TABLE: dict[str, ErrorRow] = {row.code: row for row in list(globals().values()) if isinstance(row, ErrorRow)}
"""Every row by its code."""

"""What can go wrong between a client and an edge. The names say what happened; all are EdgeError."""

from __future__ import annotations

from broker.core.errors import CLIENT_REFUSED
from broker.core.frame_fields import EndReason, ShareEndReason
from broker.core.frames import ClientRefused, Error


class EdgeError(Exception):
    """Everything the edge, or the way to it, can do to a client."""


class EdgeRefused(EdgeError):  # noqa: N818
    """The edge understood and said no. `code` is stable (`broker.core.errors`), `message` for the person.
    Where this program is not allowed, `link` is where one is that is. Where there is something to wait for,
    whoever tries again does so no earlier than after `return_after_seconds`."""

    def __init__(
        self,
        code: str,
        message: str,
        decision_id: str | None,
        retryable: bool,
        link: str | None = None,
        return_after_seconds: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.decision_id = decision_id
        self.retryable = retryable
        self.link = link
        self.return_after_seconds = return_after_seconds

    @classmethod
    def from_frame(cls, frame: Error | ClientRefused) -> EdgeRefused:
        if isinstance(frame, ClientRefused):
            return cls(CLIENT_REFUSED.code, frame.message, None, CLIENT_REFUSED.retryable, frame.link)
        return cls(
            frame.code,
            frame.message,
            frame.decision_id,
            frame.retryable,
            return_after_seconds=frame.return_after_seconds,
        )


class EdgeUnreachable(EdgeError):  # noqa: N818
    """No answer: the network, the certificate, or the time allowed."""


class EdgeMisspoke(EdgeError):  # noqa: N818
    """What came back is not this protocol."""


class EdgeClosed(EdgeError):  # noqa: N818
    """The WebSocket is over. `error` is the reason the edge gave just before it closed, if it gave one."""

    def __init__(self, close_code: int | None, error: EdgeRefused | None = None) -> None:
        super().__init__(f"closed with {close_code}" + (f": {error.code}" if error else ""))
        self.close_code = close_code
        self.error = error


class CallOver(EdgeError):  # noqa: N818
    """The call ended before it was what the caller waited for."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(reason)
        self.reason = reason


class ShareOver(EdgeError):  # noqa: N818
    """The share ended before it was what the caller waited for."""

    def __init__(self, reason: ShareEndReason) -> None:
        super().__init__(reason)
        self.reason = reason


class MediaFailed(EdgeError):  # noqa: N818
    """No relayed address, a media description that cannot be used, or a media path that broke."""

"""Sign-in, redemption and their ends, over HTTPS with bearer tokens instead of cookies."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, ValidationError

from broker.client.errors import EdgeMisspoke, EdgeRefused, EdgeUnreachable
from broker.client.tls import Connector, Tls
from broker.core.frame_codec import FrameError, parse_edge_frame
from broker.core.frames import Error

REQUEST_TIMEOUT_SECONDS = 20.0
MAX_ANSWER_BYTES = 65536


class _Token(BaseModel):
    token: str


class _Notice(BaseModel):
    notice: str


async def sign_in(origin: str, login: str, password: str, tls: Tls = None) -> str:
    """An insider's token at the inside listener. Raises EdgeRefused, EdgeUnreachable, EdgeMisspoke.

    Calling this acknowledges the edge's notice (`read_notice`) on behalf of the person.
    """
    body = {"login": login, "password": password, "notice_acknowledged": True, "bearer": True}
    return _token(await _post(origin, "/api/sign-in", body, tls))


async def read_notice(origin: str, tls: Tls = None) -> str:
    """What whoever signs in at the inside or the admin listener acknowledges; empty where there is nothing.
    Raises as `sign_in`."""
    answer = await _ask("GET", origin, "/api/me", None, tls)
    try:
        return _Notice.model_validate_json(answer).notice
    except ValidationError:
        raise EdgeMisspoke("the answer holds no notice") from None


async def redeem(origin: str, invitation: str, name: str, tls: Tls = None) -> str:
    """A guest's token at the outside listener, for an invitation's secret (see `invitations.split_link`).

    Calling this acknowledges the edge's notice (GET /api/notice) on behalf of the guest.
    """
    body = {"invitation": invitation, "name": name, "notice_acknowledged": True, "bearer": True}
    return _token(await _post(origin, "/api/redeem", body, tls))


async def sign_out(origin: str, token: str, tls: Tls = None) -> None:
    """Ends the insider's sign-in and closes its sockets."""
    await _post(origin, "/api/sign-out", {}, tls, token)


async def leave(origin: str, token: str, tls: Tls = None) -> None:
    """Ends the guest's visit and closes its sockets."""
    await _post(origin, "/api/leave", {}, tls, token)


def checked_origin(origin: str) -> str:
    """`origin` if it is `https://host[:port]` and nothing more; a token never travels unencrypted."""
    parts = urlsplit(origin)
    if parts.scheme != "https" or not parts.hostname or f"https://{parts.netloc}" != origin or "@" in origin:
        raise ValueError(f"not an https origin: {origin!r}")
    return origin


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _post(origin: str, path: str, body: dict[str, object], tls: Tls, token: str | None = None) -> bytes:
    return await _ask("POST", origin, path, body, tls, token)


async def _ask(
    method: str,
    origin: str,
    path: str,
    body: dict[str, object] | None,
    tls: Tls,
    token: str | None = None,
) -> bytes:
    url = checked_origin(origin) + path
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
    headers = bearer(token) if token is not None else {}
    connector = Connector(tls, force_close=True)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, url, json=body, headers=headers, allow_redirects=False) as response,
        ):
            answer = await _bounded(response)
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise EdgeUnreachable(f"{origin}: {type(error).__name__}") from error
    if status in (200, 204):
        return answer
    raise _refusal(status, answer)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    answer = bytearray()
    async for chunk in response.content.iter_any():
        answer += chunk
        if len(answer) > MAX_ANSWER_BYTES:
            raise EdgeMisspoke("the answer is too large")
    return bytes(answer)


def _refusal(status: int, answer: bytes) -> EdgeRefused | EdgeMisspoke:
    try:
        frame = parse_edge_frame(answer)
    except FrameError:
        return EdgeMisspoke(f"status {status} without an error of this protocol")
    if isinstance(frame, Error):
        return EdgeRefused.from_frame(frame)
    return EdgeMisspoke(f"status {status} without an error of this protocol")


def _token(answer: bytes) -> str:
    try:
        return _Token.model_validate_json(answer).token
    except ValidationError:
        # The cause is left out: it would quote the answer, and with it the token.
        raise EdgeMisspoke("the answer holds no token") from None

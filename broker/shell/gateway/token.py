"""Token: how a sign-in travels. Browsers carry it in a cookie of their listener, programs in a header."""

from __future__ import annotations

import secrets

from aiohttp import web

from auth.tokens import TokenError, new_token, token_digest

TOKEN_BYTES = 32
INSIDE_COOKIE = "__Host-tg-inside"
ADMIN_COOKIE = "__Host-tg-admin"
GUEST_COOKIE = "__Host-tg-guest"


def fresh_token() -> str:
    return new_token(secrets.token_bytes(TOKEN_BYTES))


def digest_from(request: web.Request, cookie: str) -> str | None:
    """The digest of the token the request carries. A header wins over a cookie: only programs send one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme and scheme.lower() != "bearer":
        return None
    try:
        return token_digest(token if scheme else request.cookies.get(cookie, ""))
    except TokenError:
        return None


def hand_over(cookie: str, token: str, bearer: bool, max_age_seconds: int) -> web.Response:
    """Give the client its token, in the way it asked for."""
    if bearer:
        return web.json_response({"token": token})
    response = web.json_response({})
    response.set_cookie(
        cookie, token, max_age=max_age_seconds, path="/", secure=True, httponly=True, samesite="Strict"
    )
    return response


def take_back(cookie: str) -> web.Response:
    """The answer to signing out."""
    response = web.Response(status=204)
    response.del_cookie(cookie, path="/", secure=True, httponly=True, samesite="Strict")
    return response

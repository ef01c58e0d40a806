"""Administration: policies put in force and emergency stops lifted through the admin listener, as the console
does it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from broker.client.errors import EdgeMisspoke, EdgeUnreachable
from broker.client.http import REQUEST_TIMEOUT_SECONDS, bearer, checked_origin
from broker.client.tls import Connector, Tls

OPERATOR = "operator"
POLICY_ADMINISTRATOR = "policy_administrator"
RECOVERY = "recovery"
"""The role of the accounts of [emergency].recovery_accounts."""
BREAK_GLASS = "break_glass"
"""That of [admin].break_glass_account."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an administrator signs in with. `code` is that of the second factor, empty where there is none.

    Whoever hands them over acknowledges the edge's notice (`broker.client.http.read_notice`).
    """

    login: str
    password: str = field(repr=False)
    code: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class InForce:
    revision: int
    sha256: str


class NotDone(Exception):  # noqa: N818 (the outcome is the name callers speak of)
    """The edge refused; `lines` say why."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class PolicyNotChanged(NotDone):
    """The policy in force is still the same."""


class StopNotLifted(NotDone):
    """The stop goes on, and nobody's word was taken for lifting it."""


async def apply_policy(origin: str, who: Credentials, text: str, tls: Tls = None) -> InForce:
    """Put this text in force. Raises PolicyNotChanged, EdgeUnreachable, EdgeMisspoke."""
    return await _change(origin, who, "/api/policy/apply", {"text": text}, tls)


async def roll_back_policy(origin: str, who: Credentials, revision: int, tls: Tls = None) -> InForce:
    """Put the text of an earlier revision in force. Raises as `apply_policy`."""
    return await _change(origin, who, "/api/policy/rollback", {"revision": revision}, tls)


async def lift_stop(origin: str, who: Credentials, role: str, scope: str, tls: Tls = None) -> int | None:
    """Ask for an emergency stop to be lifted, or approve that somebody else asked. None once it is lifted;
    otherwise until when (Unix milliseconds) another person has to approve. Raises StopNotLifted,
    EdgeUnreachable, EdgeMisspoke."""
    async with _signed_in(origin, who, role, tls, StopNotLifted) as desk:
        asked_before = _lift_of(await desk.get("/api/emergency"), scope)
        after = await desk.post("/api/emergency/lift", {"scope": scope})
        if all(stop["scope"] != scope for stop in after["stops"]):
            return None
        lift = _lift_of(after, scope)
        if lift is None or lift == asked_before:
            # The second word was given and counted for nothing: the stop's file is still there.
            raise StopNotLifted(("approved, but the edge could not remove the latch file; its log says why",))
        return int(lift["until_ms"])


def _lift_of(overview: Mapping[str, Any], scope: str) -> dict[str, Any] | None:
    return next((stop["lift"] for stop in overview["stops"] if stop["scope"] == scope), None)


async def _change(origin: str, who: Credentials, path: str, body: Mapping[str, object], tls: Tls) -> InForce:
    async with _signed_in(origin, who, POLICY_ADMINISTRATOR, tls, PolicyNotChanged) as desk:
        answer = await desk.post(path, body)
        return InForce(int(answer["revision"]), str(answer["sha256"]))


@dataclass(frozen=True, slots=True)
class _Desk:
    """Requests at the admin listener; `refused` is raised where the edge says no."""

    session: aiohttp.ClientSession
    origin: str
    refused: type[NotDone]
    headers: Mapping[str, str]

    async def get(self, path: str) -> dict[str, Any]:
        return await self._ask("GET", path, None)

    async def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        return await self._ask("POST", path, body)

    async def _ask(self, method: str, path: str, body: Mapping[str, object] | None) -> dict[str, Any]:
        url = checked_origin(self.origin) + path
        async with self.session.request(
            method, url, json=body, headers=self.headers, allow_redirects=False
        ) as response:
            if response.status == 204:
                return {}
            answer = await response.json()
            if not isinstance(answer, dict):
                raise TypeError
            if response.status == 200:
                return answer
            code = f"{answer.get('code')}: {answer.get('message')}"
            decision = answer.get("decision_id")
            errors = answer.get("errors")
            told = [f"{code} (decision {decision})" if decision else code]
            raise self.refused((*told, *(map(str, errors) if isinstance(errors, list) else ())))


@asynccontextmanager
async def _signed_in(
    origin: str, who: Credentials, role: str, tls: Tls, refused: type[NotDone]
) -> AsyncIterator[_Desk]:
    """Signed in for one role, and out again, also where the edge refuses what is asked then."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
    connector = Connector(tls, force_close=True)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            asked = {
                "login": who.login,
                "password": who.password,
                "code": who.code,
                "role": role,
                "notice_acknowledged": True,
                "bearer": True,
            }
            door = _Desk(session, origin, refused, {})
            token = str((await door.post("/api/sign-in", asked))["token"])
            desk = _Desk(session, origin, refused, bearer(token))
            try:
                yield desk
            finally:
                await desk.post("/api/sign-out", {})
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise EdgeUnreachable(f"{origin}: {type(error).__name__}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise EdgeMisspoke(f"an answer that is none: {type(error).__name__}") from None

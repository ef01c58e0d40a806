"""Administration: the policy put in force through the admin listener, as the console does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from broker.client.errors import EdgeMisspoke, EdgeUnreachable
from broker.client.http import REQUEST_TIMEOUT_SECONDS, bearer, checked_origin
from broker.client.tls import Connector, Tls

POLICY_ADMINISTRATOR = "policy_administrator"


@dataclass(frozen=True, slots=True)
class InForce:
    revision: int
    sha256: str


class PolicyNotChanged(Exception):  # noqa: N818 (the outcome is the name callers speak of)
    """The edge refused; `lines` say why."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


async def apply_policy(origin: str, login: str, password: str, text: str, tls: Tls = None) -> InForce:
    """Put this text in force. Raises PolicyNotChanged, EdgeUnreachable, EdgeMisspoke."""
    return await _change(origin, login, password, "/api/policy/apply", {"text": text}, tls)


async def roll_back_policy(origin: str, login: str, password: str, revision: int, tls: Tls = None) -> InForce:
    """Put the text of an earlier revision in force. Raises as `apply_policy`."""
    return await _change(origin, login, password, "/api/policy/rollback", {"revision": revision}, tls)


async def _change(
    origin: str, login: str, password: str, path: str, body: Mapping[str, object], tls: Tls
) -> InForce:
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
    connector = Connector(tls, force_close=True)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            who = {"login": login, "password": password, "role": POLICY_ADMINISTRATOR, "bearer": True}
            token = str((await _post(session, origin, "/api/sign-in", who, {}))["token"])
            answer = await _post(session, origin, path, body, bearer(token))
            await _post(session, origin, "/api/sign-out", {}, bearer(token))
            return InForce(int(answer["revision"]), str(answer["sha256"]))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise EdgeUnreachable(f"{origin}: {type(error).__name__}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise EdgeMisspoke(f"an answer that is none: {type(error).__name__}") from None


async def _post(
    session: aiohttp.ClientSession,
    origin: str,
    path: str,
    body: Mapping[str, object],
    headers: Mapping[str, str],
) -> dict[str, Any]:
    url = checked_origin(origin) + path
    async with session.post(url, json=body, headers=headers, allow_redirects=False) as response:
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
        raise PolicyNotChanged((*told, *(map(str, errors) if isinstance(errors, list) else ())))

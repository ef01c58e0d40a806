"""Many people in an edge that is a process of its own, and those who watch over it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import aiohttp

from auth.second_factor import account_line, new_secret
from broker.cli.demo_house import ADMINISTRATORS, DemoPerson, _ldif
from broker.client.tls import Connector
from tests.acceptance.authenticator import unused_code
from tests.acceptance.served_edge import ServedEdge

SECOND_FACTORS = {login: new_secret() for _, login in ADMINISTRATORS.values()}


def crowded_edge(folder: Path, people: int) -> ServedEdge:
    """The service with the demo's administrators and so many people besides, all of whom may invite."""
    edge = ServedEdge(folder)
    crowd = tuple(DemoPerson(f"p{n}", f"Person {n}", secrets.token_urlsafe(9), True) for n in range(people))
    edge.people = (*edge.people, *crowd)
    (folder / "people.ldif").write_text(_ldif(edge.people))
    enrolled = edge.folder / "second-factors"
    lines = [account_line(login, secret) for login, secret in SECOND_FACTORS.items()]
    enrolled.write_text("\n".join(lines))
    enrolled.chmod(0o600)
    groups = "".join(f'{role}_group = "{group}"\n' for role, (group, _) in ADMINISTRATORS.items())
    edge.config.write_text(
        edge.config.read_text().replace("[admin]\n", f'[admin]\n{groups}second_factors_file = "{enrolled}"\n')
    )
    return edge


async def administer(edge: ServedEdge, role: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the administrator of this role is answered at the admin listener."""
    person = edge.person(ADMINISTRATORS[role][1])
    origin = f"https://{edge.addresses.admin}:{edge.addresses.admin_port}"
    who = {
        "login": person.login,
        "password": person.password,
        "code": await unused_code(SECOND_FACTORS[person.login]),
        "role": role,
        "notice_acknowledged": True,
        "bearer": True,
    }
    async with aiohttp.ClientSession(connector=Connector(edge.ca_file)) as session:
        async with session.post(f"{origin}/api/sign-in", json=who) as signed_in:
            token = (await signed_in.json())["token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with session.post(origin + path, json=body, headers=headers) as answer:
            told: dict[str, Any] = await answer.json()
            return told

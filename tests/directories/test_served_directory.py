"""A served edge in front of OpenLDAP: people change groups or are removed, and the directory goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from broker.cli.demo_house import EXTERNAL_GROUP
from broker.client.errors import EdgeClosed, EdgeRefused
from broker.client.http import sign_in
from broker.client.participant import Participant, join
from broker.client.tls import Connector
from broker.core.frames import InsiderWelcome
from tests.acceptance.served_edge import ServedEdge
from tests.directories.authority import Authority, ServerCertificate
from tests.directories.population import PASSWORD
from tests.directories.served import on_directory
from tests.directories.slapd import GROUPS, Slapd, person, running_slapd

GRACE_SECONDS = 2


@pytest.fixture
def slapd(tmp_path: Path, certificate: ServerCertificate) -> Iterator[Slapd]:
    """One of the test's own, which may go away."""
    (tmp_path / "slapd").mkdir()
    with running_slapd(tmp_path / "slapd", certificate) as server:
        yield server


@pytest.fixture
def edge(tmp_path: Path, slapd: Slapd, authority: Authority) -> Iterator[ServedEdge]:
    (tmp_path / "edge").mkdir()
    edge = on_directory(ServedEdge(tmp_path / "edge"), "openldap", authority.path, slapd.ldaps_url)
    edge.environment |= {
        "TURNGATE_LDAP__POLL_SECONDS": "1",
        "TURNGATE_LDAP__TIMEOUT_SECONDS": "1",
        "TURNGATE_DIRECTORY__OUTAGE_GRACE_SECONDS": str(GRACE_SECONDS),
    }
    with edge:
        yield edge


@asynccontextmanager
async def signed_in(edge: ServedEdge, login: str) -> AsyncIterator[Participant]:
    token = await sign_in(edge.inside, login, PASSWORD, edge.ca_file)
    async with join(edge.inside, token, edge.ca_file) as participant:
        yield participant


async def closed_with(participant: Participant, code: str) -> None:
    async with asyncio.timeout(15):
        with pytest.raises(EdgeClosed) as closed:
            await participant.connection.wait_for(InsiderWelcome)
    assert closed.value.error is not None
    assert closed.value.error.code == code


async def alarms(edge: ServedEdge) -> set[str]:
    """Those that hold, by the metrics."""
    origin = f"https://{edge.addresses.admin}:{edge.addresses.admin_port}"
    async with (
        aiohttp.ClientSession(connector=Connector(edge.ca_file)) as session,
        session.get(f"{origin}/metrics") as answer,
    ):
        lines = (await answer.text()).splitlines()
    held = [line for line in lines if line.startswith("turngate_alarm{") and line.endswith(" 1.0")]
    return {line.split('"')[1] for line in held}


async def alarm_holds(edge: ServedEdge, name: str, *, holds: bool = True) -> None:
    async with asyncio.timeout(15):
        while True:
            if (name in await alarms(edge)) is holds:
                return
            await asyncio.sleep(0.1)


async def test_who_leaves_a_group_may_not_do_any_more_what_it_gave(edge: ServedEdge, slapd: Slapd) -> None:
    members = [person("ada"), person("bert")]
    lines = "".join(f"member: {member}\n" for member in members)
    dn = f"cn={EXTERNAL_GROUP},{GROUPS}"
    slapd.add(f"dn: {dn}\nobjectClass: groupOfNames\ncn: {EXTERNAL_GROUP}\n{lines}\n")
    async with signed_in(edge, "ada") as ada:
        await ada.invitations.create("Gus Guest", "the test")
        slapd.remove_member(EXTERNAL_GROUP, person("ada"))
        with pytest.raises(EdgeRefused, match="POLICY_"):
            await invited_again_and_again(ada)


async def invited_again_and_again(host: Participant) -> None:
    """Until it is refused."""
    async with asyncio.timeout(15):
        while True:
            await host.invitations.create("Gus Guest", "the test")
            await asyncio.sleep(0.2)


async def test_who_is_removed_or_disabled_is_signed_out_everywhere(edge: ServedEdge, slapd: Slapd) -> None:
    async with signed_in(edge, "ada") as ada, signed_in(edge, "bert") as bert, signed_in(edge, "carl"):
        slapd.delete(person("ada"))
        slapd.lock(person("bert"))
        await closed_with(ada, "ACCESS_ENDED")
        await closed_with(bert, "ACCESS_ENDED")
        for login in ("ada", "bert"):
            with pytest.raises(EdgeRefused) as refused:
                await sign_in(edge.inside, login, PASSWORD, edge.ca_file)
            assert refused.value.code == "SIGN_IN_REFUSED"
    assert await sign_in(edge.inside, "carl", PASSWORD, edge.ca_file)


@pytest.mark.parametrize("how", ["killed", "hangs"])
async def test_a_directory_that_goes_away_leaves_people_their_grace_and_lets_nobody_in(
    edge: ServedEdge, slapd: Slapd, how: str
) -> None:
    async with signed_in(edge, "ada") as ada:
        (slapd.process.kill if how == "killed" else slapd.process.pause)()
        await alarm_holds(edge, "directory_silent")
        with pytest.raises(EdgeRefused) as refused:
            await sign_in(edge.inside, "bert", PASSWORD, edge.ca_file)
        assert refused.value.code == "DIRECTORY_UNAVAILABLE"
        await closed_with(ada, "DIRECTORY_SILENT")
    (slapd.process.restart if how == "killed" else slapd.process.resume)()
    await alarm_holds(edge, "directory_silent", holds=False)
    assert await sign_in(edge.inside, "bert", PASSWORD, edge.ca_file)
    lines = [json.loads(line) for line in edge.log().splitlines() if line.startswith("{")]
    silent = [line for line in lines if line["event"] == "directory.silent"]
    assert len(silent) == 1, "once for one outage"


async def test_who_was_signed_in_comes_back_within_the_grace_of_an_outage(
    edge: ServedEdge, slapd: Slapd
) -> None:
    token = await sign_in(edge.inside, "ada", PASSWORD, edge.ca_file)
    async with join(edge.inside, token, edge.ca_file):
        slapd.process.kill()
    async with join(edge.inside, token, edge.ca_file):
        pass
    await alarm_holds(edge, "directory_silent")

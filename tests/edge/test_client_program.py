"""Programs that the policy refuses or warns of, at a real edge with the product's own Python client."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from broker.client.connection import connect
from broker.client.errors import EdgeClosed, EdgeRefused
from broker.core.client_frames import ChatSend
from broker.core.frames import CallRing, ClientOutdated, GuestWelcome, InsiderWelcome
from tests.edge.bench_house import POLICY
from tests.edge.edge_bench import Bench, edge_bench

LINK = "https://get.example/turngate"


def clients(effect: str, side: str = "both", name: str = "turngate-python") -> str:
    return (
        f'[clients]\notherwise = "allow"\n[[clients.programs]]\nname = "{name}"\nside = "{side}"\n'
        f'versions = "<=9999"\neffect = "{effect}"\nlink = "{LINK}"\nmessage = "Version 9 is here."\n'
    )


async def guest_token(bench: Bench) -> str:
    async with bench.insider("alice") as alice:
        return await bench.guest_token(alice)


async def test_a_refused_insider_is_told_where_an_allowed_program_is_and_sees_nothing(tmp_path: Path) -> None:
    async with edge_bench(tmp_path, policy=POLICY + clients("refuse")) as bench:
        heard: list[str] = []
        token = await bench.token_of("alice")
        with pytest.raises(EdgeRefused, match="CLIENT_REFUSED") as raised:
            async with connect(bench.inside, token, bench.house.ca_file, record=heard.append):
                pytest.fail("there must be no connection")
        assert (raised.value.message, raised.value.link) == ("Version 9 is here.", LINK)
        assert (raised.value.decision_id, raised.value.retryable) == (None, False)
        assert [json.loads(text)["type"] for text in heard] == ["client.refused", "error"]
        (refused,) = await bench.recorded("client.refused")
        said = {"name": "turngate-python", "version": version("turngate")}
        assert (refused["fields"]["program"], refused["fields"]["link"]) == (said, LINK)
        (closed,) = await bench.recorded("connection.closed")
        assert closed["session"] == refused["session"]
        assert bench.records("presence.opened") == []


async def test_a_refused_guest_is_told_too_and_another_program_of_theirs_is_let_in(tmp_path: Path) -> None:
    async with edge_bench(tmp_path, policy=POLICY + clients("refuse", "guest")) as bench:
        token = await guest_token(bench)
        with pytest.raises(EdgeRefused, match="CLIENT_REFUSED") as raised:
            async with connect(bench.outside, token, bench.house.ca_file):
                pytest.fail("there must be no connection")
        assert raised.value.link == LINK
        async with connect(bench.outside, token, bench.house.ca_file, ("other", "1")) as connection:
            assert isinstance(connection.welcome, GuestWelcome)
        async with connect(bench.inside, await bench.token_of("bob"), bench.house.ca_file) as connection:
            assert isinstance(connection.welcome, InsiderWelcome)


async def test_an_outdated_program_is_told_after_the_welcome_and_goes_on(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path, policy=POLICY + clients("warn")) as bench,
        bench.insider("bob") as bob,
        connect(bench.inside, await bench.token_of("alice"), bench.house.ca_file) as connection,
    ):
        outdated = await connection.wait_for(ClientOutdated)
        assert (outdated.message, outdated.link) == ("Version 9 is here.", LINK)
        await connection.send(ChatSend(ref="m", to=bob.you, text="still here"))
        assert (await bob.until("chat.message"))["text"] == "still here"
        assert len(await bench.recorded("client.outdated")) == 1


async def test_a_new_policy_closes_a_live_connection_and_whoever_waits_learns_why(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        connect(bench.inside, await bench.token_of("alice"), bench.house.ca_file) as connection,
    ):
        beside = tmp_path / "policy.new"
        beside.write_text(POLICY.replace("revision = 1\n", "revision = 2\n", 1) + clients("refuse"))
        beside.replace(tmp_path / "policy.toml")
        with pytest.raises(EdgeClosed) as raised:
            await connection.wait_for(CallRing)
        assert raised.value.close_code == 4426
        refused = raised.value.error
        assert refused is not None
        assert (refused.code, refused.message, refused.link) == ("CLIENT_REFUSED", "Version 9 is here.", LINK)

"""Sign-ins on a running edge: how long they last, who ends them, and what a restart leaves of them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from broker.client.errors import EdgeClosed, EdgeRefused
from broker.client.participant import join
from tests.edge.bench_house import BenchHouse, password_of, with_house
from tests.edge.edge_bench import Bench, edge_bench, running_bench, until
from tests.edge.record_faults import failing_commits


def lasting(folder: Path, **seconds: int) -> BenchHouse:
    """A house with other settings for sign-ins, below what an administrator may set."""
    house = with_house(folder)
    sign_in = house.settings.sign_in.model_copy(update=seconds)
    return replace(house, settings=house.settings.model_copy(update={"sign_in": sign_in}))


def stored(bench: Bench) -> int:
    with sqlite3.connect(bench.house.database) as database:
        return int(database.execute("SELECT count(*) FROM sign_ins").fetchone()[0])


async def known(bench: Bench, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    return bool((await bench.http("GET", f"{bench.inside}/api/me", headers=headers)).json["signed_in"])


async def test_no_socket_outlives_its_sign_in(tmp_path: Path) -> None:
    async with running_bench(lasting(tmp_path, session_seconds=2)) as bench, bench.insider("alice") as alice:
        assert await alice.closed() == 4401
        assert alice.frames[-1]["code"] == "SIGN_IN_EXPIRED"
        assert not await known(bench, alice.token)
        (ended,) = await bench.recorded("auth.ended")
        assert ended["fields"]["reason"] == "expired"
        await until(lambda: stored(bench) == 0)


async def test_a_sign_in_is_idle_once_its_last_socket_is_gone_for_so_long(tmp_path: Path) -> None:
    async with running_bench(lasting(tmp_path, idle_seconds=1)) as bench:
        async with bench.insider("alice") as alice:
            await bench.token_of("carol")
            (unused,) = await bench.recorded("auth.ended")
            assert unused["fields"]["user"] == await bench.party("carol")
            await alice.heard()
        (_, used) = await bench.recorded("auth.ended", 2)
        assert (used["fields"]["user"], used["fields"]["reason"]) == (await bench.party("alice"), "idle")
        assert not await known(bench, alice.token)
        await until(lambda: stored(bench) == 0)


async def test_a_restart_forgets_no_sign_in_but_those_that_were_over(tmp_path: Path) -> None:
    house = with_house(tmp_path)
    async with running_bench(house) as bench:
        token = await bench.token_of("alice", "127.1.2.3")
        ended = await bench.token_of("alice")
        async with bench.wire(bench.inside, token):
            headers = {"Authorization": f"Bearer {ended}"}
            assert (await bench.http("POST", f"{bench.inside}/api/sign-out", headers=headers)).status == 204
    async with running_bench(house) as bench:
        assert await known(bench, token)
        assert not await known(bench, ended)
        async with join(bench.inside, token, bench.tls) as alice:
            (only,) = await alice.sign_ins.own()
            assert (only.network, only.this_one, only.in_use) == ("127.1.2.0/24", True, True)
    with sqlite3.connect(house.database) as database:
        database.execute("UPDATE sign_ins SET used_at = used_at - 3600")
    async with running_bench(house) as bench:
        assert not await known(bench, token)
        (_, idle) = await bench.recorded("auth.ended", 2)
        assert idle["fields"]["reason"] == "idle"
        await until(lambda: stored(bench) == 0)


async def test_people_see_and_end_their_own_sign_ins_and_nobody_elses(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice", "127.3.3.3") as lost:
        mine, bobs = await bench.token_of("alice"), await bench.token_of("bob")
        async with (
            join(bench.inside, mine, bench.tls) as alice,
            join(bench.inside, bobs, bench.tls, ("\x1b[31mtool", "9")) as bob,
        ):
            (his,) = await bob.sign_ins.own()
            assert his.program == "\x1b[31mtool 9"
            with pytest.raises(EdgeRefused, match="UNKNOWN_SIGN_IN"):
                await alice.sign_ins.revoke(his.sign_in_id)
            own = {each.network: each for each in await alice.sign_ins.own()}
            assert set(own) == {"127.0.0.0/24", "127.3.3.0/24"}
            left = await alice.sign_ins.revoke(own["127.3.3.0/24"].sign_in_id)
            assert [each.this_one for each in left] == [True]
            assert await lost.closed() == 4401
            assert lost.frames[-1]["code"] == "SIGN_IN_REVOKED"
            assert not await known(bench, lost.token)
            with pytest.raises(EdgeClosed):
                await alice.sign_ins.revoke(left[0].sign_in_id)
            assert await bob.sign_ins.own() == [his]
        first, second = await bench.recorded("auth.ended", 2)
        assert first["fields"]["by"] == second["fields"]["by"] == second["fields"]["sign_in"]


async def test_all_others_end_at_once_also_while_the_record_fails(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as one, bench.insider("alice") as two:
        mine = await bench.token_of("alice")
        async with join(bench.inside, mine, bench.tls) as alice:
            with failing_commits(bench):
                assert len(await alice.sign_ins.revoke_others()) == 1
                assert await one.closed() == await two.closed() == 4401
                assert not await known(bench, one.token)
            assert len(await bench.recorded("auth.ended", 2)) == 2
        await until(lambda: stored(bench) == 1)


async def test_nobody_fills_the_store_with_sign_ins(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        limit = bench.house.settings.sign_in.max_per_person
        tokens = [await bench.token_of("alice") for _ in range(limit + 15)]
        assert [await known(bench, token) for token in tokens] == [False] * 15 + [True] * limit
        others = [record["fields"]["other_sign_ins"] for record in bench.records("auth.accepted")]
        assert others == [*range(limit), *[limit - 1] * 15]
        assert [e["fields"]["reason"] for e in await bench.recorded("auth.ended", 15)] == ["replaced"] * 15
        await until(lambda: stored(bench) == limit)


async def test_a_sign_in_over_http_is_listed_with_where_it_came_from(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        answer = await bench.post_sign_in("alice", password_of("alice"), source="127.4.4.4", bearer=True)
        async with join(bench.inside, str(answer.json["token"]), bench.tls) as alice:
            (only,) = await alice.sign_ins.own()
            assert only.network == "127.4.4.0/24"
            assert only.program.startswith("turngate-python ")
            assert only.expires_at - only.began_at == bench.house.settings.sign_in.session_seconds

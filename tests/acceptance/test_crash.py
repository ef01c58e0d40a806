"""Law 5 under the worst operator: `kill -9` under load, again and again, and the record still tells the
truth."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from pathlib import Path

import pytest

from broker.client.errors import EdgeError, EdgeRefused
from broker.client.http import sign_in
from broker.client.participant import join
from config.sign_in import SignInSettings
from tests.acceptance.served_edge import ServedEdge

KILLS = 20

OPEN_CONNECTIONS = """
SELECT count(*) FROM records o WHERE o.type = 'connection.opened' AND NOT EXISTS (
    SELECT 1 FROM records c
    WHERE c.session_id = o.session_id AND c.type IN ('connection.closed', 'connection.lost'))
"""


async def chatter(
    edge: ServedEdge, token: str, to: str, acknowledged: set[str], first: asyncio.Event
) -> None:
    """Send as fast as the edge answers; remember every message it acknowledged, until it dies."""
    try:
        async with join(edge.inside, token, edge.ca_file) as person:
            number = 0
            while True:
                acknowledged.add(await person.chat.send(to, f"message {number}"))
                number += 1
                first.set()
    except* (EdgeError, TimeoutError, OSError):
        first.set()


async def one_life(
    edge: ServedEdge, tokens: dict[str, str], parties: dict[str, str], chance: random.Random
) -> set[str]:
    """Run the edge under load for a moment, kill it, and say what its clients had been promised."""
    acknowledged: set[str] = set()
    edge.start()
    async with asyncio.TaskGroup() as tasks:
        first = asyncio.Event()
        for sender, receiver in (("alice", "bob"), ("bob", "alice"), ("carol", "alice")):
            tasks.create_task(chatter(edge, tokens[sender], parties[receiver], acknowledged, first))
        async with asyncio.timeout(20):
            await first.wait()
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        edge.kill()
    return acknowledged


async def party_of(edge: ServedEdge, login: str) -> tuple[str, str]:
    token = await sign_in(edge.inside, login, edge.person(login).password, edge.ca_file)
    async with join(edge.inside, token, edge.ca_file) as person:
        return token, person.you.party


def recorded_messages(edge: ServedEdge) -> tuple[set[str], set[str]]:
    """Message ids in the record, and in the store."""
    with sqlite3.connect(edge.database) as database:
        bodies = database.execute("SELECT body FROM records WHERE type = 'chat.accepted'").fetchall()
        stored = database.execute("SELECT message_id FROM messages").fetchall()
    return {json.loads(body)["fields"]["message_id"] for (body,) in bodies}, {row[0] for row in stored}


async def test_twenty_kills_under_load_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(20)
    acknowledged: set[str] = set()
    with ServedEdge(tmp_path) as edge:
        people = {login: await party_of(edge, login) for login in ("alice", "bob", "carol")}
        edge.kill()
        tokens = {login: token for login, (token, _) in people.items()}
        parties = {login: party for login, (_, party) in people.items()}
        for _ in range(KILLS):
            acknowledged |= await one_life(edge, tokens, parties, chance)
        edge.start()
        assert edge.stop() == 0
    assert len(acknowledged) > KILLS
    on_record, in_store = recorded_messages(edge)
    assert acknowledged <= on_record
    assert acknowledged <= in_store
    with sqlite3.connect(edge.database) as database:
        assert database.execute(OPEN_CONNECTIONS).fetchone() == (0,)
    verified = edge.audit("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def test_a_session_that_a_kill_cut_off_is_closed_on_record_as_lost(tmp_path: Path) -> None:
    with ServedEdge(tmp_path) as edge:
        token = await sign_in(edge.inside, "alice", edge.person("alice").password, edge.ca_file)
        try:
            async with join(edge.inside, token, edge.ca_file) as person:
                edge.kill()
                await person.chat.next_message(timeout_seconds=30)
        except* EdgeError:
            pass
        edge.start()
        assert edge.stop() == 0
    with sqlite3.connect(edge.database) as database:
        lost = database.execute("SELECT body FROM records WHERE type = 'connection.lost'").fetchall()
    assert [json.loads(body)["fields"]["reason"] for (body,) in lost] == ["edge_restarted"]


async def test_wrong_passwords_that_were_answered_still_count_after_a_kill(tmp_path: Path) -> None:
    async def refusal(edge: ServedEdge, login: str, password: str) -> str:
        with pytest.raises(EdgeRefused) as refused:
            await sign_in(edge.inside, login, password, edge.ca_file)
        return refused.value.code

    with ServedEdge(tmp_path) as edge:
        allowed = SignInSettings().max_failures_per_login
        assert {await refusal(edge, "alice", "wrong") for _ in range(allowed)} == {"SIGN_IN_REFUSED"}
        edge.kill()
        edge.start()
        assert await refusal(edge, "alice", edge.person("alice").password) == "SIGN_IN_THROTTLED"
        assert await sign_in(edge.inside, "bob", edge.person("bob").password, edge.ca_file)

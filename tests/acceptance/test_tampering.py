"""Whoever can write every file of the edge but has not its signing key cannot change the record unnoticed."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from broker.audit.checkpoint import SigningKey
from broker.audit.merkle import Frontier, leaf_hash
from broker.client.errors import EdgeRefused
from broker.client.http import sign_in
from broker.client.participant import join
from tests.acceptance.served_edge import ServedEdge

MESSAGES = 6
CUT = 10


@dataclass(frozen=True, slots=True)
class Evidence:
    """A record as an investigator gets it: the database and the heads that left the host. The public key was
    noted down before."""

    database: Path
    heads: Path
    public_key: str

    def copied_to(self, folder: Path) -> Evidence:
        copy = Evidence(folder / "record.sqlite", folder / "heads.txt", self.public_key)
        shutil.copy(self.heads, copy.heads)
        with self.opened() as source, copy.opened() as target:
            source.backup(target)
        return copy

    def verify(self, *, with_heads: bool = True) -> tuple[int, dict[str, Any]]:
        """Exit status and findings of `turngate audit verify`."""
        arguments = ["--database", str(self.database), "--public-key", self.public_key, "--json"]
        arguments += ["--heads", str(self.heads)] if with_heads else []
        command = [sys.executable, "-m", "broker.cli.main", "audit", "verify", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            yield connection

    @property
    def size(self) -> int:
        with self.opened() as connection:
            return int(connection.execute("SELECT max(seq) FROM records").fetchone()[0])

    def signed_before(self, seq: int) -> int:
        """The size of the last signed head that vouches for records before this one only."""
        with self.opened() as connection:
            row = connection.execute("SELECT max(size) FROM heads WHERE size < ?", (seq,)).fetchone()
        return int(row[0] or 0)


async def people_talk(edge: ServedEdge) -> None:
    """Two insiders sign in and chat; a third tries what policy denies."""
    tokens = {
        login: await sign_in(edge.inside, login, edge.person(login).password, edge.ca_file)
        for login in ("alice", "bob", "carol")
    }
    async with (
        join(edge.inside, tokens["alice"], edge.ca_file) as alice,
        join(edge.inside, tokens["bob"], edge.ca_file) as bob,
        join(edge.inside, tokens["carol"], edge.ca_file) as carol,
    ):
        with pytest.raises(EdgeRefused):
            await carol.invitations.create("Grace Guest", "A talk")
        for number in range(MESSAGES):
            await alice.chat.send(bob.you.party, f"message {number}")
            await bob.chat.next_message()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> ServedEdge:
    """An edge that has worked, and has been stopped in good order."""
    edge = ServedEdge(tmp_path_factory.mktemp("edge"))
    with edge:
        asyncio.run(people_talk(edge))
        assert edge.stop() == 0
    return edge


@pytest.fixture
def record(served: ServedEdge, tmp_path: Path) -> Evidence:
    """A copy to tamper with."""
    return evidence_of(served).copied_to(tmp_path)


def evidence_of(edge: ServedEdge) -> Evidence:
    key = SigningKey.load("turngate", edge.data / "record-key.pem")
    return Evidence(edge.database, edge.data / "record-heads.txt", str(key.verifier))


def assert_found(record: Evidence, first_bad_seq: int) -> str:
    """Verification fails and names this record; the sentence."""
    status, found = record.verify()
    assert (status, found["ok"], found["first_bad_seq"]) == (1, False, first_bad_seq), found
    return str(found["problem"])


def reseal(connection: sqlite3.Connection, first_seq: int, sign: Callable[[int, bytes], str] | None) -> None:
    """Make everything stored from `first_seq` on agree with the bodies again, as far as no key is needed:
    hashes, the frontier, and, with a `sign`, the heads."""
    frontier = Frontier()
    sizes = {size for (size,) in connection.execute("SELECT size FROM heads").fetchall()}
    for seq, body in connection.execute("SELECT seq, body FROM records ORDER BY seq").fetchall():
        leaf = leaf_hash(body)
        frontier = frontier.extended([leaf])
        if seq >= first_seq:
            connection.execute("UPDATE records SET leaf = ? WHERE seq = ?", (leaf, seq))
            if sign is not None and seq in sizes:
                note = sign(seq, frontier.root)
                connection.execute("UPDATE heads SET note = ? WHERE size = ?", (note, seq))
    connection.execute("UPDATE frontier SET size = ?, nodes = ?", (frontier.size, frontier.to_bytes()))


def body_of(connection: sqlite3.Connection, seq: int) -> bytes:
    return bytes(connection.execute("SELECT body FROM records WHERE seq = ?", (seq,)).fetchone()[0])


def rewrite(connection: sqlite3.Connection, seq: int, body: bytes) -> None:
    connection.execute("UPDATE records SET body = ? WHERE seq = ?", (body, seq))


def chat_record(record: Evidence) -> int:
    """A record from the middle that somebody may want to be different."""
    with record.opened() as connection:
        rows = connection.execute("SELECT seq FROM records WHERE type = 'chat.accepted'").fetchall()
    return int(rows[len(rows) // 2][0])


def cut_off(connection: sqlite3.Connection, first_seq: int) -> None:
    """Remove the records from this one on, and what belongs to them, but not the heads."""
    connection.execute("DELETE FROM personal WHERE seq >= ?", (first_seq,))
    connection.execute("DELETE FROM records WHERE seq >= ?", (first_seq,))


def test_the_record_of_a_real_edge_is_sound_before_anybody_touches_it(
    served: ServedEdge, record: Evidence
) -> None:
    assert record.size > 2 * CUT
    status, found = record.verify()
    assert (status, found["ok"], found["records"], found["proven"]) == (0, True, record.size, record.size)
    on_the_host = served.audit("verify")
    assert on_the_host.returncode == 0, on_the_host.stdout + on_the_host.stderr
    assert f"all {record.size} records" in on_the_host.stdout


def test_the_key_that_an_investigator_is_given_is_the_one_the_edge_signs_with(
    served: ServedEdge, record: Evidence
) -> None:
    assert served.audit("key").stdout.strip() == record.public_key


def test_a_changed_byte_is_found_at_its_record(record: Evidence) -> None:
    seq = chat_record(record)
    with record.opened() as connection:
        body = bytearray(body_of(connection, seq))
        body[len(body) // 2] ^= 0x01
        rewrite(connection, seq, bytes(body))
    assert f"record {seq} was changed" in assert_found(record, seq)


def test_a_changed_fact_whose_hash_was_made_to_fit_is_found_by_the_next_signed_head(record: Evidence) -> None:
    seq = chat_record(record)
    with record.opened() as connection:
        body = json.loads(body_of(connection, seq))
        body["fields"]["bytes"] += 1
        rewrite(connection, seq, json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
        reseal(connection, seq, None)
    assert_found(record, record.signed_before(seq) + 1)


def test_a_changed_personal_value_is_found_at_its_record(record: Evidence) -> None:
    with record.opened() as connection:
        seq = connection.execute("SELECT seq FROM personal WHERE value = 'alice'").fetchone()[0]
        connection.execute("UPDATE personal SET value = 'bob' WHERE seq = ? AND value = 'alice'", (seq,))
    assert_found(record, seq)


def test_two_swapped_records_are_found_at_the_first_of_them(record: Evidence) -> None:
    one, other = chat_record(record), chat_record(record) + CUT // 2
    with record.opened() as connection:
        cells = {
            seq: connection.execute(
                "SELECT ts_ms, type, session_id, leaf, body FROM records WHERE seq = ?", (seq,)
            ).fetchone()
            for seq in (one, other)
        }
        for seq, taken in ((one, cells[other]), (other, cells[one])):
            connection.execute(
                "UPDATE records SET ts_ms = ?, type = ?, session_id = ?, leaf = ?, body = ? WHERE seq = ?",
                (*taken, seq),
            )
    assert_found(record, one)


def test_a_deleted_record_is_named_as_missing(record: Evidence) -> None:
    seq = chat_record(record)
    with record.opened() as connection:
        connection.execute("DELETE FROM personal WHERE seq = ?", (seq,))
        connection.execute("DELETE FROM records WHERE seq = ?", (seq,))
    assert f"record {seq} is missing" in assert_found(record, seq)


def test_a_cut_off_end_is_found_by_the_heads_that_the_database_still_has(record: Evidence) -> None:
    first_cut = record.size - CUT + 1
    with record.opened() as connection:
        cut_off(connection, first_cut)
    assert f"records {first_cut} to" in assert_found(record, first_cut)
    status, found = record.verify(with_heads=False)
    assert (status, found["first_bad_seq"]) == (1, first_cut)


def cut_with_heads(record: Evidence) -> int:
    """Leave a database that is sound in itself and ten records, or a few more, too short; the first one
    missing. Heads stand where batches ended."""
    first_cut = record.signed_before(record.size - CUT + 2) + 1
    with record.opened() as connection:
        cut_off(connection, first_cut)
        connection.execute("DELETE FROM heads WHERE size >= ?", (first_cut,))
        reseal(connection, first_cut, None)
    return first_cut


def test_a_cut_off_end_whose_heads_were_cut_off_too_is_found_by_the_heads_that_left_the_host(
    record: Evidence,
) -> None:
    first_cut = cut_with_heads(record)
    # Only the heads that left the host can tell: the database alone is as it once was.
    assert record.verify(with_heads=False)[0] == 0
    assert f"records {first_cut} to" in assert_found(record, first_cut)


async def test_an_edge_that_writes_on_after_a_cut_does_not_cover_it_up(tmp_path: Path) -> None:
    edge = ServedEdge(tmp_path)
    with edge:
        await people_talk(edge)
        assert edge.stop() == 0
        first_cut = cut_with_heads(evidence_of(edge))
        edge.start()
        await people_talk(edge)
        assert edge.stop() == 0
    status, found = evidence_of(edge).verify()
    assert (status, found["ok"]) == (1, False)
    assert found["first_bad_seq"] <= first_cut
    assert "rolled back" in found["problem"]
    assert edge.audit("verify").returncode == 1


def forge(record: Evidence, seq: int, name: str) -> SigningKey:
    """Rewrite a record and everything that depends on it, with a key of one's own."""
    forger = SigningKey.from_seed(name, bytes(32))
    with record.opened() as connection:
        body = json.loads(body_of(connection, seq))
        body["fields"]["bytes"] += 1
        rewrite(connection, seq, json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
        reseal(connection, 1, forger.sign)
        (newest,) = connection.execute("SELECT note FROM heads ORDER BY size DESC LIMIT 1").fetchone()
    record.heads.write_text(json.dumps(newest, ensure_ascii=False) + "\n")
    return forger


def test_a_log_that_was_hashed_anew_throughout_without_the_key_is_found(record: Evidence) -> None:
    forger = forge(record, chat_record(record), "turngate")
    # The forgery is complete: with the forger's key it verifies.
    own = Evidence(record.database, record.heads, str(forger.verifier))
    assert own.verify()[0] == 0
    assert_found(record, 1)


def test_a_log_that_was_hashed_anew_up_to_its_true_heads_is_found(record: Evidence) -> None:
    # The forger keeps the true heads, as no other signature is to be had, and makes everything else agree.
    seq = chat_record(record)
    with record.opened() as connection:
        body = json.loads(body_of(connection, seq))
        body["fields"]["message_id"] = "m-forged"
        rewrite(connection, seq, json.dumps(body, sort_keys=True, separators=(",", ":")).encode())
        reseal(connection, 1, None)
    assert_found(record, record.signed_before(seq) + 1)

"""Verification names the first bad record, whatever was done, with nothing but the public key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from auth.personal import Personal
from broker.audit.checkpoint import SigningKey
from broker.audit.ledger import Ledger
from broker.audit.merkle import Frontier, leaf_hash
from broker.audit.reading import read_only_engine
from broker.audit.record import Draft
from broker.audit.schema import metadata
from broker.audit.verify import Verification, verify

KEY = SigningKey.from_seed("edge.example/log", bytes(range(32)))
FORGER = SigningKey.from_seed("edge.example/log", bytes(32))
BATCHES = (4, 1, 7, 3, 5, 10)
"""Heads stand at 4, 5, 12, 15, 20 and 30."""


class Log:
    """A log in a file, and what a tamperer with full access to that file can do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        engine = create_engine(f"sqlite:///{path}")
        metadata.create_all(engine)
        ledger = Ledger("edge-1", KEY, lambda count: bytes(at % 251 for at in range(count)))
        with engine.begin() as connection:
            for batch, count in enumerate(BATCHES):
                drafts = [
                    Draft(
                        "auth.ended", f"s-{batch}", {"reason": "x"}, {"party.name": Personal(f"Person {n}")}
                    )
                    for n in range(count)
                ]
                appended = ledger.append(connection, [(1_700_000_000_000 + batch, draft) for draft in drafts])
                ledger.adopt(appended)
                self.notes.append(appended.head_note)
        engine.dispose()

    def do(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(statement, values)

    def column(self, statement: str) -> list[object]:
        with closing(sqlite3.connect(self.path)) as connection:
            return [row[0] for row in connection.execute(statement)]

    def rehash(self, seq: int, old: bytes, new: bytes) -> None:
        """Change a record's text and make its hash fit again."""
        (body,) = self.column(f"SELECT body FROM records WHERE seq = {seq}")
        assert isinstance(body, bytes)
        assert old in body
        changed = body.replace(old, new)
        self.do("UPDATE records SET body = ?, leaf = ? WHERE seq = ?", changed, leaf_hash(changed), seq)

    def sign_heads_again(self, key: SigningKey) -> None:
        leaves = [
            leaf for leaf in self.column("SELECT leaf FROM records ORDER BY seq") if isinstance(leaf, bytes)
        ]
        for size in self.column("SELECT size FROM heads"):
            assert isinstance(size, int)
            note = key.sign(size, Frontier().extended(leaves[:size]).root)
            self.do("UPDATE heads SET note = ? WHERE size = ?", note, size)

    def verify(self, external_heads: Sequence[str] = ()) -> Verification:
        engine = read_only_engine(str(self.path))
        with engine.connect() as connection:
            return verify(connection, KEY.verifier, external_heads)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "record.db")


def test_an_untouched_log_is_proven_to_its_end(log: Log) -> None:
    assert log.verify() == Verification(True, records=30, proven=30, redacted=0)
    assert log.verify(log.notes[::2]).ok


def test_an_empty_log_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
    with read_only_engine(str(path)).connect() as connection:
        assert verify(connection, KEY.verifier) == Verification(True, 0, 0, 0)


@pytest.mark.parametrize("seq", [1, 4, 5, 17, 30])
def test_a_changed_byte_names_its_record(log: Log, seq: int) -> None:
    log.do("UPDATE records SET body = CAST(replace(body, '\"x\"', '\"y\"') AS BLOB) WHERE seq = ?", seq)
    found = log.verify()
    assert (found.ok, found.first_bad_seq, found.records) == (False, seq, seq - 1)
    assert f"record {seq} was changed" in str(found.problem)


def test_a_changed_byte_says_how_far_the_record_is_proven(log: Log) -> None:
    log.do("UPDATE records SET leaf = zeroblob(32) WHERE seq = 17")
    found = log.verify()
    assert found.proven == 15
    assert "records 16 to 16 before it are not proven" in str(found.problem)


def test_two_swapped_records_name_the_first_of_them(log: Log) -> None:
    log.do("UPDATE records SET seq = -1 WHERE seq = 8")
    log.do("UPDATE records SET seq = 8 WHERE seq = 22")
    log.do("UPDATE records SET seq = 22 WHERE seq = -1")
    assert log.verify().first_bad_seq == 8


def test_two_swapped_and_rewritten_records_name_the_batch_of_the_first(log: Log) -> None:
    for seq, other in ((8, 22), (22, 8)):
        log.rehash(seq, f'"seq":{seq}'.encode(), f'"seq":{other}'.encode())
    log.do("UPDATE records SET seq = -1 WHERE seq = 8")
    log.do("UPDATE records SET seq = 8 WHERE seq = 22")
    log.do("UPDATE records SET seq = 22 WHERE seq = -1")
    found = log.verify()
    assert (found.proven, found.first_bad_seq) == (5, 8)


@pytest.mark.parametrize("seq", [1, 4, 13, 29])
def test_a_deleted_record_names_the_missing_number(log: Log, seq: int) -> None:
    log.do("DELETE FROM records WHERE seq = ?", seq)
    assert log.verify().first_bad_seq == seq


def test_a_deletion_hidden_by_renumbering_names_the_batch(log: Log) -> None:
    log.do("DELETE FROM records WHERE seq = 13")
    log.do("DELETE FROM personal WHERE seq = 13")
    for seq in range(14, 31):
        log.rehash(seq, f'"seq":{seq},'.encode(), f'"seq":{seq - 1},'.encode())
        log.do("UPDATE records SET seq = ? WHERE seq = ?", seq - 1, seq)
        log.do("UPDATE personal SET seq = ? WHERE seq = ?", seq - 1, seq)
    found = log.verify()
    assert (found.proven, found.first_bad_seq) == (12, 13)


def test_an_inserted_record_is_found(log: Log) -> None:
    log.do("INSERT INTO records SELECT 31, ts_ms, type, session_id, leaf, body FROM records WHERE seq = 30")
    assert log.verify().first_bad_seq == 31


def test_a_well_made_record_that_no_head_vouches_for_is_found(log: Log) -> None:
    log.do("INSERT INTO records SELECT 31, ts_ms, type, session_id, leaf, body FROM records WHERE seq = 30")
    log.rehash(31, b'"seq":30', b'"seq":31')
    found = log.verify()
    assert (found.proven, found.first_bad_seq) == (30, 31)
    assert "no signed head vouches for records 31 to 31" in str(found.problem)


def test_truncation_is_shown_by_the_heads_in_the_database(log: Log) -> None:
    log.do("DELETE FROM records WHERE seq > 20")
    log.do("DELETE FROM personal WHERE seq > 20")
    found = log.verify()
    assert (found.proven, found.first_bad_seq) == (20, 21)
    assert "records 21 to 30 are missing" in str(found.problem)


def test_truncation_inside_a_batch_says_what_is_no_longer_proven(log: Log) -> None:
    log.do("DELETE FROM records WHERE seq > 26")
    found = log.verify()
    assert (found.proven, found.first_bad_seq) == (20, 27)
    assert "records 21 to 26 before it are not proven" in str(found.problem)


def test_truncation_with_its_heads_is_shown_by_the_heads_that_left_the_host(log: Log) -> None:
    for table, column in (("records", "seq"), ("personal", "seq"), ("heads", "size")):
        log.do(f"DELETE FROM {table} WHERE {column} > 20")
    assert log.verify().ok, "nothing inside the database can show this"
    found = log.verify(log.notes)
    assert (found.proven, found.first_bad_seq) == (20, 21)


def test_deleted_last_heads_leave_their_records_unproven(log: Log) -> None:
    log.do("DELETE FROM heads WHERE size > 15")
    assert log.verify().first_bad_seq == 16
    assert log.verify([log.notes[-1]]).ok, "a head that left the host proves them as well"


def test_a_rehash_with_the_old_heads_names_the_batch(log: Log) -> None:
    log.rehash(9, b'"x"', b'"y"')
    found = log.verify()
    assert (found.proven, found.first_bad_seq) == (5, 6)
    assert "records 6 to 12 are not those" in str(found.problem)


def test_a_rehash_with_heads_signed_by_another_key_names_the_batch(log: Log) -> None:
    log.rehash(9, b'"x"', b'"y"')
    log.sign_heads_again(FORGER)
    for size, note in zip((4, 5), log.notes, strict=False):
        log.do("UPDATE heads SET note = ? WHERE size = ?", note, size)
    found = log.verify()
    assert (found.proven, found.first_bad_seq) == (5, 6)
    assert "no signed head vouches for records 6 to 30" in str(found.problem)


def test_a_rehash_with_all_heads_forged_is_narrowed_by_the_heads_that_left_the_host(log: Log) -> None:
    log.rehash(9, b'"x"', b'"y"')
    log.sign_heads_again(FORGER)
    assert log.verify().first_bad_seq == 1
    assert log.verify(log.notes).first_bad_seq == 6


def test_a_log_rolled_back_and_written_anew_with_the_key_is_found_by_an_external_head(log: Log) -> None:
    log.rehash(9, b'"x"', b'"y"')
    log.sign_heads_again(KEY)
    assert log.verify().ok, "who has the key and the database can rewrite both"
    found = log.verify(log.notes)
    assert (found.proven, found.first_bad_seq) == (5, 6)
    assert "rolled back and written anew" in str(found.problem)


def test_a_log_written_anew_in_other_batches_is_found_where_the_external_heads_part(
    log: Log,
) -> None:
    log.rehash(9, b'"x"', b'"y"')
    log.do("DELETE FROM heads WHERE size > 5")
    for size in (8, 10, 11, 14, 30):
        log.do("INSERT INTO heads (size, note) VALUES (?, '')", size)
    log.sign_heads_again(KEY)
    assert log.verify().ok
    found = log.verify(log.notes)
    assert (found.proven, found.first_bad_seq) == (5, 6)
    assert "rolled back and written anew" in str(found.problem)


def test_a_head_in_dispute_is_named_before_a_record_that_is_bad_later(log: Log) -> None:
    log.rehash(9, b'"x"', b'"y"')
    log.do("UPDATE records SET body = x'00' WHERE seq = 25")
    found = log.verify()
    assert (found.proven, found.first_bad_seq) == (5, 6)
    assert "records 6 to 12 are not those" in str(found.problem)


def test_a_changed_personal_value_names_its_record(log: Log) -> None:
    log.do("UPDATE personal SET value = 'Somebody else' WHERE seq = 14")
    found = log.verify()
    assert found.first_bad_seq == 14
    assert "personal value 'party.name' of record 14" in str(found.problem)


def test_a_redacted_personal_value_is_no_problem_and_is_counted(log: Log) -> None:
    log.do("DELETE FROM personal WHERE seq IN (3, 14)")
    assert log.verify() == Verification(True, records=30, proven=30, redacted=2)


@pytest.mark.parametrize("seq", [0, -7, 31, 2**62])
def test_a_personal_value_of_a_record_that_does_not_exist_is_found(log: Log, seq: int) -> None:
    log.do("UPDATE personal SET seq = ? WHERE seq = 5", seq)
    assert log.verify().first_bad_seq == seq


def test_a_damaged_head_is_named_even_when_others_prove_its_records(log: Log) -> None:
    log.do("UPDATE heads SET note = 'nothing' WHERE size = 12")
    found = log.verify()
    assert (found.ok, found.proven, found.first_bad_seq) == (False, 30, None)
    assert "the stored head of 12 records" in str(found.problem)


def test_a_damaged_last_head_leaves_its_records_unproven(log: Log) -> None:
    log.do("UPDATE heads SET note = ? WHERE size = 30", log.notes[4])
    found = log.verify()
    assert (found.proven, found.first_bad_seq) == (20, 21)


def test_an_external_head_by_another_key_is_named(log: Log) -> None:
    found = log.verify([FORGER.sign(5, bytes(32))])
    assert (found.ok, found.first_bad_seq) == (False, None)
    assert "external head" in str(found.problem)


def test_the_wrong_public_key_proves_nothing(log: Log) -> None:
    with read_only_engine(str(log.path)).connect() as connection:
        found = verify(connection, FORGER.verifier)
    assert (found.ok, found.proven, found.first_bad_seq) == (False, 0, 1)


@pytest.mark.parametrize(
    "cell",
    [
        ("body", "text instead of bytes"),
        ("body", None),
        ("leaf", "text"),
        ("ts_ms", 10**18),
        ("ts_ms", "yesterday"),
        ("ts_ms", 1.5),
        ("type", b"\xff\xfe"),
        ("session_id", b"\xff"),
        ("session_id", None),
    ],
    ids=str,
)
def test_cells_of_a_kind_that_was_never_written_are_found_and_break_nothing(
    log: Log, cell: tuple[str, object]
) -> None:
    column, value = cell
    with closing(sqlite3.connect(log.path)) as connection, connection:
        connection.execute("CREATE TABLE loose AS SELECT * FROM records")
        connection.execute(f"UPDATE loose SET {column} = ? WHERE seq = 11", (value,))
        connection.execute("DROP TABLE records")
        connection.execute("ALTER TABLE loose RENAME TO records")
    assert log.verify().first_bad_seq == 11


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[" * 100_000, b"null", b"\xff", b'{"v":1}'], ids=lambda body: body[:9]
)
def test_a_text_that_is_no_record_is_found_even_under_its_own_hash(log: Log, body: bytes) -> None:
    log.do("UPDATE records SET body = ?, leaf = ? WHERE seq = 11", body, leaf_hash(body))
    assert log.verify().first_bad_seq == 11


def test_the_sentence_cannot_carry_control_characters(log: Log) -> None:
    log.do("UPDATE personal SET name = ? WHERE seq = 14", "\x1b[2J\u202e")
    problem = str(log.verify().problem)
    assert problem.isprintable()
    assert problem.isascii()


def test_verification_sees_one_moment_of_a_log_that_grows(log: Log) -> None:
    log.do("PRAGMA journal_mode = WAL")
    engine = read_only_engine(str(log.path))
    with engine.connect() as connection:
        assert verify(connection, KEY.verifier).records == 30
        log.do("DELETE FROM records WHERE seq = 30")
        assert verify(connection, KEY.verifier).ok
    assert log.verify().first_bad_seq == 30


def test_the_reader_cannot_write(log: Log) -> None:
    with read_only_engine(str(log.path)).connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM records")


def test_records_of_an_edge_that_continues_after_a_restart_verify(log: Log) -> None:
    engine = create_engine(f"sqlite:///{log.path}")
    ledger = Ledger("edge-1", KEY, bytes)
    with engine.begin() as connection:
        ledger.load(connection)
        ledger.append(connection, [(1, Draft("node.started"))])
    engine.dispose()
    assert log.verify(log.notes).proven == 31
    assert (
        json.loads(str(log.column("SELECT CAST(body AS TEXT) FROM records WHERE seq = 31")[0]))["seq"] == 31
    )

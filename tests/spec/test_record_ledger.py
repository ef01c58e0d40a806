"""The ledger: records and their signed head go into the caller's transaction, or nothing does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine, delete, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.pool import StaticPool

from auth.personal import Personal
from broker.audit.checkpoint import SigningKey
from broker.audit.ledger import Appended, DamagedLedgerError, Ledger
from broker.audit.merkle import Frontier, leaf_hash
from broker.audit.record import Draft, commitment
from broker.audit.schema import frontier, heads, metadata, personal, records

KEY = SigningKey.from_seed("edge.example/log", bytes(range(32)))


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


class Salts:
    """Random bytes that are different each time, and the same in each run."""

    def __init__(self) -> None:
        self.drawn = 0

    def __call__(self, count: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(4, "big") * (count // 4)


def new_ledger(key: SigningKey = KEY) -> Ledger:
    return Ledger("edge-1", key, Salts())


def drafts(count: int) -> list[Draft]:
    return [
        Draft("auth.ended", f"s-{n}", {"reason": "test"}, {"party.name": Personal(f"Person {n}")})
        for n in range(count)
    ]


def append(engine: Engine, ledger: Ledger, count: int, wall_ms: int = 1_000) -> Appended:
    with engine.begin() as connection:
        appended = ledger.append(connection, [(wall_ms, draft) for draft in drafts(count)])
    ledger.adopt(appended)
    return appended


def load(engine: Engine, key: SigningKey = KEY) -> Ledger:
    ledger = new_ledger(key)
    with engine.connect() as connection:
        ledger.load(connection)
    return ledger


def bodies(connection: Connection) -> list[bytes]:
    return list(connection.execute(select(records.c.body).order_by(records.c.seq)).scalars())


def test_records_are_numbered_from_one_without_gaps(engine: Engine) -> None:
    ledger = new_ledger()
    first, second = append(engine, ledger, 3), append(engine, ledger, 2)
    assert (first.first_seq, first.last_seq, second.first_seq, second.last_seq) == (1, 3, 4, 5)
    with engine.connect() as connection:
        assert [json.loads(body)["seq"] for body in bodies(connection)] == [1, 2, 3, 4, 5]


def test_each_batch_is_followed_by_a_signed_head_of_everything_so_far(engine: Engine) -> None:
    ledger = new_ledger()
    notes = [append(engine, ledger, count).head_note for count in (3, 1, 4)]
    with engine.connect() as connection:
        stored = connection.execute(select(heads.c.size, heads.c.note).order_by(heads.c.size)).all()
        entries = bodies(connection)
    assert [(row.size, row.note) for row in stored] == list(zip((3, 4, 8), notes, strict=True))
    for size, note in stored:
        assert KEY.verifier.open(note).root == Frontier().extended(map(leaf_hash, entries[:size])).root


def test_personal_values_are_kept_beside_their_commitments(engine: Engine) -> None:
    append(engine, new_ledger(), 2)
    with engine.connect() as connection:
        rows = connection.execute(select(personal).order_by(personal.c.seq)).all()
        committed = [json.loads(body)["personal"]["party.name"] for body in bodies(connection)]
    assert [row.value for row in rows] == ["Person 0", "Person 1"]
    assert [commitment(row.salt, row.value).hex() for row in rows] == committed


def test_the_columns_repeat_what_the_body_says(engine: Engine) -> None:
    append(engine, new_ledger(), 1, wall_ms=1_767_225_600_042)
    with engine.connect() as connection:
        row = connection.execute(select(records)).one()
    assert (row.ts_ms, row.type, row.session_id) == (1_767_225_600_042, "auth.ended", "s-0")
    assert json.loads(row.body)["ts"] == "2026-01-01T00:00:00.042Z"


def test_after_a_rollback_the_next_batch_takes_the_same_numbers(engine: Engine) -> None:
    ledger = new_ledger()
    append(engine, ledger, 2)
    with engine.connect() as connection:
        ledger.append(connection, [(2_000, draft) for draft in drafts(5)])
        connection.rollback()
    assert ledger.size == 2
    assert append(engine, ledger, 1).first_seq == 3
    assert load(engine).size == 3


def test_a_batch_cannot_be_adopted_twice(engine: Engine) -> None:
    ledger = new_ledger()
    appended = append(engine, ledger, 1)
    with pytest.raises(ValueError, match="end of this log"):
        ledger.adopt(appended)


def test_no_head_is_signed_for_nothing(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(ValueError, match="never for none"):
        new_ledger().append(connection, [])


def test_a_loaded_ledger_continues_the_same_tree(engine: Engine) -> None:
    append(engine, new_ledger(), 5)
    note = append(engine, load(engine), 6).head_note
    with engine.connect() as connection:
        assert KEY.verifier.open(note).root == Frontier().extended(map(leaf_hash, bodies(connection))).root


def test_an_empty_database_is_an_empty_log(engine: Engine) -> None:
    assert load(engine).size == 0


@pytest.mark.parametrize(
    "damage",
    [
        delete(heads),
        delete(heads).where(heads.c.size == 5),
        delete(frontier),
        delete(records),
        delete(records).where(records.c.seq == 5),
        update(frontier).values(nodes=b"x" * 64),
        update(frontier).values(nodes=b"x"),
        update(frontier).values(size=4),
        update(heads).where(heads.c.size == 5).values(note="nonsense"),
        update(heads).where(heads.c.size == 5).values(size=6),
    ],
    ids=str,
)
def test_a_log_whose_end_does_not_fit_together_is_not_continued(engine: Engine, damage: object) -> None:
    ledger = new_ledger()
    append(engine, ledger, 3)
    append(engine, ledger, 2)
    with engine.begin() as connection:
        connection.execute(damage)  # type: ignore[call-overload]  # one of the statements above
    with pytest.raises(DamagedLedgerError):
        load(engine)


def test_a_log_signed_by_another_key_is_not_continued(engine: Engine) -> None:
    append(engine, new_ledger(), 1)
    with pytest.raises(DamagedLedgerError):
        load(engine, SigningKey.from_seed(KEY.name, bytes(32)))

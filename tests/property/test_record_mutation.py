"""Any one stored cell, changed to anything: harmless because nothing changed, or found and named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from auth.personal import Personal
from broker.audit.checkpoint import SigningKey
from broker.audit.ledger import Ledger
from broker.audit.reading import read_only_engine
from broker.audit.record import Draft
from broker.audit.schema import metadata
from broker.audit.verify import Verification, verify

KEY = SigningKey.from_seed("edge.example/log", bytes(range(32)))
HEADS = (2, 3, 7, 12)
RECORDS = HEADS[-1]
WITH_PERSONAL = tuple(seq for seq in range(1, RECORDS + 1) if seq % 3)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log in tables without types, keys or constraints: a tamperer is not bound by ours."""
    path = tmp_path_factory.mktemp("log") / "template.db"
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    ledger = Ledger("edge-1", KEY, Random(1).randbytes)
    with engine.begin() as connection:
        for size in HEADS:
            drafts = [
                Draft(
                    "node.started",
                    f"s-{seq}",
                    personal={"a.name": Personal("Ada"), "a.address": Personal("::1")}
                    if seq in WITH_PERSONAL
                    else {},
                )
                for seq in range(ledger.size + 1, size + 1)
            ]
            ledger.adopt(ledger.append(connection, [(1_700_000_000_000 + size, d) for d in drafts]))
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection_, connection_:
        for table, columns in (
            ("records", "seq, ts_ms, type, session_id, leaf, body"),
            ("personal", "seq, name, salt, value"),
            ("heads", "size, note"),
        ):
            connection_.execute(f"CREATE TABLE loose ({columns})")
            connection_.execute(f"INSERT INTO loose SELECT {columns} FROM {table}")
            connection_.execute(f"DROP TABLE {table}")
            connection_.execute(f"ALTER TABLE loose RENAME TO {table}")
    return path


Cell = int | float | str | bytes | None


def flipped(cell: Cell, at: int, mask: int) -> Cell:
    """The cell with one bit changed, or the number moved a little."""
    if isinstance(cell, bytes) and cell:
        at %= len(cell)
        return cell[:at] + bytes([cell[at] ^ mask]) + cell[at + 1 :]
    if isinstance(cell, str) and cell:
        at %= len(cell)
        return cell[:at] + chr(ord(cell[at]) ^ mask) + cell[at + 1 :]
    if isinstance(cell, int):
        return cell + mask - 64
    return at


NEW: st.SearchStrategy[Callable[[Cell], Cell]] = st.one_of(
    st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-3, RECORDS + 3),
        st.floats(allow_nan=False),
        st.text(),
        st.binary(max_size=40),
        st.none(),
    ).map(lambda new: lambda _: new),
    st.tuples(st.integers(0, 2000), st.integers(1, 127)).map(lambda pick: lambda cell: flipped(cell, *pick)),
)


def mutate(path: Path, table: str, rowid: int, column: str, new: Callable[[Cell], Cell]) -> tuple[Cell, Cell]:
    with closing(sqlite3.connect(path)) as connection, connection:
        select = f"SELECT {column} FROM {table} WHERE rowid = {rowid}"
        (old,) = connection.execute(select).fetchone()
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = {rowid}", (new(old),))
        except UnicodeEncodeError:
            assume(False)
        (stored,) = connection.execute(select).fetchone()
    return old, stored


def verified(path: Path) -> Verification:
    with read_only_engine(str(path)).connect() as connection:
        return verify(connection, KEY.verifier)


def changed_copy(
    template: Path, tmp_path: Path, table: str, rowid: int, column: str, new: Callable[[Cell], Cell]
) -> tuple[Cell, Cell, Verification]:
    path = tmp_path / "changed.db"
    shutil.copyfile(template, path)
    old, stored = mutate(path, table, rowid, column, new)
    assume((type(old), old) != (type(stored), stored))
    return old, stored, verified(path)


MUTATION = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@MUTATION
@given(st.integers(1, RECORDS), st.sampled_from(["ts_ms", "type", "session_id", "leaf", "body"]), NEW)
def test_a_changed_cell_of_a_record_names_the_record(
    template: Path, tmp_path: Path, seq: int, column: str, new: Callable[[Cell], Cell]
) -> None:
    _, _, found = changed_copy(template, tmp_path, "records", seq, column, new)
    assert (found.ok, found.first_bad_seq) == (False, seq)


@MUTATION
@given(st.integers(1, RECORDS), NEW)
def test_a_changed_number_of_a_record_names_the_gap_or_the_intruder(
    template: Path, tmp_path: Path, seq: int, new: Callable[[Cell], Cell]
) -> None:
    _, stored, found = changed_copy(template, tmp_path, "records", seq, "seq", new)
    # Its new number is outside of the sequence, or taken by another record: the lower of the two is in doubt.
    assert not found.ok
    assert found.first_bad_seq == (min(seq, stored) if isinstance(stored, int) else seq)


@MUTATION
@given(st.integers(1, 2 * len(WITH_PERSONAL)), st.sampled_from(["name", "salt", "value"]), NEW)
def test_a_changed_cell_of_a_personal_value_names_its_record(
    template: Path, tmp_path: Path, row: int, column: str, new: Callable[[Cell], Cell]
) -> None:
    _, _, found = changed_copy(template, tmp_path, "personal", row, column, new)
    assert (found.ok, found.first_bad_seq) == (False, WITH_PERSONAL[(row - 1) // 2])


@MUTATION
@given(st.integers(1, 2 * len(WITH_PERSONAL)), NEW)
def test_a_personal_value_moved_to_another_record_names_that_one(
    template: Path, tmp_path: Path, row: int, new: Callable[[Cell], Cell]
) -> None:
    _, stored, found = changed_copy(template, tmp_path, "personal", row, "seq", new)
    assert not found.ok
    assert found.first_bad_seq == (stored if isinstance(stored, int) else None)


@MUTATION
@given(st.integers(1, len(HEADS)), st.sampled_from(["size", "note"]), NEW)
def test_a_changed_head_is_named_and_the_last_one_leaves_its_records_unproven(
    template: Path, tmp_path: Path, row: int, column: str, new: Callable[[Cell], Cell]
) -> None:
    _, _, found = changed_copy(template, tmp_path, "heads", row, column, new)
    assert not found.ok
    assert found.first_bad_seq == (HEADS[-2] + 1 if row == len(HEADS) else None)
    assert "head" in str(found.problem)

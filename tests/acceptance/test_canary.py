"""Canaries: recognisable secrets, addresses, names and texts are put in at every door, and then looked for in
everything that came out. Each may be where it says here, and nowhere else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.canary_visit import (
    ALICE_ADDRESS,
    GUEST_ADDRESS,
    GUEST_NAME,
    INVITED_EMAIL,
    INVITED_NAME,
    PURPOSE,
    STRANGER_ADDRESS,
    TO_ALICE,
    TO_GUEST,
    UNREAD,
    WRONG_PASSWORD,
    Heard,
    visit,
)
from tests.acceptance.served_edge import ServedEdge

ADDRESSES = {"alice": ALICE_ADDRESS, "guest": GUEST_ADDRESS, "stranger": STRANGER_ADDRESS}
TEXTS = {"guest": TO_GUEST, "alice": TO_ALICE}
"""Each by who may read it."""
DATABASE = {"turngate.sqlite", "turngate.sqlite-wal"}
JOURNAL = "narrowing.journal"
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"


@dataclass
class Remains:
    """What is left of the visit: on the wires, in the log, and on the disk of an edge that was killed."""

    edge: ServedEdge
    heard: Heard
    log: bytes

    def files_with(self, canary: str) -> set[str]:
        """Files of the data directory that hold it in any spelling."""
        return {
            path.name
            for path in self.edge.data.rglob("*")
            if path.is_file() and holds(path.read_bytes(), canary)
        }

    def columns_with(self, canary: str) -> set[str]:
        """Columns of the database that hold it, as table.column."""
        found = set()
        with sqlite3.connect(self.edge.database) as database:
            tables = [name for (name,) in database.execute(TABLES)]
            for table in tables:
                rows = database.execute(f'SELECT * FROM "{table}"')
                names = [column[0] for column in rows.description]
                for row in rows:
                    for name, value in zip(names, row, strict=True):
                        raw = value if isinstance(value, bytes) else str(value).encode()
                        if holds(raw, canary):
                            found.add(f"{table}.{name}")
        return found

    def hearers_of(self, canary: str) -> set[str]:
        """Who was sent it, in a frame or in an answer to a request."""
        framed = {
            name for name, texts in self.heard.frames.items() if holds("\n".join(texts).encode(), canary)
        }
        answered = {name for name, bodies in self.heard.bodies.items() if holds(b"\n".join(bodies), canary)}
        return framed | answered


def spellings(canary: str) -> Iterator[bytes]:
    """As it is, escaped as JSON does, in base64, in hexadecimal; of an address also the digest."""
    raw = canary.encode()
    yield raw
    yield canary.encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00")
    yield base64.b64encode(raw).rstrip(b"=")[:-1]
    yield raw.hex().encode()
    if canary in ADDRESSES.values():
        yield hashlib.sha256(raw).hexdigest().encode()
        yield hashlib.sha256(raw).digest()


def holds(text: bytes, canary: str) -> bool:
    return any(spelling in text for spelling in spellings(canary))


@pytest.fixture(scope="module")
def remains(tmp_path_factory: pytest.TempPathFactory) -> Remains:
    edge = ServedEdge(tmp_path_factory.mktemp("canary"))
    with edge:
        heard = asyncio.run(visit(edge))
        edge.kill()
    return Remains(edge, heard, edge.log_path.read_bytes())


def secrets_of(remains: Remains) -> dict[str, str]:
    """What may be on no disk at all, in no log and in nobody's hands but its owner's."""
    environment = remains.edge.environment
    return remains.heard.secrets | {
        "alice's password": remains.edge.person("alice").password,
        "a wrong password": WRONG_PASSWORD,
        "the key of invitations": environment["TURNGATE_INVITATIONS__SECRET"],
        "the key of the relay": environment["TURNGATE_RELAY__SECRETS"].strip('["]'),
    }


OWNERS = {
    "alice's cookie": {"alice"},
    "alice's token": {"alice"},
    "the invitation": {"alice"},
    "the replaced invitation": {"alice"},
    "the guest's token": {"guest"},
    "alice's relay password": {"alice"},
    "the guest's relay password": {"guest"},
    "alice's password": set(),
    "a wrong password": set(),
    "the key of invitations": set(),
    "the key of the relay": set(),
}


def test_the_search_finds_what_is_there(remains: Remains, tmp_path: Path) -> None:
    assert remains.columns_with(UNREAD) == {"messages.text"}
    assert remains.files_with(UNREAD) & DATABASE
    for spelling in spellings(ALICE_ADDRESS):
        assert holds(b"before " + spelling + b" after", ALICE_ADDRESS)
    assert all(len(text) > 8 for text in secrets_of(remains).values())
    assert set(OWNERS) == set(secrets_of(remains))


def test_secrets_are_on_no_disk_and_in_no_log(remains: Remains) -> None:
    for name, secret in secrets_of(remains).items():
        assert remains.files_with(secret) == set(), name
        assert remains.columns_with(secret) == set(), name
        assert not holds(remains.log, secret), name
        assert not any(holds(body, secret) for body in remains.heard.admin), name


def test_secrets_are_told_to_their_owners_only(remains: Remains) -> None:
    for name, secret in secrets_of(remains).items():
        assert remains.hearers_of(secret) == OWNERS[name], name


def test_an_address_is_in_the_personal_part_of_the_record_and_nowhere_else(remains: Remains) -> None:
    for name, address in ADDRESSES.items():
        assert remains.columns_with(address) <= {"personal.value"}, name
        assert remains.files_with(address) <= DATABASE | {JOURNAL}, name
        assert not holds(remains.log, address), name
        assert remains.hearers_of(address) == set(), name
        assert not any(holds(body, address) for body in remains.heard.admin), name
    for address in (ALICE_ADDRESS, GUEST_ADDRESS):
        assert remains.columns_with(address) == {"personal.value"}


def test_neither_party_hears_a_candidate_or_host_of_the_other(remains: Remains) -> None:
    for name, texts in remains.heard.frames.items():
        for text in texts:
            assert "canary-host" not in text, name
            assert "typ host" not in text, name
            assert "typ srflx" not in text, name


def test_a_text_reaches_who_it_is_for_and_the_messages_that_wait(remains: Remains) -> None:
    for reader, text in TEXTS.items():
        assert remains.hearers_of(text) == {reader}
        assert remains.columns_with(text) == {"messages.text"}
        assert remains.files_with(text) <= DATABASE
        assert not holds(remains.log, text)
    assert remains.hearers_of(UNREAD) == set()
    assert not holds(remains.log, UNREAD)


def test_a_name_is_in_the_personal_part_and_the_rows_it_is_needed_in(remains: Remains) -> None:
    for name, columns, hearers in (
        (GUEST_NAME, {"personal.value"}, {"alice", "guest"}),
        (INVITED_NAME, {"personal.value", "invitations.guest_name"}, {"alice"}),
        (INVITED_EMAIL, {"personal.value", "invitations.guest_email"}, {"alice"}),
        (PURPOSE, {"personal.value", "invitations.purpose"}, {"alice"}),
        ("Alice Archer", {"personal.value"}, {"alice", "guest"}),
    ):
        assert remains.columns_with(name) == columns
        assert remains.files_with(name) <= DATABASE | {JOURNAL}
        assert remains.hearers_of(name) == hearers
        assert not holds(remains.log, name)
        assert not any(holds(body, name) for body in remains.heard.admin)


def test_the_log_has_no_line_about_strangers(remains: Remains) -> None:
    lines = remains.log.splitlines()
    assert [line for line in lines if b"edge.ready" in line]
    assert [line for line in lines if b'"level": "error"' in line or b"Traceback" in line] == []

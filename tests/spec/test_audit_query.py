"""What an investigator asks of the record."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, delete, update
from sqlalchemy.pool import StaticPool

from auth.personal import Personal
from broker.audit.checkpoint import SigningKey
from broker.audit.history import Record, Summary
from broker.audit.ledger import Ledger
from broker.audit.query import Filters, OpenSession, QueryError, list_sessions, open_sessions, show_session
from broker.audit.record import Draft, JsonValue
from broker.audit.schema import metadata, personal, records

ALICE, GUEST = "u-alice", "g-1"
DECISION: dict[str, JsonValue] = {
    "id": "d-1",
    "effect": "allow",
    "determining_rules": ["R-017", "R-018"],
    "policy_revision": 41,
}


def named(role: str, login: str | None, name: str, address: str | None) -> dict[str, Personal]:
    facts = {f"{role}.login": login, f"{role}.name": name, f"{role}.address": address}
    return {fact: Personal(value) for fact, value in facts.items() if value is not None}


ALICES_CONNECTION = Draft(
    "connection.opened",
    "c-1",
    {"party": ALICE, "external": False, "decisions": [DECISION]},
    named("party", "alice", "Alice Adams", "10.0.0.1"),
)
VISIT = Draft(
    "visit.opened",
    GUEST,
    {"guest": GUEST, "host": ALICE, "invitation": "i-1"},
    named("guest", None, "Bob", "203.0.113.7") | named("host", "alice", "Alice Adams", None),
)
CALL = Draft(
    "call.opened",
    "k-1",
    {
        "caller": ALICE,
        "callee": GUEST,
        "external": True,
        "media": ["audio"],
        "until": 9,
        "decisions": [DECISION],
    },
    named("caller", "alice", "Alice Adams", "10.0.0.1") | named("callee", None, "Bob", None),
)
ANSWER = Draft("call.answered", "k-1", {"callee": GUEST}, named("callee", None, "Bob", "203.0.113.7"))
ALLOCATED = Draft(
    "relay.allocated",
    "k-1",
    {"party": GUEST, "relayed": "198.18.0.1:5000", "transport": "udp"},
    {"client.address": Personal("203.0.113.99")},
)


def counted(type_: str, a_to_b: int, **more: JsonValue) -> Draft:
    return Draft(
        type_,
        "k-1",
        {
            "parties": [ALICE, GUEST],
            "bytes": {"a_to_b": a_to_b, "b_to_a": 7},
            "packets": {"a_to_b": 3, "b_to_a": 1},
            **more,
        },
    )


class Log:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ledger = Ledger("edge-1", SigningKey.from_seed("edge.example/log", bytes(32)), bytes)

    def at(self, wall_ms: int, *drafts: Draft) -> None:
        with self.engine.begin() as connection:
            self.ledger.adopt(self.ledger.append(connection, [(wall_ms, draft) for draft in drafts]))

    def found(self, filters: Filters | None = None) -> list[str | None]:
        with self.engine.connect() as connection:
            return [summary.session_id for summary in list_sessions(connection, filters or Filters())]

    def show(self, session_id: str) -> tuple[Summary, list[Record]]:
        with self.engine.connect() as connection:
            shown = show_session(connection, session_id)
        assert shown is not None
        return shown


@pytest.fixture
def log() -> Iterator[Log]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    yield Log(engine)
    engine.dispose()


@pytest.fixture
def day(log: Log) -> Log:
    """Alice connects at 1 s, her guest comes at 2 s, they talk from 3 s to 9 s, the guest leaves at 10 s."""
    log.at(500, Draft("node.started"))
    log.at(1_000, ALICES_CONNECTION)
    log.at(2_000, VISIT)
    log.at(3_000, CALL, ANSWER, ALLOCATED)
    log.at(6_000, counted("call.counters", 100))
    log.at(9_000, counted("call.closed", 250, reason="hung_up"))
    log.at(10_000, Draft("visit.closed", GUEST, {"guest": GUEST, "host": ALICE, "reason": "left"}))
    return log


def test_the_newest_session_comes_first(day: Log) -> None:
    assert day.found() == ["k-1", GUEST, "c-1"]
    assert day.found(Filters(limit=1)) == ["k-1"]


def test_a_call_is_summed_up_in_one_row(day: Log) -> None:
    summary, _ = day.show("k-1")
    assert summary.to_json() == {
        "session_id": "k-1",
        "kind": "call",
        "external": True,
        "opened_at": "1970-01-01T00:00:03.000Z",
        "answered_at": "1970-01-01T00:00:03.000Z",
        "closed_at": "1970-01-01T00:00:09.000Z",
        "end": "closed",
        "end_reason": "hung_up",
        "parties": [
            {
                "role": "caller",
                "party": ALICE,
                "login": "alice",
                "name": "Alice Adams",
                "addresses": ["10.0.0.1"],
            },
            {
                "role": "callee",
                "party": GUEST,
                "login": None,
                "name": "Bob",
                "addresses": ["203.0.113.7", "203.0.113.99"],
            },
        ],
        "decisions": ["d-1"],
        "rules": ["R-017", "R-018"],
        "policy_revision": 41,
        "bytes": {"a_to_b": 250, "b_to_a": 7},
        "packets": {"a_to_b": 3, "b_to_a": 1},
    }


def test_the_list_says_the_same_as_the_single_session(day: Log) -> None:
    with day.engine.connect() as connection:
        listed = list(list_sessions(connection, Filters()))
    assert listed == [day.show(session)[0] for session in ("k-1", GUEST, "c-1")]


def test_a_session_is_shown_with_all_its_records_in_order(day: Log) -> None:
    _, history = day.show("k-1")
    assert [record.type for record in history] == [
        "call.opened",
        "call.answered",
        "relay.allocated",
        "call.counters",
        "call.closed",
    ]
    first = history[0].to_json()
    assert first["sentence"] == "A call was allowed and rings."
    assert first["personal"]["caller.login"] == "alice"
    assert first["fields"]["decisions"] == [DECISION]


def test_nothing_is_shown_of_a_session_that_is_not_there(day: Log) -> None:
    with day.engine.connect() as connection:
        assert show_session(connection, "k-2") is None


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(person="alice"), ["k-1", GUEST, "c-1"]),
        (Filters(person="Bob"), ["k-1", GUEST]),
        (Filters(person="10.0.0.1"), []),
        (Filters(address="203.0.113.7"), ["k-1", GUEST]),
        (Filters(address="203.0.113.99"), ["k-1"]),
        (Filters(address="Bob"), []),
        (Filters(session_id="c-1"), ["c-1"]),
        (Filters(type="visit"), [GUEST]),
        (Filters(type="call.answered"), ["k-1"]),
        (Filters(type="call.lost"), []),
        (Filters(until_ms=3_000), [GUEST, "c-1"]),
        (Filters(since_ms=9_001), [GUEST, "c-1"]),
        (Filters(since_ms=10_001), ["c-1"]),
        (Filters(since_ms=4_000, until_ms=5_000, person="Bob"), ["k-1", GUEST]),
        (Filters(person="x' OR '1'='1"), []),
        (Filters(session_id="%"), []),
    ],
    ids=str,
)
def test_filters_find_the_sessions_they_describe(
    day: Log, filters: Filters, expected: list[str | None]
) -> None:
    assert day.found(filters) == expected


def test_a_person_who_only_got_a_message_is_found_with_the_senders_connection(day: Log) -> None:
    message: dict[str, JsonValue] = {"message_id": "m-1", "sender": ALICE, "recipient": "u-carol", "bytes": 5}
    day.at(11_000, Draft("chat.accepted", "c-1", message, named("recipient", "carol", "Carol", None)))
    assert day.found(Filters(person="carol")) == ["c-1"]


def test_an_unknown_type_is_no_question(day: Log) -> None:
    with pytest.raises(QueryError, match="whatever"):
        day.found(Filters(type="whatever"))


def test_a_redacted_value_is_shown_as_absent(day: Log) -> None:
    with day.engine.begin() as connection:
        connection.execute(delete(personal).where(personal.c.value == "Bob"))
    summary, history = day.show("k-1")
    assert summary.parties[1].name is None
    assert history[0].personal["callee.name"] is None
    assert day.found(Filters(person="Bob")) == []


def test_a_lost_call_has_the_counters_that_were_checkpointed_last(log: Log) -> None:
    log.at(1, CALL, counted("call.counters", 100))
    fields = json.dumps({"bytes": {"a_to_b": 100, "b_to_a": 7}, "packets": {"a_to_b": 3, "b_to_a": 1}})
    log.at(2, Draft("call.lost", "k-1", {"reason": "edge_restarted", "last_count": fields}))
    summary, _ = log.show("k-1")
    assert (summary.end, summary.end_reason, summary.bytes) == (
        "lost",
        "edge_restarted",
        {"a_to_b": 100, "b_to_a": 7},
    )


def test_a_session_whose_opening_is_missing_is_still_shown(day: Log) -> None:
    with day.engine.begin() as connection:
        connection.execute(delete(records).where(records.c.type == "call.opened"))
    summary, history = day.show("k-1")
    assert (summary.kind, summary.end, len(history)) == (None, "closed", 4)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"\xff", b"[" * 100_000, b'{"fields": 7, "personal": [], "ts": {}}', "text"],
    ids=repr,
)
def test_a_record_that_was_tampered_with_is_shown_as_far_as_it_can_be_read(day: Log, body: object) -> None:
    with day.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE records SET body = ? WHERE session_id = 'k-1'", (body,))
    summary, history = day.show("k-1")
    assert (summary.session_id, len(history)) == ("k-1", 5)
    assert "k-1" in day.found()


# What a restart asks.


def test_sessions_that_never_ended_are_open_with_their_last_counters(log: Log) -> None:
    log.at(1, Draft("node.started"), ALICES_CONNECTION, CALL, VISIT)
    log.at(2, counted("call.counters", 100))
    log.at(3, counted("call.counters", 150))
    with log.engine.connect() as connection:
        connection_, call, visit = open_sessions(connection)
    assert connection_ == OpenSession("c-1", "connection", "")
    assert (call.session_id, call.kind, json.loads(call.last_counters)["bytes"]["a_to_b"]) == (
        "k-1",
        "call",
        150,
    )
    assert visit == OpenSession(GUEST, "visit", "")


def test_ended_sessions_are_not_open(day: Log) -> None:
    with day.engine.connect() as connection:
        assert [session.session_id for session in open_sessions(connection)] == ["c-1"]


def test_a_visit_that_was_refused_is_not_open(log: Log) -> None:
    log.at(1, VISIT, Draft("visit.refused", GUEST, {"guest": GUEST, "host": ALICE, "reason": "host"}))
    with log.engine.connect() as connection:
        assert open_sessions(connection) == []


def test_what_the_last_start_settled_is_not_open_but_a_visit_outlives_it(log: Log) -> None:
    log.at(1, ALICES_CONNECTION, VISIT)
    log.at(2, Draft("node.started"), Draft("connection.lost", "c-1", {"reason": "edge_restarted"}))
    with log.engine.connect() as connection:
        assert [session.session_id for session in open_sessions(connection)] == [GUEST]


def test_counters_survive_only_as_far_as_they_can_be_read(log: Log) -> None:
    log.at(1, CALL, counted("call.counters", 100))
    with log.engine.begin() as connection:
        connection.execute(update(records).where(records.c.type == "call.counters").values(body=b"broken"))
        assert open_sessions(connection) == [OpenSession("k-1", "call", "{}")]

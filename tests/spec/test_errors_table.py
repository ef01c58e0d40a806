"""The one table of errors: every row whole, unique, and used."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from broker.core import errors
from broker.core.answers import denial, error
from broker.core.client_frames import ChatSend
from broker.core.errors import TABLE, ErrorRow
from broker.core.frame_codec import encode, parse_edge_frame
from broker.core.sdp import SdpCode
from broker.policy.decision import Code
from config.policy.action import Action
from tests.spec.playbook import Playbook, deny_everything

ROOT = Path(__file__).resolve().parents[2]
ROWS = [value for value in vars(errors).values() if isinstance(value, ErrorRow)]
BY_CODE = {code.value for code in SdpCode}
"""Rows that are found by the code of an exception rather than by their name."""


def test_every_row_is_in_the_table_under_its_own_code() -> None:
    assert list(TABLE.values()) == ROWS
    assert all(TABLE[row.code] is row and getattr(errors, row.code) is row for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_a_row_is_whole(row: ErrorRow) -> None:
    assert re.fullmatch(r"[A-Z][A-Z_]+", row.code)
    assert re.fullmatch(r"[a-zA-Z][^<>{}%]*\.", row.sentence)
    assert 400 <= HTTPStatus(row.http_status) < 600
    assert (row.http_status >= 500) == (row.blame is errors.Blame.OURS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_a_row_survives_the_wire(row: ErrorRow) -> None:
    frame = error(row, ref="1", call_id="c-1")
    assert parse_edge_frame(encode(frame)) == frame


def test_every_row_is_used_somewhere() -> None:
    source = "".join(p.read_text() for p in (ROOT / "broker").rglob("*.py") if p.name != "errors.py")
    unused = [row.code for row in ROWS if not re.search(rf"\b{row.code}\b", source)]
    assert unused == []


def test_every_code_of_a_refused_description_has_a_row() -> None:
    assert TABLE.keys() >= BY_CODE


def test_no_code_of_policy_is_a_code_of_the_table() -> None:
    assert {code.value for code in Code}.isdisjoint(TABLE)


def test_a_denial_carries_the_decisions_own_code_and_sentence_and_nothing_of_the_rules() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    play.decide_by = deny_everything
    outcome = play >> ada.says(ChatSend(ref="1", to=bob.party, text="x"))
    (effect,) = outcome.effects
    told = effect.frame
    assert told.code == Code.DENIED
    assert "everything" not in encode(told)
    assert parse_edge_frame(encode(told)) == told


def test_an_outsider_is_not_told_which_kind_of_denial_it_is() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    subject = play.house.connections[guest.connection_id].subject
    refused = play.house.gate.ask(Action.GUEST_INVITE, subject, None, play.now)
    assert refused.code is Code.WRONG_PARTIES
    assert denial(refused, ada.principal).code == Code.WRONG_PARTIES
    assert denial(refused, guest.principal).code == Code.DENIED

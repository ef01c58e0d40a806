"""`turngate ports` is the truth: what a firewall must allow is what listens, no more and no less."""

from __future__ import annotations

import pytest

from tests.acceptance.dmz import (
    ADMIN_PORT,
    EDGE_ADMIN,
    EDGE_INSIDE,
    EDGE_OUTSIDE,
    EDGE_THIRD,
    HTTPS_PORT,
    RELAY_PORT,
    Evidence,
    Listening,
    targets,
)

# Whoever comes first also plays the session.
pytestmark = pytest.mark.timeout(120)


def test_the_documented_ports_are_those_of_three_listeners_and_one_relay_port(evidence: Evidence) -> None:
    assert evidence.documented == {
        Listening("tcp", EDGE_INSIDE, HTTPS_PORT),
        Listening("tcp", EDGE_OUTSIDE, HTTPS_PORT),
        Listening("tcp", EDGE_ADMIN, ADMIN_PORT),
        Listening("udp", EDGE_INSIDE, RELAY_PORT),
        Listening("udp", EDGE_OUTSIDE, RELAY_PORT),
    }


def test_the_sockets_of_a_served_edge_are_exactly_the_documented_ones(evidence: Evidence) -> None:
    assert evidence.listening_before == evidence.documented


def test_a_call_opens_no_further_socket(evidence: Evidence) -> None:
    assert evidence.listening_during == evidence.documented


def test_every_socket_belongs_to_the_one_process_of_the_edge(evidence: Evidence) -> None:
    assert evidence.edge.process is not None
    assert evidence.listening_pids == {evidence.edge.process.pid}


def test_a_firewall_that_allows_the_documented_ports_and_nothing_else_lets_a_call_through(
    evidence: Evidence,
) -> None:
    # The session was held behind that firewall, which answers nothing where "refused" came without it.
    silent = dict.fromkeys(targets(EDGE_THIRD), "silent")
    assert silent.items() <= evidence.reached["third"].items()
    assert evidence.insider.call["selected_pair"] == "relay/relay"
    assert evidence.insider.call["audio_packets_received"] > 0

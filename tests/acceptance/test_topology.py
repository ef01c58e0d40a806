"""Law 1 and law 2 as packets: what a workstation, a guest and their wires see of a session across the DMZ."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

import pytest

from tests.acceptance.capture import TCP, UDP, Capture
from tests.acceptance.dmz import (
    CALL_SECONDS,
    EDGE_INSIDE,
    EDGE_OUTSIDE,
    EDGE_THIRD,
    GUEST,
    HTTPS_PORT,
    RELAY_PORT,
    WORKSTATION,
    Evidence,
    targets,
)
from tests.acceptance.stun_traffic import spellings, stun_messages, told_addresses

# Whoever comes first also plays the session.
pytestmark = pytest.mark.timeout(120)

NEIGHBOUR_DISCOVERY = {"arp", *(f"icmpv6 {kind}" for kind in (131, 132, 133, 134, 135, 136, 143))}
"""How machines on one wire find each other: address resolution and multicast listener reports."""
VIRTUAL = ip_network("198.18.0.0/15")
AUDIO_PACKETS_PER_SECOND = 50

BOTH_SIDES = pytest.mark.parametrize("side", ["workstation", "guest"])


def wire(evidence: Evidence, side: str) -> tuple[Capture, str, str]:
    """The side's capture, its own address, and the edge's address on its side."""
    if side == "workstation":
        return evidence.at_workstation, WORKSTATION, EDGE_INSIDE
    return evidence.at_guest, GUEST, EDGE_OUTSIDE


def messages_on(capture: Capture) -> Iterable[bytes]:
    for packet in capture.packets:
        if packet.protocol == UDP:
            yield from stun_messages(packet.payload)


def test_insider_and_guest_chat_and_hold_a_call_of_which_every_packet_is_relayed(evidence: Evidence) -> None:
    assert (evidence.insider.heard, evidence.guest.heard) == ("Hello from outside.", "Good morning!")
    for account in (evidence.insider, evidence.guest):
        call = account.call
        assert call["selected_pair"] == "relay/relay"
        assert call["seconds"] >= CALL_SECONDS
        # Most of what five seconds hold: a busy machine may start late.
        assert call["audio_packets_received"] > CALL_SECONDS * AUDIO_PACKETS_PER_SECOND / 2
        assert call["video_frames_received"] > 0
    assert evidence.guest.call["end_reason"] == "hung_up"


def test_no_media_packet_is_lost_on_the_way(evidence: Evidence) -> None:
    nothing = {"audio": 0, "video": 0}
    assert evidence.insider.call["packets_lost"] == nothing
    assert evidence.guest.call["packets_lost"] == nothing


@BOTH_SIDES
def test_a_side_exchanges_packets_with_its_own_side_of_the_edge_and_nobody_else(
    evidence: Evidence, side: str
) -> None:
    capture, own, edge = wire(evidence, side)
    assert capture.counterparts(own) == {edge}
    assert capture.others <= NEIGHBOUR_DISCOVERY


@BOTH_SIDES
def test_every_flow_was_opened_from_the_sides_own_end(evidence: Evidence, side: str) -> None:
    capture, own, edge = wire(evidence, side)
    assert {packet.protocol for packet in capture.packets} == {TCP, UDP}
    for protocol, port in ((TCP, HTTPS_PORT), (UDP, RELAY_PORT)):
        opened = capture.first_packets(protocol).values()
        assert {packet.source.address for packet in opened} == {own}
        assert {packet.destination for packet in opened} == {(edge, port)}
    assert {packet.source.address for packet in capture.packets if packet.opens} == {own}


@BOTH_SIDES
def test_media_crosses_a_sides_wire_in_both_directions_within_one_udp_flow(
    evidence: Evidence, side: str
) -> None:
    capture, own, _ = wire(evidence, side)
    channel_data = [p for p in capture.packets if p.protocol == UDP and 0x40 <= p.payload[0] <= 0x4F]
    sent = sum(packet.source.address == own for packet in channel_data)
    assert min(sent, len(channel_data) - sent) > CALL_SECONDS * AUDIO_PACKETS_PER_SECOND / 2
    assert len({frozenset((packet.source, packet.destination)) for packet in channel_data}) == 1


@BOTH_SIDES
def test_stun_tells_a_side_its_own_address_and_virtual_ones_only(evidence: Evidence, side: str) -> None:
    capture, own, _ = wire(evidence, side)
    told = {fact for message in messages_on(capture) for fact in told_addresses(message)}
    real = {fact for fact in told if ip_address(fact[1]) not in VIRTUAL}
    assert real == {("mapped", own)}
    assert {"relayed", "peer"} <= {about for about, _ in told}


@BOTH_SIDES
def test_no_payload_holds_the_other_sides_address_in_any_spelling(evidence: Evidence, side: str) -> None:
    capture, own, _ = wire(evidence, side)
    others = (GUEST, EDGE_OUTSIDE) if side == "workstation" else (WORKSTATION, EDGE_INSIDE)
    messages = list(messages_on(capture))
    # The search finds what is there: the side's own address, which the relay's answers tell it.
    assert [message for message in messages for one in spellings(own) if one in message]
    for address in others:
        # As text it would be seen anywhere; four bytes mean something in a STUN message, and are chance in
        # ciphertext.
        assert not [packet for packet in capture.packets if address.encode() in packet.payload]
        assert not [message for message in messages for one in spellings(address) if one in message]


def test_no_frame_tells_a_participant_an_address_of_the_other_side(evidence: Evidence) -> None:
    # Both gave their address away in descriptions and candidates; what is passed on is the edge's doing.
    assert evidence.insider.gave_away
    assert evidence.guest.gave_away
    to_insider, to_guest = "".join(evidence.insider.frames), "".join(evidence.guest.frames)
    # Each is told of the relay on its own side, so these are the frames that could tell too much.
    assert f"turn:{EDGE_INSIDE}:" in to_insider
    assert f"turn:{EDGE_OUTSIDE}:" in to_guest
    assert "candidate:" in to_insider
    assert "candidate:" in to_guest
    assert GUEST not in to_insider
    assert "192.0.2." not in to_guest
    # The one place: the link that the insider hands on.
    assert to_insider.count(EDGE_OUTSIDE) == to_insider.count(f"https://{EDGE_OUTSIDE}")


def test_the_record_has_the_addresses_that_the_parties_were_not_told_and_is_sound(evidence: Evidence) -> None:
    listed = evidence.edge.audit("list", "--address", GUEST)
    assert GUEST in listed.stdout
    verified = evidence.edge.audit("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_guests_machine_reaches_the_outside_listener_and_nothing_else(evidence: Evidence) -> None:
    served = {f"tcp:{EDGE_OUTSIDE}:{HTTPS_PORT}", f"udp:{EDGE_OUTSIDE}:{RELAY_PORT}"}
    assert answering(evidence, "outside") == served


def test_a_workstation_reaches_the_inside_listener_and_nothing_else(evidence: Evidence) -> None:
    # The workstation itself is among the targets: nothing listens there.
    served = {f"tcp:{EDGE_INSIDE}:{HTTPS_PORT}", f"udp:{EDGE_INSIDE}:{RELAY_PORT}"}
    assert answering(evidence, "inside") == served


def test_the_edge_answers_nothing_on_a_network_it_does_not_serve(evidence: Evidence) -> None:
    assert answering(evidence, "third") == set()
    # Nor is it the firewall alone: the machine is there and says that nothing listens.
    assert evidence.reached["third, no firewall"] == dict.fromkeys(targets(EDGE_THIRD), "refused")


def test_the_edge_routes_nothing_between_its_networks(evidence: Evidence) -> None:
    assert not evidence.edge_forwards


def answering(evidence: Evidence, room: str) -> set[str]:
    return {target for target, did in evidence.reached[room].items() if did == "answered"}

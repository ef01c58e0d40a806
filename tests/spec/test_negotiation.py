"""Negotiation: descriptions and candidates inside an accepted call, rebuilt on their way."""

from __future__ import annotations

from typing import Any

import pytest

from auth.personal import Personal
from broker.core.client_frames import CallAnswer, CallCandidate, CallHangUp, CallOffer
from broker.core.commands import AllowPayloadTypes
from broker.core.errors import CALL_STATE, NEGOTIATION_BUSY, UNKNOWN_CALL
from broker.core.events import MediaAllocated, MediaReleased, MediaWithdrawn
from broker.core.frames import ForwardedAnswer, ForwardedCandidate, ForwardedOffer
from broker.core.negotiation import MAX_REFUSED_DESCRIPTIONS
from tests.spec.outcome import Expected, effect
from tests.spec.playbook import Client, Playbook

FINGERPRINT = ":".join(["AB"] * 32)
ADA_RELAYED, BOB_RELAYED, EVE_RELAYED = ("198.18.0.1", 50001), ("198.18.0.1", 50002), ("198.18.0.2", 50003)


def sdp(setup: str = "actpass", media: str = "audio", payload_type: int = 111, extra: str = "") -> str:
    codec = "opus/48000/2" if media == "audio" else "VP8/90000"
    return (
        "v=0\r\no=- 1 1 IN IP4 10.7.0.9\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
        f"m={media} 9 UDP/TLS/RTP/SAVPF {payload_type}\r\nc=IN IP4 10.7.0.9\r\n"
        "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
        f"a=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:{setup}\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n"
        f"a=rtpmap:{payload_type} {codec}\r\n{extra}"
    )


def screen(
    setup: str = "actpass", direction: str = "sendonly", payload_type: int = 96, mid: str = "s"
) -> str:
    """One more section, to be put behind others: a screen."""
    return (
        f"m=video 9 UDP/TLS/RTP/SAVPF {payload_type}\r\nc=IN IP4 10.7.0.9\r\n"
        "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
        f"a=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:{setup}\r\na=mid:{mid}\r\na={direction}\r\n"
        f"a=rtcp-mux\r\na=rtpmap:{payload_type} VP8/90000\r\n"
    )


def candidate(address: tuple[str, int], kind: str = "relay") -> str:
    related = " raddr 10.7.0.9 rport 6000" if kind != "host" else ""
    return f"candidate:1 1 udp 41885439 {address[0]} {address[1]} typ {kind}{related}"


class Talk:
    """Ada has called Bob, who answered; each has a relayed address."""

    def __init__(self) -> None:
        self.play = Playbook()
        self.ada, self.bob, self.eve = (self.play.person(name) for name in ("ada", "bob", "eve"))
        self.call_id = self.play.talking(self.ada, self.bob)
        for client, address in ((self.ada, ADA_RELAYED), (self.bob, BOB_RELAYED)):
            self.play >> MediaAllocated(self.call_id, client.party, Personal("10.7.0.9:6000"), address, "udp")

    def offer(self, sender: Client, text: str | None = None) -> Any:
        frame = CallOffer(call_id=self.call_id, sdp=sdp() if text is None else text)
        return self.play >> sender.says(frame)

    def answer(self, sender: Client, text: str | None = None) -> Any:
        frame = CallAnswer(call_id=self.call_id, sdp=sdp("active") if text is None else text)
        return self.play >> sender.says(frame)

    def candidate(self, sender: Client, text: str) -> Any:
        return self.play >> sender.says(CallCandidate(call_id=self.call_id, candidate=text, mid="0"))


def allowed(talk: Talk, client: Client, payload_types: set[int]) -> Expected:
    """What this party may send from now on."""
    return effect(
        AllowPayloadTypes, session_id=talk.call_id, party=client.party, payload_types=frozenset(payload_types)
    )


@pytest.mark.parametrize(
    ("offered", "answered", "by_ada", "by_bob"),
    [
        ("sendrecv", "sendrecv", {111}, {111}),
        ("sendrecv", "recvonly", {111}, set()),
        ("sendrecv", "sendonly", set(), {111}),
        ("sendonly", "recvonly", {111}, set()),
        ("recvonly", "sendonly", set(), {111}),
        ("sendonly", "sendonly", set(), set()),
        ("sendrecv", "inactive", set(), set()),
    ],
)
def test_each_side_may_send_what_it_negotiated_to_send(
    offered: str, answered: str, by_ada: set[int], by_bob: set[int]
) -> None:
    talk = Talk()
    talk.offer(talk.ada, sdp().replace("a=sendrecv", f"a={offered}"))
    outcome = talk.answer(talk.bob, sdp("active").replace("a=sendrecv", f"a={answered}"))
    assert (
        outcome
        << allowed(talk, talk.ada, by_ada)
        << allowed(talk, talk.bob, by_bob)
        << talk.ada.told(ForwardedAnswer)
    )


def test_offer_and_answer_cross_rebuilt_and_name_what_the_relay_may_carry() -> None:
    talk = Talk()
    offered = talk.offer(talk.ada, sdp(extra="a=unheard:of\r\n"))
    assert offered << talk.bob.told(ForwardedOffer, call_id=talk.call_id)
    text = offered.frame(ForwardedOffer).sdp
    assert "10.7.0.9" not in text
    assert "unheard" not in text
    answered = talk.answer(talk.bob)
    assert (
        answered
        << allowed(talk, talk.ada, {111})
        << allowed(talk, talk.bob, {111})
        << talk.ada.told(ForwardedAnswer, call_id=talk.call_id)
    )


def test_nothing_is_negotiated_before_the_call_is_accepted() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    call_id = play.ringing(ada, bob)
    for client in (ada, bob):
        for frame in (
            CallOffer(call_id=call_id, sdp=sdp()),
            CallAnswer(call_id=call_id, sdp=sdp("active")),
            CallCandidate(call_id=call_id, candidate="", mid="0"),
        ):
            assert play >> client.says(frame) << client.refused(CALL_STATE, call_id=call_id)


def test_an_answer_without_an_offer_is_refused() -> None:
    talk = Talk()
    assert talk.answer(talk.bob) << talk.bob.refused(CALL_STATE, call_id=talk.call_id)
    talk.offer(talk.ada)
    assert talk.answer(talk.ada) << talk.ada.refused(CALL_STATE, call_id=talk.call_id)
    assert talk.answer(talk.bob).effects
    assert talk.answer(talk.bob) << talk.bob.refused(CALL_STATE, call_id=talk.call_id)


def test_one_offer_is_in_flight_at_a_time_whoever_made_it() -> None:
    talk = Talk()
    talk.offer(talk.ada)
    assert talk.offer(talk.ada) << talk.ada.refused(NEGOTIATION_BUSY, call_id=talk.call_id)
    assert talk.offer(talk.bob) << talk.bob.refused(NEGOTIATION_BUSY, call_id=talk.call_id)
    talk.answer(talk.bob)
    assert talk.offer(talk.bob) << talk.ada.told(ForwardedOffer)
    assert talk.answer(talk.ada).frame(ForwardedAnswer)


def test_an_offer_that_is_refused_is_not_in_flight() -> None:
    talk = Talk()
    assert talk.offer(talk.ada, "nonsense") << talk.ada.refused("SDP_MALFORMED", call_id=talk.call_id)
    assert talk.offer(talk.ada) << talk.bob.told(ForwardedOffer)


def test_an_answer_that_is_refused_may_be_given_again() -> None:
    talk = Talk()
    talk.offer(talk.ada)
    assert talk.answer(talk.bob, "nonsense") << talk.bob.refused("SDP_MALFORMED")
    assert talk.answer(talk.bob).frame(ForwardedAnswer)


def test_a_medium_that_was_not_granted_is_refused_on_record() -> None:
    talk = Talk()
    refused = talk.offer(talk.ada, sdp(media="video", payload_type=96))
    assert refused << talk.ada.refused("SDP_MEDIA_NOT_ALLOWED", call_id=talk.call_id)
    record = refused.record("call.signal_refused")
    assert record.session_id == talk.call_id
    assert record.fields["grant"] == talk.call_id


@pytest.mark.parametrize("kind", [CallOffer, CallAnswer])
def test_strangers_and_other_connections_negotiate_nothing(kind: Any) -> None:
    talk = Talk()
    spare = talk.play.joined(talk.ada.principal)
    frame = kind(call_id=talk.call_id, sdp=sdp())
    assert talk.play >> talk.eve.says(frame) << talk.eve.refused(UNKNOWN_CALL, call_id=talk.call_id)
    assert talk.play >> spare.says(frame) << spare.refused(CALL_STATE, call_id=talk.call_id)


def test_ones_own_relayed_candidate_passes_without_what_lies_behind_it() -> None:
    talk = Talk()
    passed = talk.candidate(talk.ada, candidate(ADA_RELAYED))
    assert passed << talk.bob.told(ForwardedCandidate, mid="0")
    text = passed.frame(ForwardedCandidate).candidate
    assert "198.18.0.1 50001" in text
    assert "10.7." not in text


def test_the_end_of_candidates_passes() -> None:
    talk = Talk()
    assert talk.candidate(talk.bob, "") << talk.ada.told(ForwardedCandidate, candidate="")


@pytest.mark.parametrize(
    "text",
    [
        candidate(("10.7.0.9", 5000), "host"),
        candidate(("203.0.113.9", 5000), "srflx"),
        candidate(("198.18.0.1", 1), "relay"),
        "candidate:1 1 udp 1 4f2b.local 5000 typ host",
        "nonsense",
    ],
)
def test_any_other_candidate_is_dropped_in_silence_and_counted(text: str) -> None:
    talk = Talk()
    assert talk.candidate(talk.ada, text).commands == []
    assert talk.play.house.calls[talk.call_id].removed_candidates == 1
    talk.play >> talk.ada.says(CallHangUp(call_id=talk.call_id))
    closed = talk.play >> MediaWithdrawn(talk.call_id, None)
    assert closed.record("call.closed").fields["removed_candidates"] == 1


def test_candidates_removed_from_a_description_are_counted_too() -> None:
    talk = Talk()
    talk.offer(talk.ada, sdp(extra=f"a={candidate(('10.7.0.9', 5000), 'host')}\r\n"))
    assert talk.play.house.calls[talk.call_id].removed_candidates == 1


@pytest.mark.parametrize("address", [BOB_RELAYED, EVE_RELAYED])
def test_naming_somebody_elses_relayed_address_is_refused_on_record(address: tuple[str, int]) -> None:
    talk = Talk()
    other = talk.play.person("dan")
    second = talk.play.talking(talk.eve, other)
    talk.play >> MediaAllocated(second, talk.eve.party, Personal("x"), EVE_RELAYED, "udp")
    refused = talk.candidate(talk.ada, candidate(address))
    assert refused << talk.ada.refused("SDP_FOREIGN_CANDIDATE", call_id=talk.call_id)
    assert refused.record("call.signal_refused").fields["sender"] == talk.ada.party
    in_sdp = talk.offer(talk.ada, sdp(extra=f"a={candidate(address)}\r\n"))
    assert in_sdp << talk.ada.refused("SDP_FOREIGN_CANDIDATE", call_id=talk.call_id)


def test_refusals_without_end_are_counted_and_only_the_first_are_recorded() -> None:
    talk = Talk()
    for _ in range(MAX_REFUSED_DESCRIPTIONS // 2):
        assert talk.offer(talk.ada, "nonsense").record("call.signal_refused")
        assert talk.candidate(talk.bob, candidate(ADA_RELAYED)).record("call.signal_refused")
    for refused in (talk.offer(talk.ada, "nonsense"), talk.candidate(talk.ada, candidate(BOB_RELAYED))):
        assert refused << talk.ada.refused("RATE_LIMITED", call_id=talk.call_id)
        assert refused.records == []
    assert talk.offer(talk.ada) << talk.bob.told(ForwardedOffer)
    talk.play >> talk.ada.says(CallHangUp(call_id=talk.call_id))
    closed = talk.play >> MediaWithdrawn(talk.call_id, None)
    assert closed.record("call.closed").fields["refused_signals"] == MAX_REFUSED_DESCRIPTIONS + 2


def test_refusals_in_one_call_are_not_held_against_the_next() -> None:
    talk = Talk()
    for _ in range(MAX_REFUSED_DESCRIPTIONS + 1):
        talk.offer(talk.ada, "nonsense")
    talk.play >> talk.ada.says(CallHangUp(call_id=talk.call_id))
    talk.call_id = talk.play.talking(talk.ada, talk.bob)
    assert talk.offer(talk.ada, "nonsense").record("call.signal_refused")


def test_an_address_that_was_given_back_is_no_candidate_any_more() -> None:
    talk = Talk()
    talk.play >> MediaReleased(talk.call_id, talk.ada.party, ADA_RELAYED, "refresh_0")
    assert talk.candidate(talk.ada, candidate(ADA_RELAYED)).commands == []


def test_nothing_passes_after_the_grants_time_even_before_the_deadline_was_looked_at() -> None:
    talk = Talk()
    talk.play.wait(talk.play.house.rules.max_call_seconds)
    assert talk.offer(talk.ada) << talk.ada.refused(CALL_STATE)
    assert talk.candidate(talk.ada, "") << talk.ada.refused(CALL_STATE)


def test_nothing_passes_after_the_call_ended() -> None:
    talk = Talk()
    talk.offer(talk.ada)
    talk.play >> talk.bob.says(CallHangUp(call_id=talk.call_id))
    assert talk.answer(talk.bob) << talk.bob.refused(UNKNOWN_CALL, call_id=talk.call_id)
    assert talk.candidate(talk.ada, "") << talk.ada.refused(UNKNOWN_CALL)

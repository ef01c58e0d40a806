"""Sharing and negotiation: the screen is one more video section, and only the sharer may send in it."""

from __future__ import annotations

import pytest

from broker.core.client_frames import CallAnswer
from broker.core.commands import AllowPayloadTypes
from broker.core.frames import ForwardedAnswer, ForwardedOffer
from tests.spec.outcome import Outcome
from tests.spec.test_negotiation import screen, sdp
from tests.spec.test_sharing import Talk

AUDIO_TYPE, VIDEO_TYPE = 111, 96
NOTHING: frozenset[int] = frozenset()
AUDIO = frozenset({AUDIO_TYPE})
BOTH = frozenset({AUDIO_TYPE, VIDEO_TYPE})


def sendable(outcome: Outcome) -> dict[str, frozenset[int]]:
    """What each party may send from now on."""
    allowed = [each for each in outcome.effects if isinstance(each, AllowPayloadTypes)]
    return {each.party: each.payload_types for each in allowed}


def direction_of_screen(text: str) -> str:
    (line,) = [
        line
        for line in text.split("m=video")[-1].split("\r\n")
        if line in ("a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive")
    ]
    return line.removeprefix("a=")


@pytest.mark.parametrize("by_caller", [True, False])
def test_only_the_sharer_may_send_video_in_an_audio_call(by_caller: bool) -> None:
    talk = Talk()
    sharer, viewer = (talk.ada, talk.bob) if by_caller else (talk.bob, talk.ada)
    talk.share(sharer)
    assert talk.offer(sharer) << viewer.told(ForwardedOffer)
    answered = talk.answer(viewer)
    assert sendable(answered) == {sharer.party: BOTH, viewer.party: AUDIO}
    assert (
        talk.unshare(sharer) << talk.stopped(sharer, frozenset({VIDEO_TYPE})) << talk.over(sharer, "stopped")
    )


@pytest.mark.parametrize("said", ["sendrecv", "sendonly", "recvonly", "inactive"])
def test_the_direction_of_a_screen_is_the_edges_to_say(said: str) -> None:
    talk = Talk()
    talk.share(talk.ada)
    forwarded = talk.offer(talk.ada, said).frame(ForwardedOffer).sdp
    sends = said in ("sendrecv", "sendonly")
    assert direction_of_screen(forwarded) == ("sendonly" if sends else "inactive")
    answered = talk.answer(talk.bob, "sendrecv")
    assert direction_of_screen(answered.frame(ForwardedAnswer).sdp) == "recvonly"
    assert sendable(answered) == {talk.ada.party: BOTH if sends else AUDIO, talk.bob.party: AUDIO}


@pytest.mark.parametrize("said", ["sendrecv", "sendonly"])
def test_who_only_sees_the_screen_sends_none_in_its_own_offer_either(said: str) -> None:
    talk = Talk()
    talk.share(talk.ada)
    forwarded = talk.offer(talk.bob, said).frame(ForwardedOffer).sdp
    assert direction_of_screen(forwarded) == ("recvonly" if said == "sendrecv" else "inactive")
    assert sendable(talk.answer(talk.ada, "sendrecv"))[talk.bob.party] == AUDIO


def test_without_a_share_there_is_no_section_for_one() -> None:
    talk = Talk()
    for client in (talk.ada, talk.bob):
        assert talk.offer(client) << client.refused("SDP_MEDIA_NOT_ALLOWED", call_id=talk.call_id)
    talk.offer(talk.ada, None)
    assert talk.answer(talk.bob) << talk.bob.refused("SDP_MEDIA_NOT_ALLOWED", call_id=talk.call_id)


def test_after_a_share_its_section_stays_and_is_inactive() -> None:
    talk = Talk()
    talk.share(talk.ada)
    talk.offer(talk.ada)
    talk.answer(talk.bob)
    talk.unshare(talk.ada)
    for offerer, answerer in ((talk.ada, talk.bob), (talk.bob, talk.ada)):
        offered = talk.offer(offerer, "sendrecv")
        assert direction_of_screen(offered.frame(ForwardedOffer).sdp) == "inactive"
        answered = talk.answer(answerer, "sendrecv")
        assert direction_of_screen(answered.frame(ForwardedAnswer).sdp) == "inactive"
        assert set(sendable(answered).values()) == {AUDIO}


def test_a_share_that_ends_before_it_is_answered_carries_nothing() -> None:
    talk = Talk()
    talk.share(talk.ada)
    talk.offer(talk.ada)
    assert talk.unshare(talk.ada) << talk.over(talk.ada, "stopped")
    answered = talk.answer(talk.bob)
    assert direction_of_screen(answered.frame(ForwardedAnswer).sdp) == "inactive"
    assert sendable(answered) == {talk.ada.party: AUDIO, talk.bob.party: AUDIO}


def test_what_was_offered_for_one_share_serves_no_other() -> None:
    talk = Talk()
    talk.share(talk.ada)
    talk.offer(talk.ada)
    talk.unshare(talk.ada)
    talk.share(talk.bob)
    for said in ("recvonly", "sendonly", "sendrecv"):
        answered = talk.answer(talk.bob, said)
        assert sendable(answered) == {talk.ada.party: AUDIO, talk.bob.party: AUDIO}
        talk.offer(talk.bob, "inactive")
        talk.answer(talk.ada, "inactive")
        talk.offer(talk.ada, "sendonly")


def test_the_other_side_may_share_next_in_the_same_section() -> None:
    talk = Talk()
    talk.share(talk.ada)
    talk.offer(talk.ada)
    talk.answer(talk.bob)
    talk.unshare(talk.ada)
    talk.share(talk.bob)
    talk.offer(talk.bob)
    assert sendable(talk.answer(talk.ada)) == {talk.ada.party: AUDIO, talk.bob.party: BOTH}


def test_what_the_camera_sends_goes_on_when_the_screen_ends() -> None:
    talk = Talk(media=("audio", "video"))
    talk.share(talk.ada)
    talk.offer(talk.ada)
    assert sendable(talk.answer(talk.bob)) == {talk.ada.party: BOTH, talk.bob.party: BOTH}
    assert talk.unshare(talk.ada) << talk.over(talk.ada, "stopped")


def test_the_end_of_a_share_overtakes_what_was_negotiated_for_it() -> None:
    talk = Talk()
    share_id = talk.share(talk.ada).openings[0].scope
    talk.offer(talk.ada)
    allow, forward = talk.answer(talk.bob).commands
    assert (allow.scope, allow.within) == (talk.call_id, (share_id,))
    assert (forward.scope, forward.within) == (talk.call_id, ())


def test_sections_that_do_not_match_the_offer_carry_nothing() -> None:
    talk = Talk()
    talk.share(talk.ada)
    talk.offer(talk.ada)
    swapped = sdp("active").partition("m=")[0] + screen("active", "recvonly", mid="0")
    crossed = talk.play >> talk.bob.says(CallAnswer(call_id=talk.call_id, sdp=swapped))
    assert sendable(crossed) == {talk.ada.party: NOTHING, talk.bob.party: NOTHING}

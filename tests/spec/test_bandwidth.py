"""Bandwidth: limits are shared among the calls there are, and a call that has no room is refused."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core.bandwidth import ASK, FLOOR, shares
from broker.core.client_frames import CallAccept, CallHangUp, CallInvite, CallOffer, CallShare, CallUnshare
from broker.core.commands import ShareBandwidth
from broker.core.events import PolicyApplied, Started
from broker.core.frames import Error, ForwardedOffer, MediaLimit
from broker.core.review import CLOCK_SECONDS
from broker.policy.index import PolicyIndex
from config.policy.loading import load_policy
from tests.spec.outcome import Outcome
from tests.spec.playbook import Client, Playbook
from tests.spec.policies import OPEN_POLICY, SIGN_IN, rule
from tests.spec.test_negotiation import sdp

LAN = """
[[zones]]
id = "lan"
networks = ["10.7.0.0/16"]
"""


def limit(of: str, each_way: int | None = None, **more: Any) -> str:
    ways = {"from_inside_bits_per_second": each_way, "to_inside_bits_per_second": each_way} | more
    lines = "".join(
        f"{name} = {value!r}\n".replace("'", '"') for name, value in ways.items() if value is not None
    )
    name = more.get("zone", of)
    return f'\n[[bandwidth]]\nid = "{name}"\nof = "{of}"\n{lines}owner = "o"\nreason = "r"\n'


def under(*limits: str) -> str:
    return OPEN_POLICY + "".join(limits)


def house(*limits: str) -> Playbook:
    play = Playbook(under(*limits))
    play >> Started((), (), ())
    return play


def people(play: Playbook, count: int) -> list[Client]:
    return [play.person(f"p{number}") for number in range(count)]


def limits_told(outcome: Outcome) -> dict[str, MediaLimit]:
    return {
        effect.connection_id: effect.frame
        for effect in outcome.effects
        if isinstance(getattr(effect, "frame", None), MediaLimit)
    }


def sums(play: Playbook, way: int = 0) -> int:
    """What all callers (or, 1, all callees) may send together."""
    found = shares(play.house)
    parties = [(call.call_id, call.grant.parties[way]) for call in play.house.calls.values()]
    return sum(sum(found[party].values()) for party in parties)


def is_refused(outcome: Outcome) -> bool:
    return any(
        isinstance(frame, Error) and frame.code == "BANDWIDTH_EXCEEDED"
        for frame in (getattr(effect, "frame", None) for effect in outcome.effects)
    )


def invites(caller: Client, callee: Client, *media: Any) -> Any:
    return caller.says(CallInvite(ref="1", to=callee.party, media=list(media or ("audio",))))


def test_without_limits_nobody_is_told_any() -> None:
    play = Playbook()
    ada, bob = people(play, 2)
    play.talking(ada, bob)
    assert shares(play.house) == {}
    assert play.house.calls.popitem()[1].rates == {}


def test_a_call_is_told_what_it_may_send_when_it_is_answered_and_the_relay_holds_it_to_the_sum() -> None:
    play = house(limit("total", 1_000_000))
    ada, bob = people(play, 2)
    call_id = play.ringing(ada, bob, ("audio", "video"))
    answered = play >> bob.says(CallAccept(call_id=call_id))
    told = limits_told(answered)
    assert set(told) == {ada.connection_id, bob.connection_id}
    for frame in told.values():
        assert frame.audio_bits_per_second is not None
        assert frame.video_bits_per_second is not None
        assert FLOOR["audio"] <= frame.audio_bits_per_second <= ASK["audio"]
        total = frame.audio_bits_per_second + frame.video_bits_per_second
        # Each insider's sending is the other's receiving: two ways of two insiders share one total.
        assert 450_000 < total <= 500_000
    held = [effect for effect in answered.effects if isinstance(effect, ShareBandwidth)]
    assert dict(held[0].rates) == {
        client.party: sum(play.house.calls[call_id].rates[client.party].values()) for client in (ada, bob)
    }


def test_whatever_there_is_is_enough_for_who_asks_for_less() -> None:
    play = house(limit("total", 100_000_000))
    ada, bob = people(play, 2)
    play.talking(ada, bob, ("audio", "video"))
    wanted = {"audio": ASK["audio"], "video": ASK["video"]}
    assert all(rates == wanted for rates in shares(play.house).values())


@pytest.mark.parametrize("total", [200_000, 1_000_000, 3_000_000, 40_000_000])
def test_the_sum_of_what_is_shared_out_never_exceeds_a_limit(total: int) -> None:
    play = house(limit("total", total))
    everybody = people(play, 12)
    for caller, callee in zip(everybody[::2], everybody[1::2], strict=True):
        outcome = play >> invites(caller, callee, "audio", "video")
        if is_refused(outcome):
            continue
    found = shares(play.house)
    assert sum(sum(rates.values()) for rates in found.values()) <= total


def test_the_call_that_would_break_a_limit_is_refused_with_its_own_code_and_no_other_is_harmed() -> None:
    per_call = 2 * FLOOR["audio"]
    play = house(limit("total", 3 * per_call))
    everybody = people(play, 8)
    calls = [play.talking(everybody[n], everybody[n + 1]) for n in (0, 2, 4)]
    before = shares(play.house)
    refused = play >> invites(everybody[6], everybody[7])
    assert is_refused(refused)
    assert refused.record("call.refused").fields["code"] == "BANDWIDTH_EXCEEDED"
    assert set(play.house.calls) == set(calls)
    assert shares(play.house) == before
    assert not is_refused(play >> everybody[1].says(CallHangUp(call_id=calls[0])))
    assert not is_refused(play >> invites(everybody[6], everybody[7]))


def test_a_screen_that_has_no_room_is_refused_and_the_call_goes_on() -> None:
    play = house(limit("total", 2 * FLOOR["audio"] + FLOOR["screen"] - 1))
    ada, bob = people(play, 2)
    call_id = play.talking(ada, bob)
    assert is_refused(play >> ada.says(CallShare(call_id=call_id)))
    assert play.house.calls[call_id].share is None


def test_a_shared_screen_takes_its_part_and_gives_it_back() -> None:
    play = house(limit("total", 1_000_000))
    ada, bob = people(play, 2)
    call_id = play.talking(ada, bob, ("audio", "video"))
    video = play.house.calls[call_id].rates[ada.party]["video"]
    told = limits_told(play >> ada.says(CallShare(call_id=call_id)))
    assert told[ada.connection_id].screen_bits_per_second is not None
    assert told[bob.connection_id].screen_bits_per_second is None
    shared = told[ada.connection_id].video_bits_per_second
    assert shared is not None
    assert shared < video
    play >> ada.says(CallUnshare(call_id=call_id))
    after = limits_told(play.later(CLOCK_SECONDS))
    assert after[ada.connection_id].video_bits_per_second == video
    assert after[ada.connection_id].screen_bits_per_second is None


def test_a_limit_that_changes_reaches_live_calls_with_the_policy() -> None:
    play = house(limit("total", 2_000_000))
    ada, bob = people(play, 2)
    call_id = play.talking(ada, bob, ("audio", "video"))
    before = sum(play.house.calls[call_id].rates[ada.party].values())
    halved = PolicyIndex(load_policy(under(limit("total", 1_000_000)), "halved"))
    told = limits_told(play >> PolicyApplied(halved, "file"))
    frame = told[ada.connection_id]
    assert (frame.audio_bits_per_second or 0) + (frame.video_bits_per_second or 0) <= before / 2 + 1
    lifted = limits_told(play >> PolicyApplied(PolicyIndex(load_policy(OPEN_POLICY, "none")), "file"))
    assert lifted[ada.connection_id].video_bits_per_second is None


def test_a_call_that_ends_leaves_its_part_to_the_others_at_the_next_look() -> None:
    play = house(limit("total", 2_000_000))
    ada, bob, eve, fay = people(play, 4)
    first, second = play.talking(ada, bob, ("audio", "video")), play.talking(eve, fay, ("audio", "video"))
    play.later(CLOCK_SECONDS)
    shared = play.house.calls[second].rates[eve.party]["video"]
    play >> ada.says(CallHangUp(call_id=first))
    told = limits_told(play.later(CLOCK_SECONDS))
    assert (told[eve.connection_id].video_bits_per_second or 0) > 1.5 * shared


def test_limits_are_about_those_they_name() -> None:
    for text, limited in (
        (limit("zone", 500_000, zone="lan"), True),
        (limit("zone", 500_000, zone="lab"), False),
        (limit("user", 500_000), True),
        (limit("call", 500_000), True),
    ):
        lab = '[[zones]]\nid = "lab"\nnetworks = ["10.8.0.0/16"]\n'
        play = house(LAN, lab, text)
        ada, bob = people(play, 2)
        play.talking(ada, bob, ("audio", "video"))
        assert bool(shares(play.house)) is limited, text


def test_a_zone_and_its_limit_that_come_with_a_new_policy_reach_live_calls() -> None:
    play = house()
    ada, bob = people(play, 2)
    call_id = play.talking(ada, bob, ("audio", "video"))
    limited = under(LAN, limit("zone", 600_000, zone="lan"))
    play >> PolicyApplied(PolicyIndex(load_policy(limited, "limited")), "file")
    play.later(CLOCK_SECONDS)
    assert 0 < sum(play.house.calls[call_id].rates[ada.party].values()) <= 300_000


def test_each_user_and_each_call_has_the_limit_for_itself_and_a_zone_shares_it() -> None:
    for of, alone in (("user", True), ("call", True), ("total", False)):
        play = house(limit(of, 1_000_000))
        everybody = people(play, 4)
        play.talking(everybody[0], everybody[1], ("audio", "video"))
        one = sums(play)
        play.talking(everybody[2], everybody[3], ("audio", "video"))
        assert (sums(play) == 2 * one) is alone, of


def test_the_two_ways_of_a_guests_call_are_limited_apart() -> None:
    text = limit("total", from_inside_bits_per_second=2_000_000, to_inside_bits_per_second=200_000)
    play = house(text)
    host = play.person("ada")
    guest = play.admitted(host)
    call_id = play.talking(host, guest, ("audio", "video"))
    rates = play.house.calls[call_id].rates
    assert sum(rates[host.party].values()) > 1_500_000
    assert sum(rates[guest.party].values()) <= 200_000


def test_a_limit_of_one_medium_leaves_the_others_alone() -> None:
    play = house(limit("total", 400_000, media="video"))
    ada, bob = people(play, 2)
    call_id = play.talking(ada, bob, ("audio", "video"))
    rates = play.house.calls[call_id].rates[ada.party]
    assert set(rates) == {"video"}
    assert 180_000 < rates["video"] <= 200_000


def test_a_rules_own_rate_is_told_too_and_refuses_nobody() -> None:
    text = SIGN_IN + rule("talk", "call.audio call.video presence.see", limits="{ bits_per_second = 64000 }")
    play = Playbook(text)
    ada, bob = people(play, 2)
    call_id = play.ringing(ada, bob, ("audio", "video"))
    told = limits_told(play >> bob.says(CallAccept(call_id=call_id)))
    frame = told[ada.connection_id]
    assert (frame.audio_bits_per_second or 0) + (frame.video_bits_per_second or 0) <= 64_000


def test_a_description_says_what_its_reader_may_send() -> None:
    play = house(limit("total", 1_000_000))
    ada, bob = people(play, 2)
    call_id = play.talking(ada, bob)
    offered = play >> ada.says(CallOffer(call_id=call_id, sdp=sdp()))
    rate = play.house.calls[call_id].rates[bob.party]["audio"]
    assert f"b=TIAS:{rate}\r\n" in offered.frame(ForwardedOffer).sdp


def test_nobody_is_told_of_a_rate_that_hardly_grew() -> None:
    play = house(limit("total", 1_000_000))
    ada, bob = people(play, 2)
    play.talking(ada, bob, ("audio", "video"))
    more = PolicyIndex(load_policy(under(limit("total", 1_050_000)), "more"))
    assert limits_told(play >> PolicyApplied(more, "file")) == {}

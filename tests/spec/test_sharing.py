"""Sharing: one party of a call shows its screen; who may, who sees it, and every way it ends."""

from __future__ import annotations

from typing import Any

import pytest

from broker.core.client_frames import CallAnswer, CallHangUp, CallOffer, CallShare, CallUnshare
from broker.core.commands import AdmitMedia, ShareBandwidth, StopPayloadTypes, WithdrawMedia
from broker.core.errors import AUDIT_UNAVAILABLE, CALL_STATE, NOT_SHARING, SHARE_BUSY, UNKNOWN_CALL
from broker.core.events import CommitFailed, MediaWithdrawn
from broker.core.frame_fields import ShareEndReason
from broker.core.frames import CallEnded, CallShareEnded, CallSharing, Error, ForwardedOffer, MediaLimit
from broker.core.sharing import end_share
from broker.policy.decision import Code
from config.policy.action import Action
from tests.spec.outcome import Expected, Outcome, effect
from tests.spec.playbook import START_WALL_SECONDS, Client, Playbook
from tests.spec.policies import EVERYTHING, SIGN_IN, rule, without
from tests.spec.test_negotiation import screen, sdp


class Talk:
    """Ada has called Bob, who answered."""

    def __init__(self, policy: str | None = None, media: tuple[str, ...] = ("audio",)) -> None:
        self.play = Playbook() if policy is None else Playbook(policy)
        self.ada, self.bob = self.play.person("ada"), self.play.person("bob")
        self.media = media
        self.call_id = self.play.talking(self.ada, self.bob, media)

    def share(self, client: Client) -> Outcome:
        return self.play >> client.says(CallShare(call_id=self.call_id))

    def unshare(self, client: Client) -> Outcome:
        return self.play >> client.says(CallUnshare(call_id=self.call_id))

    def description(self, setup: str, direction: str | None) -> str:
        of_the_call = sdp(setup) + (screen(setup, "sendrecv", mid="v") if "video" in self.media else "")
        return of_the_call + (screen(setup, direction) if direction is not None else "")

    def offer(self, client: Client, direction: str | None = "sendonly") -> Any:
        text = self.description("actpass", direction)
        return self.play >> client.says(CallOffer(call_id=self.call_id, sdp=text))

    def answer(self, client: Client, direction: str | None = "recvonly") -> Any:
        text = self.description("active", direction)
        return self.play >> client.says(CallAnswer(call_id=self.call_id, sdp=text))

    def sharing(self, client: Client) -> list[Expected]:
        shown = {"call_id": self.call_id, "party": client.party}
        return [each.shown(CallSharing, **shown) for each in (self.ada, self.bob)]

    def over(self, client: Client, reason: ShareEndReason) -> list[Expected]:
        told = {"call_id": self.call_id, "party": client.party, "reason": reason}
        return [each.told(CallShareEnded, **told) for each in (self.ada, self.bob)]

    def stopped(self, client: Client, payload_types: frozenset[int]) -> Expected:
        return effect(
            StopPayloadTypes, session_id=self.call_id, party=client.party, payload_types=payload_types
        )


# --- who may ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_caller", [True, False])
def test_a_share_is_decided_and_recorded_before_both_sides_see_it(by_caller: bool) -> None:
    talk = Talk()
    sharer, viewer = (talk.ada, talk.bob) if by_caller else (talk.bob, talk.ada)
    shared = talk.share(sharer)
    assert shared << talk.sharing(sharer)
    record = shared.record("share.opened")
    assert (record.session_id, record.fields["party"]) == (talk.call_id, sharer.party)
    (opening,) = shared.openings
    assert talk.call_id in opening.within
    assert sharer.connection_id in opening.within
    (decision,) = opening.decisions
    assert (decision.inputs.action, decision.inputs.actor.party) == ("screen.share", sharer.party)
    assert decision.inputs.counterpart is not None
    assert decision.inputs.counterpart.party == viewer.party
    assert talk.play.house.calls[talk.call_id].sharing == sharer.party


def test_a_rule_may_allow_calls_but_not_sharing() -> None:
    talk = Talk(without(Action.SCREEN_SHARE))
    denied = talk.share(talk.ada)
    assert denied << talk.ada.refused(Code.DENIED, call_id=talk.call_id)
    assert denied.record("decision.denied").session_id == talk.call_id
    assert talk.play.house.calls[talk.call_id].sharing is None
    assert talk.offer(talk.ada) << talk.ada.refused("SDP_MEDIA_NOT_ALLOWED", call_id=talk.call_id)
    assert talk.offer(talk.ada, None) << talk.bob.told(ForwardedOffer)


@pytest.mark.parametrize(("direction", "host_may", "guest_may"), [("out", True, False), ("in", False, True)])
def test_a_rule_may_allow_sharing_in_one_direction_only(
    direction: str, host_may: bool, guest_may: bool
) -> None:
    rest = " ".join(action for action in EVERYTHING.split() if action != Action.SCREEN_SHARE)
    play = Playbook(SIGN_IN + rule("rest", rest) + rule("show", "screen.share", direction=f'"{direction}"'))
    host = play.person("ada")
    guest = play.admitted(host)
    call_id = play.talking(host, guest)
    for client, may in ((host, host_may), (guest, guest_may)):
        outcome = play >> client.says(CallShare(call_id=call_id))
        assert bool(outcome.openings) == may
        if may:
            play >> client.says(CallUnshare(call_id=call_id))
        else:
            assert outcome.frame(Error).code == Code.DEFAULT_DENY if client is host else Code.DENIED


def test_one_screen_is_shown_at_a_time() -> None:
    talk = Talk()
    talk.share(talk.ada)
    for client in (talk.ada, talk.bob):
        assert talk.share(client) << client.refused(SHARE_BUSY, call_id=talk.call_id, retryable=True)
    talk.unshare(talk.ada)
    assert talk.share(talk.bob) << talk.sharing(talk.bob)


def test_nothing_is_shared_before_the_call_is_accepted_nor_by_anybody_else() -> None:
    play = Playbook()
    ada, bob, eve = (play.person(name) for name in ("ada", "bob", "eve"))
    call_id = play.ringing(ada, bob)
    for frame in (CallShare(call_id=call_id), CallUnshare(call_id=call_id)):
        for client in (ada, bob):
            assert play >> client.says(frame) << client.refused(CALL_STATE, call_id=call_id)
        assert play >> eve.says(frame) << eve.refused(UNKNOWN_CALL, call_id=call_id)


def test_only_the_connection_that_carries_the_call_shares_in_it() -> None:
    talk = Talk()
    spare = talk.play.joined(talk.ada.principal)
    assert talk.share(spare) << spare.refused(CALL_STATE, call_id=talk.call_id)
    talk.share(talk.ada)
    assert talk.unshare(spare) << spare.refused(CALL_STATE, call_id=talk.call_id)
    assert talk.play.house.calls[talk.call_id].sharing == talk.ada.party


# --- how it ends --------------------------------------------------------------------------------------------


def test_the_sharer_stops_and_both_are_told() -> None:
    talk = Talk()
    share_id = talk.share(talk.ada).openings[0].scope
    stopped = talk.unshare(talk.ada)
    assert stopped << talk.over(talk.ada, "stopped")
    assert stopped.ended_scopes == [share_id]
    record = stopped.record("share.closed")
    assert (record.session_id, dict(record.fields)) == (
        talk.call_id,
        {"party": talk.ada.party, "reason": "stopped"},
    )
    assert talk.unshare(talk.ada) << talk.ada.refused(NOT_SHARING, call_id=talk.call_id)


def test_nobody_stops_the_others_share() -> None:
    talk = Talk()
    assert talk.unshare(talk.bob) << talk.bob.refused(NOT_SHARING, call_id=talk.call_id)
    talk.share(talk.ada)
    assert talk.unshare(talk.bob) << talk.bob.refused(NOT_SHARING, call_id=talk.call_id)
    assert talk.play.house.calls[talk.call_id].sharing == talk.ada.party


def test_the_end_of_the_call_ends_the_share_on_record_and_needs_no_further_word() -> None:
    talk = Talk()
    talk.share(talk.ada)
    ended = talk.play >> talk.bob.says(CallHangUp(call_id=talk.call_id))
    assert (
        ended
        << effect(WithdrawMedia, session_id=talk.call_id)
        << talk.ada.told(CallEnded, reason="hung_up")
        << talk.bob.told(CallEnded, reason="hung_up")
    )
    assert ended.record("share.closed").fields["reason"] == "call_ended"
    assert (talk.play >> MediaWithdrawn(talk.call_id, None)).record_types == ["call.closed"]


@pytest.mark.parametrize("reason", ["policy", "record_unavailable"])
def test_whoever_else_ends_it_says_why(reason: ShareEndReason) -> None:
    talk = Talk()
    call = talk.play.house.calls[talk.call_id]
    assert end_share(talk.play.house, call, reason) == []
    talk.share(talk.bob)
    assert Outcome(end_share(talk.play.house, call, reason)) << talk.over(talk.bob, reason)
    assert call.sharing is None


def test_a_share_that_could_not_be_recorded_and_whose_call_ends_for_that_too_needs_no_further_word() -> None:
    talk = Talk()
    (opening,) = talk.share(talk.ada).openings
    failed = talk.play >> CommitFailed((opening.scope, talk.ada.connection_id), outage=False)
    assert (
        failed
        << talk.ada.closed(AUDIT_UNAVAILABLE)
        << effect(WithdrawMedia, session_id=talk.call_id)
        << talk.bob.told(CallEnded, reason="party_left")
    )


def test_a_share_that_could_not_be_recorded_is_none_and_the_call_goes_on() -> None:
    talk = Talk()
    shared = talk.share(talk.ada)
    (told,) = shared.openings[0].on_failure
    assert talk.ada.refused("AUDIT_UNAVAILABLE", call_id=talk.call_id).matches(told)
    failed = talk.play >> talk.play.failed(shared)
    assert failed << talk.over(talk.ada, "record_unavailable")
    assert talk.play.house.calls[talk.call_id].sharing is None
    assert talk.share(talk.ada).openings


SHARE_FOR = SIGN_IN + rule("rest", "presence.see call.audio call.video")


def test_a_share_lasts_no_longer_than_its_rule_allows() -> None:
    talk = Talk(SHARE_FOR + rule("show", "screen.share", limits="{ minutes = 5 }"))
    shared = talk.share(talk.ada)
    assert shared.record("share.opened").fields["until"] == START_WALL_SECONDS + 300
    assert talk.play.later(299).effects == []
    over = talk.play.later(1)
    assert over << talk.over(talk.ada, "time_limit")
    assert talk.call_id in talk.play.house.calls
    assert talk.share(talk.bob).openings


def test_an_earlier_shares_time_does_not_end_a_later_one() -> None:
    talk = Talk(SHARE_FOR + rule("show", "screen.share", limits="{ minutes = 5 }"))
    talk.share(talk.ada)
    talk.play.later(200)
    talk.unshare(talk.ada)
    talk.share(talk.ada)
    assert talk.play.later(299).effects == []
    assert talk.play.later(1) << talk.over(talk.ada, "time_limit")


def test_a_share_ends_with_its_call_whatever_its_rule_allows() -> None:
    talk = Talk(
        SIGN_IN
        + rule("see", "presence.see screen.share")
        + rule("talk", "call.audio", limits="{ minutes = 5 }")
    )
    assert talk.share(talk.ada).record("share.opened").fields["until"] == START_WALL_SECONDS + 300
    assert talk.play.later(300).frame(CallEnded).reason == "time_limit"
    assert len(talk.play.house.deadlines) == len(talk.play.house.sign_ins)


def test_a_lower_rate_for_the_screen_holds_for_the_call_from_then_on() -> None:
    def bits(number: int) -> str:
        return f"{{ bits_per_second = {number} }}"

    rules = rule("talk", "presence.see call.audio", limits=bits(900_000))
    talk = Talk(SIGN_IN + rules + rule("show", "screen.share", limits=bits(400_000)))
    call = talk.play.house.calls[talk.call_id]
    admitted = effect(
        AdmitMedia,
        session_id=talk.call_id,
        parties=call.grant.parties,
        until_unix_seconds=call.grant.until_unix_seconds,
        bits_per_second=400_000,
    )
    shared = effect(ShareBandwidth, session_id=talk.call_id)
    told = talk.ada.told(MediaLimit, call_id=talk.call_id)
    assert talk.share(talk.ada) << admitted << shared << [*talk.sharing(talk.ada), told]
    talk.unshare(talk.ada)
    # Said once more: the first admission may never have left.
    assert talk.share(talk.ada) << admitted << talk.sharing(talk.ada)

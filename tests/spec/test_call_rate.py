"""Call and rate: what each party may send is the strictest of every rule that allowed the call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auth.personal import Personal
from broker.core.client_frames import CallAccept, CallInvite
from broker.core.commands import AdmitMedia
from broker.core.frames import CallCreated
from broker.core.gate import Receipt
from broker.shell.effects import Effects
from tests.spec.outcome import Outcome
from tests.spec.playbook import Client, Playbook
from tests.spec.policies import SIGN_IN, rule
from tests.spec.stage import HeldLatches, Rows

LAN, VPN = Personal("10.8.0.1"), Personal("10.9.0.1")
ZONES = "".join(
    f'[[zones]]\nid = "{name}"\nnetworks = ["{network}"]\n'
    for name, network in (("lan", "10.8.0.0/16"), ("vpn", "10.9.0.0/16"))
)
SEE = rule("see", "presence.see")


def bits(per_second: int) -> str:
    return f"{{ bits_per_second = {per_second} }}"


def in_zone(zone: str) -> str:
    return f'{{ any = true, zone = "{zone}" }}'


def policy(*rules: str) -> str:
    return SIGN_IN.replace("revision = 1\n", f"revision = 1\n{ZONES}", 1) + SEE + "".join(rules)


def admissions(outcome: Outcome) -> list[AdmitMedia]:
    return [effect for effect in outcome.effects if isinstance(effect, AdmitMedia)]


def connected(play: Playbook, name: str, *sources: Personal) -> list[Client]:
    """One person with a connection from each of these addresses."""
    person = play.insider(name)
    clients = [replace(play.connects(person), source=source) for source in sources]
    for client in clients:
        play >> client.arrives()
        play >> client.hello()
    return clients


def test_without_a_limit_in_the_rules_the_admission_has_none() -> None:
    play = Playbook(policy(rule("talk", "call.audio")))
    (ada,), (bob,) = connected(play, "ada", LAN), connected(play, "bob", LAN)
    (admit,) = admissions(play >> ada.says(CallInvite(ref="1", to=bob.party, media=["audio"])))
    assert admit.bits_per_second is None


@pytest.mark.parametrize(("audio", "video"), [(64_000, 2_000_000), (2_000_000, 64_000), (64_000, None)])
def test_the_strictest_of_all_media_holds_for_the_call(audio: int, video: int | None) -> None:
    more = {} if video is None else {"limits": bits(video)}
    talk = policy(rule("talk", "call.audio", limits=bits(audio)), rule("look", "call.video", **more))
    play = Playbook(talk)
    (ada,), (bob,) = connected(play, "ada", LAN), connected(play, "bob", LAN)
    (admit,) = admissions(play >> ada.says(CallInvite(ref="1", to=bob.party, media=["audio", "video"])))
    assert admit.bits_per_second == 64_000


def test_the_strictest_of_all_places_that_ring_holds() -> None:
    wide = rule("wide", "call.audio", limits=bits(500_000))
    play = Playbook(policy(wide, rule("narrow", "call.audio", who=in_zone("vpn"), limits=bits(64_000))))
    (ada,), (lan, _) = connected(play, "ada", LAN), connected(play, "bob", LAN, VPN)
    invited = play >> ada.says(CallInvite(ref="1", to=lan.party, media=["audio"]))
    assert [admit.bits_per_second for admit in admissions(invited)] == [64_000]
    accepted = play >> lan.says(CallAccept(call_id=invited.frame(CallCreated).call_id))
    assert admissions(accepted) == []


@pytest.mark.parametrize("minutes", [None, 1])
def test_answering_from_a_narrower_place_lowers_the_rate_and_never_raises_it(minutes: int | None) -> None:
    short = "" if minutes is None else f", minutes = {minutes}"
    narrow = rule("narrow", "call.audio", who=in_zone("vpn"), limits=f"{{ bits_per_second = 64000{short} }}")
    wide = rule("wide", "call.audio", who=in_zone("lan"), limits=bits(500_000))
    play = Playbook(policy(wide, narrow))
    (ada,), (lan,) = connected(play, "ada", LAN), connected(play, "bob", LAN)
    invited = play >> ada.says(CallInvite(ref="1", to=lan.party, media=["audio"]))
    (first,) = admissions(invited)
    assert first.bits_per_second == 500_000
    vpn = replace(play.connects(lan.principal), source=VPN)
    play >> vpn.arrives()
    play >> vpn.hello()
    (second,) = admissions(play >> vpn.says(CallAccept(call_id=first.session_id)))
    until = first.until_unix_seconds if minutes is None else play.now.wall_seconds + 60 * minutes
    assert second == replace(first, bits_per_second=64_000, until_unix_seconds=until)


def test_a_shorter_time_alone_keeps_the_rate() -> None:
    narrow = rule("narrow", "call.audio", who=in_zone("vpn"), limits="{ minutes = 1 }")
    wide = rule("wide", "call.audio", who=in_zone("lan"), limits=bits(500_000))
    play = Playbook(policy(wide, narrow))
    (ada,), (lan,) = connected(play, "ada", LAN), connected(play, "bob", LAN)
    (first,) = admissions(play >> ada.says(CallInvite(ref="1", to=lan.party, media=["audio"])))
    vpn = replace(play.connects(lan.principal), source=VPN)
    play >> vpn.arrives()
    play >> vpn.hello()
    (second,) = admissions(play >> vpn.says(CallAccept(call_id=first.session_id)))
    assert second.bits_per_second == 500_000
    assert second.until_unix_seconds < first.until_unix_seconds


def test_the_relay_is_told_the_rate_with_the_admission() -> None:
    play = Playbook(policy(rule("talk", "call.audio", limits=bits(64_000))))
    (ada,), (bob,) = connected(play, "ada", LAN), connected(play, "bob", LAN)
    invited = play >> ada.says(CallInvite(ref="1", to=bob.party, media=["audio"]))
    rows = Rows()
    recorded = play.house.gate.recorded(invited.openings[0], Receipt(1, 1))
    assert recorded is not None
    Effects(rows, HeldLatches(), lambda _: None, lambda _: None).open(recorded)
    assert rows.bits_per_second == {invited.frame(CallCreated).call_id: 64_000}

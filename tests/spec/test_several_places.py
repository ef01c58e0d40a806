"""A person connected from several places is asked about at each: what reaches a person reaches all
of their connections, one in a zone of high sensitivity included."""

from __future__ import annotations

from dataclasses import replace

from auth.personal import Personal
from broker.core.client_frames import CallAccept, CallInvite, ChatSend
from broker.core.frames import ChatMessage, InsiderWelcome
from tests.spec.playbook import Client, Playbook
from tests.spec.policies import OPEN_POLICY, rule

POLICY = OPEN_POLICY.replace(
    "revision = 1\n",
    'revision = 1\n[[zones]]\nid = "vault"\nnetworks = ["10.9.0.0/16"]\nsensitivity = "high"\n',
    1,
)
VAULT = Personal("10.9.0.1")


def in_the_vault(play: Playbook, person: Client) -> Client:
    """One more connection of this person, from the zone of high sensitivity."""
    client = replace(play.connects(person.principal), source=VAULT)
    play >> client.arrives()
    return client


def test_a_guests_message_is_denied_while_the_host_is_also_connected_from_a_high_zone() -> None:
    play = Playbook(POLICY)
    host = play.person("ada")
    guest = play.admitted(host)
    vault = in_the_vault(play, host)
    play >> vault.hello()
    outcome = play >> guest.says(ChatSend(ref="1", to=host.party, text="hello"))
    assert outcome << guest.refused("POLICY_DENIED", ref="1")
    play >> vault.leaves()
    outcome = play >> guest.says(ChatSend(ref="2", to=host.party, text="hello"))
    assert outcome.frame(ChatMessage).text == "hello"


def test_a_call_does_not_ring_in_a_high_zone() -> None:
    play = Playbook(POLICY)
    host = play.person("ada")
    guest = play.admitted(host)
    play >> in_the_vault(play, host).hello()
    outcome = play >> guest.says(CallInvite(ref="1", to=host.party, media=["audio"]))
    assert outcome << guest.refused("POLICY_DENIED", ref="1")


def test_a_call_that_rings_is_not_answered_from_a_high_zone() -> None:
    play = Playbook(POLICY)
    host = play.person("ada")
    guest = play.admitted(host)
    call_id = play.ringing(guest, host)
    vault = in_the_vault(play, host)
    play >> vault.hello()
    outcome = play >> vault.says(CallAccept(call_id=call_id))
    assert outcome << vault.refused("POLICY_ZONE_HIGH")
    assert outcome.openings == []
    assert (play >> host.says(CallAccept(call_id=call_id))).openings


def test_a_connection_in_a_high_zone_is_shown_no_guest() -> None:
    play = Playbook(POLICY)
    host = play.person("ada")
    play.admitted(host)
    play.waiting(host)
    welcome = (play >> in_the_vault(play, host).hello()).frame(InsiderWelcome)
    assert welcome.lobby == []
    assert [contact for contact in welcome.contacts if contact.kind == "guest"] == []


def test_the_strictest_limit_among_a_partys_places_holds() -> None:
    lan, vpn = Personal("10.8.0.1"), Personal("10.9.0.1")
    zones = "".join(
        f'[[zones]]\nid = "{name}"\nnetworks = ["{network}"]\n'
        for name, network in (("lan", "10.8.0.0/16"), ("vpn", "10.9.0.0/16"))
    )
    short = rule("short", "call.audio", who='{ any = true, zone = "lan" }', limits="{ minutes = 1 }")
    play = Playbook(OPEN_POLICY.replace("revision = 1\n", f"revision = 1\n{zones}", 1) + short)
    caller, callee = play.person("ada"), play.insider("bob")
    for source in (lan, vpn):
        client = replace(play.connects(callee), source=source)
        play >> client.arrives()
        play >> client.hello()
    play >> caller.says(CallInvite(ref="1", to=callee.party, media=["audio"]))
    (call,) = play.house.calls.values()
    assert call.grant.until_unix_seconds == play.now.wall_seconds + 60

"""A person connected from several places is asked about at each: what reaches a person reaches all
of their connections, one in a zone of high sensitivity included."""

from __future__ import annotations

from dataclasses import replace

from auth.personal import Personal
from broker.core.frames import CallAccept, CallInvite, ChatMessage, ChatSend
from tests.spec.playbook import OPEN_POLICY, Client, Playbook

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
    assert outcome << guest.refused("POLICY_ZONE_HIGH", ref="1")
    play >> vault.leaves()
    outcome = play >> guest.says(ChatSend(ref="2", to=host.party, text="hello"))
    assert outcome.frame(ChatMessage).text == "hello"


def test_a_call_does_not_ring_in_a_high_zone() -> None:
    play = Playbook(POLICY)
    host = play.person("ada")
    guest = play.admitted(host)
    play >> in_the_vault(play, host).hello()
    outcome = play >> guest.says(CallInvite(ref="1", to=host.party, media=["audio"]))
    assert outcome << guest.refused("POLICY_ZONE_HIGH", ref="1")


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
    shown = (play >> in_the_vault(play, host).hello()).openings[0].effects[0]
    assert shown.frame.lobby == []
    assert [contact.kind for contact in shown.frame.contacts if contact.kind == "guest"] == []

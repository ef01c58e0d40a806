"""Chat: decided, recorded and stored in one commit; decided again when delivered late."""

from __future__ import annotations

from auth.personal import Personal
from auth.principal import Guest, Insider
from broker.core.client_frames import ChatReceived, ChatSend, PresenceSet
from broker.core.commands import SaveMessage, SettleMessage
from broker.core.errors import (
    AUDIT_UNAVAILABLE,
    MESSAGE_TOO_LONG,
    PEER_UNREACHABLE,
    STILL_IN_LOBBY,
    UNKNOWN_MESSAGE,
)
from broker.core.frames import ChatAccepted, ChatMessage, InsiderWelcome
from broker.core.house import MAX_SHOWN_MESSAGES
from broker.core.stored import StoredMessage
from broker.policy.decision import Code
from config.policy.action import Action
from tests.spec.playbook import Playbook, allow_everything, deny_everything
from tests.spec.policies import without
from tests.spec.watch import PERSONAL_MARK

TEXT = f"the figures {PERSONAL_MARK}"


def text_to(to: str, ref: str = "1", text: str = TEXT) -> ChatSend:
    return ChatSend(ref=ref, to=to, text=text)


def stored(sender: Insider | Guest | None, message_id: str = "m-1", party: str = "u-ada") -> StoredMessage:
    known = sender.party if sender is not None else party
    return StoredMessage(message_id, sender, known, Personal(TEXT), 5)  # type: ignore[arg-type]


def test_a_message_is_stored_and_recorded_before_anyone_hears_of_it() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    sent = play >> ada.says(text_to(bob.party))
    assert sent << ada.shown(ChatAccepted, ref="1") << bob.shown(ChatMessage, text=TEXT)
    (opening,) = sent.openings
    (saved,) = opening.writes
    assert isinstance(saved, SaveMessage)
    assert (saved.sender, saved.recipient, saved.text.reveal()) == (ada.party, bob.party, TEXT)
    record = sent.record("chat.accepted")
    assert record.fields["bytes"] == len(TEXT.encode())
    assert record.fields["message_id"] == saved.message_id == opening.scope
    assert [tell.frame.code for tell in opening.on_failure] == [AUDIT_UNAVAILABLE.code]  # type: ignore[union-attr]


def test_every_connection_of_the_recipient_gets_it_and_no_other_of_the_senders_does() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    _, bob2 = play.joined(ada.principal), play.joined(bob.principal)
    sent = play >> ada.says(text_to(bob.party))
    assert sent << ada.shown(ChatAccepted) << bob.shown(ChatMessage) << bob2.shown(ChatMessage)


def test_the_same_person_sending_the_same_ref_again_gets_the_same_id() -> None:
    play = Playbook()
    ada, bob, cat = play.person("ada"), play.person("bob"), play.person("cat")
    first = (play >> ada.says(text_to(bob.party))).frame(ChatAccepted).message_id
    play.wait(60)
    assert (play >> ada.says(text_to(bob.party))).frame(ChatAccepted).message_id == first
    assert (play >> ada.says(text_to(bob.party, ref="2"))).frame(ChatAccepted).message_id != first
    assert (play >> ada.says(text_to(bob.party, text="b"))).frame(ChatAccepted).message_id != first
    assert (play >> ada.says(text_to(cat.party))).frame(ChatAccepted).message_id != first
    assert (play >> cat.says(text_to(bob.party))).frame(ChatAccepted).message_id != first


def test_a_denied_message_is_recorded_as_denied_and_reaches_nobody() -> None:
    play = Playbook(without(Action.CHAT_SEND))
    ada, bob = play.person("ada"), play.person("bob")
    sent = play >> ada.says(text_to(bob.party))
    assert sent << ada.refused(Code.DENIED, ref="1")
    assert sent.record_types == ["decision.denied"]
    assert sent.writes == []


def test_a_recipient_who_is_nobody_or_oneself_cannot_be_reached() -> None:
    play = Playbook()
    ada = play.person("ada")
    for to in ("u-nobody", ada.party, "g-1"):
        sent = play >> ada.says(text_to(to))
        assert sent << ada.refused(PEER_UNREACHABLE, ref="1")
        assert sent.writes == []


def test_a_message_longer_than_the_setting_is_refused_before_anything_is_asked() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    limit = play.house.rules.max_text_characters
    asked = len(play.asked)
    assert play >> ada.says(text_to(bob.party, text="x" * (limit + 1))) << ada.refused(MESSAGE_TOO_LONG)
    assert len(play.asked) == asked
    assert (play >> ada.says(text_to(bob.party, text="x" * limit))).openings


def test_a_guest_and_their_host_write_to_each_other_once_the_guest_is_let_in() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.admitted(ada)
    assert play >> guest.says(text_to(ada.party)) << guest.shown(ChatAccepted) << ada.shown(ChatMessage)
    assert play >> ada.says(text_to(guest.party)) << ada.shown(ChatAccepted) << guest.shown(ChatMessage)


def test_a_guest_in_the_lobby_neither_writes_nor_is_written_to() -> None:
    play = Playbook()
    ada = play.person("ada")
    guest = play.waiting(ada)
    assert play >> guest.says(text_to(ada.party)) << guest.refused(STILL_IN_LOBBY, ref="1")
    assert play >> ada.says(text_to(guest.party)) << ada.refused(PEER_UNREACHABLE, ref="1")


def test_a_guest_cannot_write_to_anyone_but_their_host() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    guest, other = play.admitted(ada), play.admitted(ada)
    for to in (bob, other):
        sent = play >> guest.says(text_to(to.party))
        assert sent << guest.refused(Code.NOT_YOUR_HOST)
    assert play >> bob.says(text_to(guest.party)) << bob.refused(Code.NOT_YOUR_HOST)


def test_even_a_policy_that_allowed_it_would_not_bring_a_guest_to_anyone_but_their_host() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    guest, other = play.admitted(ada), play.admitted(ada)
    play.decide_by = allow_everything
    for to in (bob, other):
        assert play >> guest.says(text_to(to.party)) << guest.refused(PEER_UNREACHABLE)
    assert play >> bob.says(text_to(guest.party)) << bob.refused(PEER_UNREACHABLE)


def test_a_message_to_somebody_who_is_offline_is_stored_and_delivered_when_they_come() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.insider("bob")
    sent = play >> ada.says(text_to(bob.party))
    assert sent << ada.shown(ChatAccepted)
    (saved,) = sent.writes
    assert isinstance(saved, SaveMessage)
    late = play.joined(bob)
    waiting = StoredMessage(saved.message_id, ada.principal, ada.party, saved.text, saved.sent_at_ms)
    delivered = play >> late.reads(waiting)
    assert delivered << late.shown(ChatMessage, message_id=saved.message_id, sent_at_ms=saved.sent_at_ms)
    assert delivered.record_types == ["chat.released"]


def test_a_waiting_message_that_policy_no_longer_allows_is_withheld_for_good() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    play.decide_by = deny_everything
    outcome = play >> bob.reads(stored(ada.principal))
    assert outcome.effects == []
    assert outcome.record("chat.withheld").fields["code"] == Code.DENIED
    assert outcome.writes == [SettleMessage("m-1", bob.party, "withheld")]


def test_a_waiting_message_whose_sender_nobody_vouches_for_any_more_is_withheld() -> None:
    play = Playbook()
    bob = play.person("bob")
    outcome = play >> bob.reads(stored(None))
    assert outcome.effects == []
    assert outcome.record("chat.withheld").fields["code"] == "SENDER_GONE"
    assert outcome.writes == [SettleMessage("m-1", bob.party, "withheld")]


def test_waiting_messages_are_decided_one_by_one() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    outcome = play >> bob.reads(
        stored(None, "m-1"), stored(ada.principal, "m-2"), stored(ada.principal, "m-3")
    )
    assert outcome << bob.shown(ChatMessage, message_id="m-2") << bob.shown(ChatMessage, message_id="m-3")
    assert [opening.scope for opening in outcome.openings] == ["m-2", "m-3"]


def test_waiting_messages_read_for_a_connection_that_has_gone_are_left_where_they_are() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    play >> bob.leaves()
    assert (play >> bob.reads(stored(ada.principal))).commands == []


def test_a_receipt_settles_the_message_for_its_recipient() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    message_id = (play >> ada.says(text_to(bob.party))).frame(ChatMessage).message_id
    outcome = play >> bob.says(ChatReceived(message_id=message_id))
    assert outcome.effects == []
    assert outcome.record("chat.delivered").fields["recipient"] == bob.party
    assert outcome.writes == [SettleMessage(message_id, bob.party, "delivered")]


def test_nobody_puts_on_record_that_they_have_a_message_they_were_never_sent() -> None:
    play = Playbook()
    ada, bob, eve = play.person("ada"), play.person("bob"), play.person("eve")
    message_id = (play >> ada.says(text_to(bob.party))).frame(ChatMessage).message_id
    for client, forged in ((eve, message_id), (ada, message_id), (bob, "m-unknown")):
        outcome = play >> client.says(ChatReceived(message_id=forged))
        assert outcome << client.refused(UNKNOWN_MESSAGE)
        assert outcome.records == []
    assert (play >> bob.says(ChatReceived(message_id=message_id))).writes


def test_a_message_that_came_twice_may_be_acknowledged_twice() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    message_id = (play >> ada.says(text_to(bob.party))).frame(ChatMessage).message_id
    assert (play >> ada.says(text_to(bob.party))).frame(ChatMessage).message_id == message_id
    assert (play >> bob.says(ChatReceived(message_id=message_id))).writes
    assert (play >> bob.says(ChatReceived(message_id=message_id))).commands == []


def test_what_a_connection_leaves_unacknowledged_is_bounded_and_the_oldest_is_forgotten_first() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    waiting = [stored(ada.principal, f"m-{number}") for number in range(MAX_SHOWN_MESSAGES + 1)]
    play >> bob.reads(*waiting)
    assert len(play.house.connections[bob.connection_id].shown_messages) == MAX_SHOWN_MESSAGES
    assert play >> bob.says(ChatReceived(message_id="m-0")) << bob.refused(UNKNOWN_MESSAGE)
    assert (play >> bob.says(ChatReceived(message_id="m-1"))).writes


def test_a_message_tells_no_status_to_somebody_who_may_not_see_it() -> None:
    play = Playbook(without(Action.PRESENCE_SEE))
    ada, bob = play.person("ada"), play.person("bob")
    play >> ada.says(PresenceSet(status="busy"))
    shown = (play >> ada.says(text_to(bob.party))).frame(ChatMessage)
    assert shown.sender.status == "available"
    play >> ada.leaves()
    assert (play >> bob.reads(stored(ada.principal))).frame(ChatMessage).sender.status == "available"


def test_a_message_tells_the_senders_status_to_somebody_who_may_see_it() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.insider("bob")
    play >> ada.says(PresenceSet(status="busy"))
    late = play.connects(bob)
    play >> late.arrives()
    assert (play >> late.hello()).frame(InsiderWelcome).contacts[0].status == "busy"
    assert (play >> ada.says(text_to(bob.party))).frame(ChatMessage).sender.status == "busy"


def test_a_message_that_could_not_be_recorded_leaves_nothing_behind() -> None:
    play = Playbook()
    ada, bob = play.person("ada"), play.person("bob")
    sent = play >> ada.says(text_to(bob.party))
    assert (play >> play.failed(sent)).commands == []
    assert (play >> ada.says(text_to(bob.party))).openings

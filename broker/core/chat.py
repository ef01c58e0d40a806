"""Chat: one-to-one messages, stored before they are acknowledged and decided again when they are delivered
late."""

from __future__ import annotations

import hashlib

from auth.personal import Personal
from auth.principal import Guest, Insider
from broker.audit.record import JsonValue
from broker.core.answers import deny, refuse, unrecorded
from broker.core.client_frames import ChatReceived, ChatSend
from broker.core.clock import Now
from broker.core.commands import (
    Answer,
    Command,
    Note,
    PlainEffect,
    ReadUndelivered,
    SaveMessage,
    SettleMessage,
    Show,
)
from broker.core.errors import MESSAGE_TOO_LONG, PEER_UNREACHABLE, UNKNOWN_MESSAGE
from broker.core.events import MessageHeldBack, UndeliveredRead
from broker.core.frames import ChatAccepted, ChatMessage
from broker.core.house import Connection, House
from broker.core.reach import ask_everywhere, denial_in, hindrance, places
from broker.core.recording import draft, named
from broker.core.stored import StoredMessage
from broker.policy.decision import Code
from config.policy.action import Action


def send(
    house: House, connection: Connection, frame: ChatSend, counterpart: Insider | Guest | None, now: Now
) -> list[Command]:
    """Decide, record and store in one commit, then tell the sender and whoever of the other side is there."""
    if len(frame.text) > house.rules.max_text_characters:
        return refuse(connection.connection_id, MESSAGE_TOO_LONG, frame.ref)
    if counterpart is None or counterpart.party == connection.party:
        return refuse(connection.connection_id, PEER_UNREACHABLE, frame.ref)
    recipient = places(house, counterpart)
    decisions = ask_everywhere(house, Action.CHAT_SEND, [connection.subject], recipient, now)
    denied = denial_in(decisions)
    if denied is not None:
        return deny(connection, denied, ref=frame.ref)
    out_of_reach = hindrance(house, connection.principal, counterpart)
    if out_of_reach is not None:
        return refuse(connection.connection_id, out_of_reach, frame.ref)
    message_id = message_id_of(connection.party, frame)
    record = draft(
        "chat.accepted",
        connection.connection_id,
        basis=decisions,
        personal=named("sender", connection.principal, connection.source) | named("recipient", counterpart),
        message_id=message_id,
        sender=connection.party,
        recipient=counterpart.party,
        bytes=len(frame.text.encode()),
    )
    text = Personal(frame.text)
    store = SaveMessage(message_id, connection.party, counterpart.party, text, now.wall_ms)
    accepted = ChatAccepted(ref=frame.ref, message_id=message_id, sent_at_ms=now.wall_ms)
    shown = [
        _show(house, receiver, connection.principal, message_id, text, now.wall_ms)
        for receiver in house.of_party(counterpart.party)
    ]
    effects = (Show(connection.connection_id, accepted), *shown)
    failure = unrecorded(connection.connection_id, frame.ref)
    return [
        house.gate.opening(
            message_id,
            decisions,
            (record,),
            effects,
            within=house.standing(connection, counterpart),
            writes=(store,),
            on_failure=failure,
        )
    ]


def _show(
    house: House,
    receiver: Connection,
    sender: Insider | Guest,
    message_id: str,
    text: Personal,
    sent_at_ms: int,
) -> Show:
    receiver.remember_message(message_id)
    frame = ChatMessage(
        message_id=message_id,
        sender=house.contact_for(receiver, sender),
        text=text.reveal(),
        sent_at_ms=sent_at_ms,
    )
    return Show(receiver.connection_id, frame)


def message_id_of(sender: str, frame: ChatSend) -> str:
    """The same person sending the same text under the same `ref` again gets the same id: a retry is not a
    second message."""
    digest = hashlib.sha256(f"{sender}\0{frame.ref}\0{frame.to}\0{frame.text}".encode())
    return f"m-{digest.hexdigest()[:40]}"


def received(house: House, connection: Connection, frame: ChatReceived, now: Now) -> list[Command]:
    """The recipient has it, which only a connection that was sent it can say; once is enough."""
    awaited = connection.shown_messages.get(frame.message_id)
    if awaited is None:
        return refuse(connection.connection_id, UNKNOWN_MESSAGE)
    if not awaited:
        return []
    connection.shown_messages[frame.message_id] = False
    record = draft(
        "chat.delivered", connection.connection_id, message_id=frame.message_id, recipient=connection.party
    )
    settle = SettleMessage(frame.message_id, connection.party, "delivered")
    return [Note((record,), _read_on(connection), writes=(settle,))]


def _read_on(connection: Connection) -> tuple[PlainEffect, ...]:
    """The next of what waits, once the connection has acknowledged everything it was sent: no reader is given
    more at once than their queue holds."""
    if not connection.more_waiting or any(connection.shown_messages.values()):
        return ()
    connection.more_waiting = False
    return (ReadUndelivered(connection.connection_id, connection.party, later=True),)


def held_back(house: House, event: MessageHeldBack, now: Now) -> list[Command]:
    """An emergency stop came before the message was let out: its sender was told so, and it never comes."""
    facts: dict[str, JsonValue] = {"message_id": event.message_id, "recipient": event.recipient}
    record = draft("chat.withheld", code=Code.STOPPED.value, more=facts)
    settle = SettleMessage(event.message_id, event.recipient, "withheld")
    return [Note((record,), writes=(settle,))]


def deliver_undelivered(house: House, event: UndeliveredRead, now: Now) -> list[Command]:
    """What waited for this person: each message is decided again at this moment."""
    connection = house.connections.get(event.connection_id)
    if connection is None or connection.closing:
        return []
    commands: list[Command] = []
    for message in event.messages:
        commands.extend(_deliver(house, connection, message, now))
    connection.more_waiting = event.more and bool(commands)
    read_on = _read_on(connection)  # at once when all of these were withheld
    return [*commands, Answer(read_on)] if read_on else commands


def _deliver(house: House, connection: Connection, message: StoredMessage, now: Now) -> list[Command]:
    facts: dict[str, JsonValue] = {
        "message_id": message.message_id,
        "sender": message.sender_party,
        "recipient": connection.party,
    }
    withhold = SettleMessage(message.message_id, connection.party, "withheld")
    if message.sender is None:
        record = draft("chat.withheld", connection.connection_id, code="SENDER_GONE", more=facts)
        return [Note((record,), writes=(withhold,))]
    sender = places(house, message.sender)
    decisions = ask_everywhere(house, Action.CHAT_SEND, sender, [connection.subject], now)
    denied = denial_in(decisions)
    if denied is not None and denied.code is Code.STOPPED:
        return []  # it waits on, until the stop is lifted and the person connects again
    if denied is not None:
        code = denied.code.value
        record = draft("chat.withheld", connection.connection_id, basis=(denied,), code=code, more=facts)
        return [Note((record,), writes=(withhold,))]
    record = draft("chat.released", connection.connection_id, basis=decisions, more=facts)
    show = _show(house, connection, message.sender, message.message_id, message.text, message.sent_at_ms)
    within = house.standing(connection, message.sender)
    return [house.gate.opening(message.message_id, decisions, (record,), (show,), within=within)]

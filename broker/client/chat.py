"""Chat: messages out, messages in, each delivered once to the program."""

from __future__ import annotations

from collections import deque

from broker.client.connection import ANSWER_TIMEOUT_SECONDS, Connection, new_ref
from broker.client.errors import EdgeClosed, EdgeMisspoke
from broker.client.inbox import Inbox
from broker.core.client_frames import ChatReceived, ChatSend
from broker.core.frames import ChatAccepted, ChatMessage

UNREAD_MESSAGES = 1000
REMEMBERED_MESSAGE_IDS = 4096


class SeenMessages:
    """The ids of the last messages: what is repeated within `limit` messages is recognised."""

    def __init__(self, limit: int = REMEMBERED_MESSAGE_IDS) -> None:
        self._order: deque[str] = deque()
        self._ids: set[str] = set()
        self._limit = limit

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._ids

    def add(self, message_id: str) -> None:
        if message_id in self._ids:
            return
        if len(self._order) >= self._limit:
            self._ids.discard(self._order.popleft())
        self._order.append(message_id)
        self._ids.add(message_id)


class Chat:
    """Received messages are acknowledged and kept for `next_message`, at most `unread_limit`.

    Beyond that a message is left unacknowledged and counted: the edge still has it, and delivers it again to
    this person's next connection.
    """

    def __init__(self, connection: Connection, unread_limit: int = UNREAD_MESSAGES) -> None:
        self._connection = connection
        self._unread: Inbox[ChatMessage] = Inbox(unread_limit)
        self._seen = SeenMessages()
        self.left_at_the_edge = 0

    async def send(self, to: str, text: str, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> str:
        """The message id, once the edge has the message for good.

        Raises EdgeRefused, EdgeClosed, TimeoutError.
        """
        frame = ChatSend(ref=new_ref(), to=to, text=text)
        answer = await self._connection.request(frame, ChatAccepted, timeout_seconds)
        if not isinstance(answer, ChatAccepted):
            raise EdgeMisspoke(f"chat.send was answered by {answer.type}")
        return answer.message_id

    async def next_message(
        self, sender: str | None = None, timeout_seconds: float | None = ANSWER_TIMEOUT_SECONDS
    ) -> ChatMessage:
        """The oldest unread message (from the party `sender`, if given), or the next to come."""

        def matches(message: ChatMessage) -> bool:
            return sender is None or message.sender.party == sender

        return await self._unread.take(matches, timeout_seconds)

    async def receive_forever(self) -> None:
        """Takes, acknowledges and sorts out messages until the connection is over."""
        try:
            while True:
                message = await self._connection.wait_for(ChatMessage, timeout_seconds=None)
                if message.message_id not in self._seen:
                    if self._unread.full:
                        self.left_at_the_edge += 1
                        continue
                    self._seen.add(message.message_id)
                    self._unread.put(message)
                await self._connection.send(ChatReceived(message_id=message.message_id))
        except EdgeClosed as over:
            self._unread.close(over)

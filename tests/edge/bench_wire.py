"""Raw clients that keep everything they were sent: one WebSocket, and one HTTP answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from broker.core.client_frames import ClientFrame, ClientProgram, Hello
from broker.core.frame_codec import encode

WAIT_SECONDS = 8.0
"""How long anything that must happen may take; nothing waits this long when it does."""


class Wire:
    """One raw WebSocket. Every text it was ever sent is in `received`, in order."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.received: list[str] = []
        self.token = ""
        self._taken = 0
        self._news = asyncio.Event()
        self._over = asyncio.Event()

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.received]

    @property
    def types(self) -> list[str]:
        return [str(frame["type"]) for frame in self.frames]

    @property
    def you(self) -> str:
        """The party id that the edge gave this client."""
        return str(next(f for f in self.frames if f["type"] in ("welcome", "guest.welcome"))["you"]["party"])

    async def send(self, frame: ClientFrame | str) -> None:
        await self.socket.send_str(frame if isinstance(frame, str) else encode(frame))

    async def hello(self) -> dict[str, Any]:
        await self.send(Hello(client=ClientProgram(name="bench", version="1")))
        return await self.until("welcome", "guest.welcome", "error")

    async def until(self, *types: str, **members: object) -> dict[str, Any]:
        """The next frame of one of these types and with these members, after the one returned last."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                for at in range(self._taken, len(self.received)):
                    frame: dict[str, Any] = json.loads(self.received[at])
                    if frame["type"] in types and all(frame.get(k) == v for k, v in members.items()):
                        self._taken = at + 1
                        return frame
                if self._over.is_set():
                    raise AssertionError(f"closed before {types}: {self.received[self._taken :]}")
                self._news.clear()
                await self._news.wait()

    async def heard(self) -> None:
        """Returns when the edge has read everything sent so far, and all it had queued for us is here."""
        code = "BAD_FRAME"
        before = sum(frame.get("code") == code for frame in self.frames)
        with contextlib.suppress(ConnectionError):  # closed meanwhile: then nothing more comes
            await self.socket.send_str("?")
        async with asyncio.timeout(WAIT_SECONDS):
            while sum(frame.get("code") == code for frame in self.frames) == before:
                if self._over.is_set():
                    return
                self._news.clear()
                await self._news.wait()

    async def closed(self) -> int | None:
        """The close code, once the edge has closed."""
        async with asyncio.timeout(WAIT_SECONDS):
            await self._over.wait()
        return self.socket.close_code

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                self.received.append(str(message.data))
                self._news.set()
        finally:
            self._over.set()
            self._news.set()


@dataclass
class Answer:
    """One HTTP answer, whole."""

    status: int
    body: bytes
    headers: list[tuple[str, str]]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def cookies(self) -> list[str]:
        return [value for name, value in self.headers if name.lower() == "set-cookie"]

    @property
    def steady(self) -> tuple[int, bytes, list[tuple[str, str]]]:
        """All of it that may differ between two requests only if the edge answers them differently."""
        return self.status, self.body, [(n, v) for n, v in self.headers if n.lower() != "date"]

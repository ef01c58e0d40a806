"""Invitations and the lobby, from both sides of the door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

from broker.client.connection import ANSWER_TIMEOUT_SECONDS, Connection, new_ref
from broker.client.errors import EdgeMisspoke, EdgeRefused
from broker.core.client_frames import (
    InvitationCreate,
    InvitationReissue,
    InvitationRevoke,
    LobbyAdmit,
    LobbyAdmitAll,
    LobbyRefuse,
)
from broker.core.errors import STILL_IN_LOBBY
from broker.core.frames import (
    Contact,
    EdgeFrame,
    Error,
    GuestWelcome,
    InsiderWelcome,
    InvitationCreated,
    LobbyAdmitted,
    LobbyRefused,
    LobbyWaiting,
    PresenceChanged,
    WaitingGuest,
)


def split_link(link: str) -> tuple[str, str]:
    """The outside origin and the invitation's secret of a link `https://outside[/]#secret`."""
    parts = urlsplit(link)
    if parts.scheme != "https" or not parts.netloc or parts.path not in ("", "/") or parts.query:
        raise ValueError("not an invitation link")
    if not parts.fragment:
        raise ValueError("the link holds no invitation")
    return f"https://{parts.netloc}", parts.fragment


class Invitations:
    """For hosts: `create`, `reissue`, `revoke`, `next_waiting`, `admit`, `admit_all`, `refuse`. For guests:
    `admitted`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        welcome = connection.welcome
        self._waiting_at_start = list(welcome.lobby) if isinstance(welcome, InsiderWelcome) else []

    async def create(
        self,
        guest_name: str,
        purpose: str,
        expires_in_seconds: int | None = None,
        redemptions: int | None = None,
        guest_email: str | None = None,
        timeout_seconds: float = ANSWER_TIMEOUT_SECONDS,
    ) -> InvitationCreated:
        """The new invitation with its `link`, which is shown this once.

        Raises EdgeRefused, EdgeClosed, TimeoutError.
        """
        frame = InvitationCreate(
            ref=new_ref(),
            guest_name=guest_name,
            guest_email=guest_email,
            purpose=purpose,
            expires_in_seconds=expires_in_seconds,
            redemptions=redemptions,
        )
        return await self._created(frame, timeout_seconds)

    async def reissue(
        self, invitation_id: str, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS
    ) -> InvitationCreated:
        """The invitation with another `link` on the terms of the first, which is worth nothing any more.

        Raises EdgeRefused, EdgeClosed, TimeoutError.
        """
        frame = InvitationReissue(ref=new_ref(), invitation_id=invitation_id)
        return await self._created(frame, timeout_seconds)

    async def _created(
        self, frame: InvitationCreate | InvitationReissue, timeout_seconds: float
    ) -> InvitationCreated:
        answer = await self._connection.request(frame, InvitationCreated, timeout_seconds)
        if not isinstance(answer, InvitationCreated):
            raise EdgeMisspoke(f"{frame.type} was answered by {answer.type}")
        return answer

    async def revoke(self, invitation_id: str) -> None:
        """Nobody comes in by it any more, and whoever is in by it is shown out."""
        await self._connection.send(InvitationRevoke(invitation_id=invitation_id))

    async def next_waiting(self, timeout_seconds: float | None = ANSWER_TIMEOUT_SECONDS) -> WaitingGuest:
        """A guest in the lobby: those who waited when this connection began come first."""
        if self._waiting_at_start:
            return self._waiting_at_start.pop(0)
        return (await self._connection.wait_for(LobbyWaiting, timeout_seconds=timeout_seconds)).waiting

    async def admit(self, guest: str, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> Contact:
        """Lets the guest in; returns them as a contact. Raises EdgeRefused, EdgeClosed, TimeoutError."""

        def answers(frame: EdgeFrame) -> bool:
            if isinstance(frame, Error):
                return frame.ref is None and frame.call_id is None
            return isinstance(frame, PresenceChanged) and frame.contact.party == guest

        await self._connection.send(LobbyAdmit(guest=guest))
        answer = await self._connection.take(answers, timeout_seconds)
        if isinstance(answer, Error):
            raise EdgeRefused.from_frame(answer)
        return cast("PresenceChanged", answer).contact

    async def admit_all(self, guests: Sequence[str]) -> None:
        """Lets in those of them who still wait and may; each comes as a contact."""
        await self._connection.send(LobbyAdmitAll(guests=list(guests)))

    async def refuse(self, guest: str) -> None:
        """Refuses a waiting guest, or shows an admitted one out."""
        await self._connection.send(LobbyRefuse(guest=guest))

    async def admitted(self, timeout_seconds: float | None = ANSWER_TIMEOUT_SECONDS) -> Contact:
        """For a guest: the host, once let in. Raises EdgeRefused if not let in, EdgeClosed, TimeoutError."""
        welcome = self._connection.welcome
        if isinstance(welcome, GuestWelcome) and welcome.host is not None:
            return welcome.host
        answer = await self._connection.take(
            lambda frame: isinstance(frame, LobbyAdmitted | LobbyRefused), timeout_seconds
        )
        if isinstance(answer, LobbyAdmitted):
            return answer.host
        raise EdgeRefused(STILL_IN_LOBBY.code, STILL_IN_LOBBY.sentence, None, False)

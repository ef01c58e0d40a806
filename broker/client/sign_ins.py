"""Where the person is signed in, and the end of it elsewhere."""

from __future__ import annotations

from broker.client.connection import ANSWER_TIMEOUT_SECONDS, Connection, new_ref
from broker.client.errors import EdgeMisspoke
from broker.core.client_frames import SignInRevoke, SignInRevokeOthers, SignInsList
from broker.core.frames import SignInInfo
from broker.core.frames import SignIns as SignInsFrame


class SignIns:
    """Each answers with what is left: those in use first, then the latest used. A guest has none. Raises
    EdgeRefused, EdgeClosed (also when the one in use here was revoked), TimeoutError."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def own(self, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> list[SignInInfo]:
        """All of the person's."""
        return await self._asked(SignInsList(ref=new_ref()), timeout_seconds)

    async def revoke(
        self, sign_in_id: str, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS
    ) -> list[SignInInfo]:
        """Ends one, and what is connected with it."""
        return await self._asked(SignInRevoke(ref=new_ref(), sign_in_id=sign_in_id), timeout_seconds)

    async def revoke_others(self, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> list[SignInInfo]:
        """Ends all but the one in use here."""
        return await self._asked(SignInRevokeOthers(ref=new_ref()), timeout_seconds)

    async def _asked(
        self, frame: SignInsList | SignInRevoke | SignInRevokeOthers, timeout_seconds: float
    ) -> list[SignInInfo]:
        answer = await self._connection.request(frame, SignInsFrame, timeout_seconds)
        if not isinstance(answer, SignInsFrame):
            raise EdgeMisspoke(f"{frame.type} was answered by {answer.type}")
        return answer.sign_ins

"""A house in which everything has already been opened that somebody could build on; what a client of each
role can try there, frame by frame; and the two faults under which nothing of it may open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from auth.tokens import token_digest
from broker.core import client_frames as cf
from broker.core.commands import OpeningEffect
from broker.core.events import Event
from broker.core.gate import Gate, Recorded
from broker.policy.decision import Code, Decision
from broker.shell import writer
from broker.shell.effects import Effects
from broker.shell.media import RelayMedia
from config.policy.rule import Effect
from tests.edge.bench_wire import Wire
from tests.edge.edge_bench import Bench, until
from tests.edge.record_faults import failing_commits

ROLES = ("insider", "lobby guest", "admitted guest")


# --- what opens ---------------------------------------------------------------------------------------------


@dataclass
class Watch:
    """What opened since the last `forget`."""

    effects: list[OpeningEffect]
    admissions: list[str]

    def forget(self) -> None:
        self.effects.clear()
        self.admissions.clear()


def watched(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Looks on at the two places where an effect becomes real."""
    seen = Watch([], [])
    really_open, really_admit = Effects.open, RelayMedia.admit

    def watched_open(self: Effects, recorded: Recorded) -> list[Event]:
        seen.effects.extend(recorded.effects)
        return really_open(self, recorded)

    def watched_admit(self: RelayMedia, session_id: str, *more: Any) -> None:
        seen.admissions.append(session_id)
        really_admit(self, session_id, *more)

    monkeypatch.setattr(Effects, "open", watched_open)
    monkeypatch.setattr(RelayMedia, "admit", watched_admit)
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.05)
    return seen


@contextmanager
def denying_gate(_: Bench) -> Iterator[None]:
    """Whatever the policy says, the gate's answer is no."""
    really_ask = Gate.ask

    def deny(self: Gate, *question: Any) -> Decision:
        decision = really_ask(self, *question)
        return replace(decision, effect=Effect.DENY, code=Code.DENIED)

    patch = pytest.MonkeyPatch()
    patch.setattr(Gate, "ask", deny)
    try:
        yield
    finally:
        patch.undo()


Fault = Callable[[Bench], AbstractContextManager[None]]
FAULTS: dict[str, Fault] = {"the gate denies": denying_gate, "the record fails": failing_commits}


# --- who is there -------------------------------------------------------------------------------------------


@dataclass
class Scene:
    """A house in which everything has already been opened that somebody could build on."""

    bench: Bench
    stack: AsyncExitStack
    wires: dict[str, Wire]
    secret: str = ""
    """Of an invitation that may still be redeemed."""
    desks: dict[str, str] = field(default_factory=dict)
    """Tokens of administrators, by their roles."""
    to_enrol: dict[str, Any] = field(default_factory=dict)
    """What a security key of each of them was asked."""

    @property
    def host(self) -> Wire:
        return self.wires["insider"]

    def actor(self, role: str) -> Wire:
        return self.wires[role]

    def trying(self, role: str) -> Wire:
        """The connection that is to send the frame."""
        return self.wires.get("newcomer", self.actor(role))

    def counterpart(self, role: str) -> Wire:
        """Whom the role could reach: a colleague, or the host."""
        return self.wires["colleague"] if role == "insider" else self.host

    async def invitation(self) -> str:
        """The id of one that the host has made."""
        await self.bench.invitation(self.host)
        created = [frame for frame in self.host.frames if frame["type"] == "invitation.created"][-1]
        return str(created["invitation"]["invitation_id"])

    async def newcomer(self, role: str) -> Wire:
        """One more connection of the role that has not said hello."""
        origin = self.bench.inside if role == "insider" else self.bench.outside
        wire = self.bench.wire(origin, self.wires[role].token, hello=False)
        entered = await self.stack.enter_async_context(wire)
        self.wires["newcomer"] = entered
        return entered

    async def call(self, role: str, *, placed_by_actor: bool, accepted: bool) -> str:
        """A call between the role and its counterpart; for a guest in the lobby there can be none."""
        if role == "lobby guest":
            return "c-none"
        caller, callee = self.actor(role), self.counterpart(role)
        if not placed_by_actor:
            caller, callee = callee, caller
        await caller.send(cf.CallInvite(ref="prepared", to=callee.you, media=["audio"]))
        call_id = str((await callee.until("call.ring"))["call_id"])
        if accepted:
            await callee.send(cf.CallAccept(call_id=call_id))
            await caller.until("call.accepted")
            await callee.until("call.accepted")
        return call_id

    async def message_shown_to(self, role: str) -> str:
        if role == "lobby guest":
            return "m-none"
        sender = self.counterpart(role)
        await sender.send(cf.ChatSend(ref="prepared", to=self.actor(role).you, text="prepared"))
        return str((await self.actor(role).until("chat.message"))["message_id"])

    async def recovered(self) -> None:
        """The record can be written again, and holds what was closed meanwhile."""
        await until(lambda: self.bench.edge.driver.healthy and not self.bench.edge.driver.pending)

    async def settled(self) -> None:
        await self.bench.settled(*(wire for wire in self.wires.values() if not wire.socket.closed))


@asynccontextmanager
async def scene(bench: Bench) -> AsyncIterator[Scene]:
    """A fresh cast; the edge may have had others before."""
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(bench.insider("alice"))
        wires = {
            "insider": host,
            "colleague": await stack.enter_async_context(bench.insider("bob")),
            "admitted guest": await stack.enter_async_context(bench.guest(host)),
            "lobby guest": await stack.enter_async_context(bench.guest(host, admitted=False)),
        }
        yield Scene(bench, stack, wires)


# --- every frame --------------------------------------------------------------------------------------------

SDP = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
Prepare = Callable[[Scene, str], Awaitable[cf.ClientFrame]]


async def hello(at: Scene, role: str) -> cf.ClientFrame:
    await at.newcomer(role)
    return cf.Hello(client=cf.ClientProgram(name="test", version="1"))


async def presence_set(_: Scene, role: str) -> cf.ClientFrame:
    return cf.PresenceSet(status="busy")


async def chat_send(at: Scene, role: str) -> cf.ClientFrame:
    return cf.ChatSend(ref="tried", to=at.counterpart(role).you, text="tried")


async def chat_received(at: Scene, role: str) -> cf.ClientFrame:
    return cf.ChatReceived(message_id=await at.message_shown_to(role))


async def invitation_create(_: Scene, role: str) -> cf.ClientFrame:
    return cf.InvitationCreate(ref="tried", guest_name="Gustav", purpose="A talk")


async def invitation_reissue(at: Scene, role: str) -> cf.ClientFrame:
    return cf.InvitationReissue(ref="tried", invitation_id=await at.invitation())


async def invitation_revoke(at: Scene, role: str) -> cf.ClientFrame:
    return cf.InvitationRevoke(invitation_id=await at.invitation())


async def lobby_admit(at: Scene, role: str) -> cf.ClientFrame:
    return cf.LobbyAdmit(guest=at.wires["lobby guest"].you)


async def lobby_admit_all(at: Scene, role: str) -> cf.ClientFrame:
    return cf.LobbyAdmitAll(guests=[at.wires["lobby guest"].you])


async def lobby_refuse(at: Scene, role: str) -> cf.ClientFrame:
    return cf.LobbyRefuse(guest=at.wires["lobby guest"].you)


async def sign_ins_list(_: Scene, role: str) -> cf.ClientFrame:
    return cf.SignInsList(ref="tried")


async def sign_in_revoke(at: Scene, role: str) -> cf.ClientFrame:
    other = await at.bench.token_of("alice")
    kept = at.bench.edge.driver._house.sign_ins[token_digest(other)].kept
    return cf.SignInRevoke(ref="tried", sign_in_id=kept.sign_in_id)


async def sign_in_revoke_others(at: Scene, role: str) -> cf.ClientFrame:
    await at.bench.token_of("alice")
    return cf.SignInRevokeOthers(ref="tried")


async def call_invite(at: Scene, role: str) -> cf.ClientFrame:
    return cf.CallInvite(ref="tried", to=at.counterpart(role).you, media=["audio", "video"])


async def call_accept(at: Scene, role: str) -> cf.ClientFrame:
    return cf.CallAccept(call_id=await at.call(role, placed_by_actor=False, accepted=False))


async def call_decline(at: Scene, role: str) -> cf.ClientFrame:
    return cf.CallDecline(call_id=await at.call(role, placed_by_actor=False, accepted=False))


async def call_cancel(at: Scene, role: str) -> cf.ClientFrame:
    return cf.CallCancel(call_id=await at.call(role, placed_by_actor=True, accepted=False))


async def call_hang_up(at: Scene, role: str) -> cf.ClientFrame:
    return cf.CallHangUp(call_id=await at.call(role, placed_by_actor=True, accepted=True))


async def call_share(at: Scene, role: str) -> cf.CallShare:
    return cf.CallShare(call_id=await at.call(role, placed_by_actor=False, accepted=True))


async def call_unshare(at: Scene, role: str) -> cf.ClientFrame:
    share = await call_share(at, role)
    if role != "lobby guest":
        await at.actor(role).send(share)
        await at.actor(role).until("call.sharing")
    return cf.CallUnshare(call_id=share.call_id)


async def call_offer(at: Scene, role: str) -> cf.ClientFrame:
    return cf.CallOffer(call_id=await at.call(role, placed_by_actor=True, accepted=True), sdp=SDP)


async def call_answer(at: Scene, role: str) -> cf.ClientFrame:
    return cf.CallAnswer(call_id=await at.call(role, placed_by_actor=False, accepted=True), sdp=SDP)


async def call_candidate(at: Scene, role: str) -> cf.ClientFrame:
    call_id = await at.call(role, placed_by_actor=True, accepted=True)
    return cf.CallCandidate(call_id=call_id, candidate="", mid="0")


ROWS: dict[str, Prepare] = {
    "hello": hello,
    "presence.set": presence_set,
    "chat.send": chat_send,
    "chat.received": chat_received,
    "invitation.create": invitation_create,
    "invitation.reissue": invitation_reissue,
    "invitation.revoke": invitation_revoke,
    "lobby.admit": lobby_admit,
    "lobby.admit_all": lobby_admit_all,
    "lobby.refuse": lobby_refuse,
    "sign_ins.list": sign_ins_list,
    "sign_in.revoke": sign_in_revoke,
    "sign_in.revoke_others": sign_in_revoke_others,
    "call.invite": call_invite,
    "call.accept": call_accept,
    "call.decline": call_decline,
    "call.cancel": call_cancel,
    "call.hang_up": call_hang_up,
    "call.share": call_share,
    "call.unshare": call_unshare,
    "call.offer": call_offer,
    "call.answer": call_answer,
    "call.candidate": call_candidate,
}

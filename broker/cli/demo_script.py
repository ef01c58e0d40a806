"""The demo's script: an insider invites a guest, they chat, then hold a call whose every packet the edge
relays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from broker.cli.demo_house import DemoHouse, DemoPerson
from broker.client.call import CallReport
from broker.client.errors import EdgeRefused
from broker.client.http import redeem, sign_in
from broker.client.invitations import split_link
from broker.client.participant import Participant, join

CALL_SECONDS = 6.0
GUEST_NAME = "Grace Guest"
PURPOSE = "Trying Turngate out"
BROWSER_GUESTS = 5

Say = Callable[[str], None]


class ScriptFailedError(Exception):
    """Something in the script did not happen as it must."""


@dataclass(slots=True)
class Outcome:
    """What the two participants saw."""

    delivered: int = 0
    inside: CallReport | None = None
    outside: CallReport | None = None
    denied: list[tuple[str, str]] = field(default_factory=list)


async def run_script(house: DemoHouse, say: Say) -> Outcome:
    """Play the whole session; raises ScriptFailedError, EdgeError or TimeoutError when a step fails."""
    outcome = Outcome()
    by_login = {person.login: person for person in house.people}
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(_signed_in(house, by_login["alice"]))
        say("Alice has signed in against the directory")
        carol = await stack.enter_async_context(_signed_in(house, by_login["carol"]))
        outcome.denied.append(await _denied_invitation(carol, say))
        guest = await _invited_guest(house, alice, stack, say)
        await _chat(alice, guest, outcome, say)
        await _call(alice, guest, outcome, say)
    return outcome


async def invitation_for_browsers(house: DemoHouse) -> str:
    """A link that a few guests may redeem, from Alice."""
    async with _signed_in(house, house.people[0]) as alice:
        return (await alice.invitations.create(GUEST_NAME, PURPOSE, redemptions=BROWSER_GUESTS)).link


@asynccontextmanager
async def _signed_in(house: DemoHouse, person: DemoPerson) -> AsyncIterator[Participant]:
    origin = house.settings.inside.origin
    token = await sign_in(origin, person.login, person.password, house.ca_file)
    async with join(origin, token, house.ca_file) as participant:
        yield participant


async def _denied_invitation(carol: Participant, say: Say) -> tuple[str, str]:
    try:
        await carol.invitations.create(GUEST_NAME, PURPOSE)
    except EdgeRefused as refused:
        say(f"Carol may not invite guests: {refused.code}, decision {refused.decision_id}")
        return refused.code, refused.decision_id or ""
    raise ScriptFailedError("Carol could invite a guest, against the policy")


async def _invited_guest(
    house: DemoHouse, alice: Participant, stack: AsyncExitStack, say: Say
) -> Participant:
    invitation = await alice.invitations.create(GUEST_NAME, PURPOSE)
    origin, secret = split_link(invitation.link)
    token = await redeem(origin, secret, GUEST_NAME, house.ca_file)
    guest = await stack.enter_async_context(join(origin, token, house.ca_file))
    say("A guest has acknowledged the notice, redeemed the invitation and waits in the lobby")
    waiting = await alice.invitations.next_waiting()
    await alice.invitations.admit(waiting.guest.party)
    await guest.invitations.admitted()
    say("Alice has let the guest in")
    return guest


async def _chat(alice: Participant, guest: Participant, outcome: Outcome, say: Say) -> None:
    for sender, receiver, text in ((alice, guest, "Good morning!"), (guest, alice, "Hello from outside.")):
        message_id = await sender.chat.send(receiver.you.party, text)
        received = await receiver.chat.next_message()
        if received.message_id != message_id or received.text != text:
            raise ScriptFailedError("a message arrived changed")
        outcome.delivered += 1
    say(f"{outcome.delivered} messages were recorded, stored and delivered")


async def _call(alice: Participant, guest: Participant, outcome: Outcome, say: Say) -> None:
    async def answer() -> None:
        ring = await guest.calls.next_ring()
        async with guest.calls.accept(ring) as call:
            await call.connected()
            await asyncio.sleep(CALL_SECONDS)
            outcome.outside = await call.report()
            await call.ended()

    async def place() -> None:
        async with alice.calls.place(guest.you.party, ["audio", "video"]) as call:
            say("Alice calls the guest with audio and video")
            await call.connected()
            by = (await call.report()).relay_transport
            say(f"The call is up; both sides reach only the relay, Alice by {by}")
            await asyncio.sleep(CALL_SECONDS + 0.5)
            outcome.inside = await call.report()
            await call.hang_up()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(answer())
        tasks.create_task(place())
    say("Alice has hung up")

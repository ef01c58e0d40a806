"""One participant of a scripted session, as a process of its own: `python -m
tests.acceptance.participant_process`.

Orders come as JSON lines on stdin, what happened goes out as JSON lines on stdout. The first order says who
it is and has everything needed to get in; `participants` writes and reads the lines.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiortc.rtcrtpreceiver import StreamStatistics

from broker.client.call import Call
from broker.client.http import redeem, sign_in
from broker.client.invitations import split_link
from broker.client.participant import Participant, join
from broker.core.client_frames import CallAnswer, CallCandidate, CallOffer, ClientFrame
from broker.core.frame_codec import encode

STEP_SECONDS = 30.0
MESSAGES = {"insider": "Good morning!", "guest": "Hello from outside."}


def tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def indiscreet(sdp: str, address: str) -> str:
    """A description as of a client that gives its address away wherever there is room for it."""
    lines = []
    for line in sdp.splitlines():
        if line.startswith(("o=", "c=")):
            lines.append(line.rpartition(" ")[0] + f" {address}")
        elif line.startswith("a=candidate:"):
            lines.append(f"{line} raddr {address} rport 9")
        elif line.startswith("m="):
            lines += [line, f"i={address}"]
        else:
            lines.append(line)
        if line.startswith("a=mid:"):
            lines += [f"a={candidate}" for candidate in own_candidates(address)]
            lines += [f"a=rtcp:9 IN IP4 {address}", f"a=x-at:{address}"]
    return "\r\n".join(lines) + "\r\n"


def own_candidates(address: str) -> tuple[str, ...]:
    host = f"candidate:1 1 udp 2130706431 {address} 50000 typ host"
    return host, f"candidate:2 1 udp 1694498815 {address} 50000 typ srflx raddr {address} rport 50000"


def indiscreet_encoder(address: str) -> Callable[[ClientFrame], str]:
    def indiscreetly(frame: ClientFrame) -> str:
        if isinstance(frame, CallOffer | CallAnswer):
            frame = frame.model_copy(update={"sdp": indiscreet(frame.sdp, address)})
            tell(gave_away=True)
        return encode(frame)

    return indiscreetly


async def trickle(me: Participant, call: Call, address: str) -> None:
    for candidate in own_candidates(address):
        await me.connection.send(CallCandidate(call_id=call.call_id, candidate=candidate, mid="0"))


async def insider(order: dict[str, Any], frames: list[str]) -> None:
    """Invites a guest, lets them in, chats, calls and hangs up."""
    origin, ca_file = order["origin"], Path(order["ca_file"])
    token = await sign_in(origin, order["login"], order["password"], ca_file)
    async with join(origin, token, ca_file, record=frames.append) as me:
        invitation = await me.invitations.create("Grace Guest", "A talk")
        tell(link=invitation.link)
        waiting = await me.invitations.next_waiting(STEP_SECONDS)
        guest = await me.invitations.admit(waiting.guest.party)
        await me.chat.send(guest.party, MESSAGES["insider"])
        tell(heard=(await me.chat.next_message(timeout_seconds=STEP_SECONDS)).text)
        async with me.calls.place(guest.party, ["audio", "video"]) as call:
            await call.connected()
            if order["gives_away"]:
                await trickle(me, call, order["gives_away"])
            tell(connected=True)
            # A little longer than the guest, who must have counted before the call ends.
            await _stay(call, order["call_seconds"] + 1.0)
            facts = await _facts(call)
            await call.hang_up()
    tell(call=facts, frames=frames)


async def guest(order: dict[str, Any], frames: list[str]) -> None:
    """Redeems the invitation, waits in the lobby, chats and takes the call."""
    ca_file = Path(order["ca_file"])
    async with _invited(order, ca_file, frames) as me:
        host = await me.invitations.admitted(STEP_SECONDS)
        tell(heard=(await me.chat.next_message(timeout_seconds=STEP_SECONDS)).text)
        await me.chat.send(host.party, MESSAGES["guest"])
        ring = await me.calls.next_ring(STEP_SECONDS)
        async with me.calls.accept(ring) as call:
            await call.connected()
            if order["gives_away"]:
                await trickle(me, call, order["gives_away"])
            tell(connected=True)
            await _stay(call, order["call_seconds"])
            facts = await _facts(call)
            facts["end_reason"] = await call.ended()
    tell(call=facts, frames=frames)


@asynccontextmanager
async def _invited(order: dict[str, Any], ca_file: Path, frames: list[str]) -> AsyncIterator[Participant]:
    origin, secret = split_link(order["link"])
    token = await redeem(origin, secret, "Grace Guest", ca_file)
    async with join(origin, token, ca_file, record=frames.append) as me:
        yield me


async def _stay(call: Call, seconds: float) -> None:
    """Raises RuntimeError when the call ends before this time is over."""
    try:
        reason = await call.ended(seconds)
    except TimeoutError:
        return
    raise RuntimeError(f"the call ended by itself: {reason}, {await call.report()}")


async def _facts(call: Call) -> dict[str, Any]:
    """The client's report, and the packets that it and its counterpart missed, by gaps in sequence
    numbers."""
    assert call._peer is not None
    peer = call._peer._peer
    lost, received, reported = Counter[str](), Counter[str](), Counter[str]()
    for receiver in peer.getReceivers():
        # The library's own report keeps one stream of each kind, and there are two once packets were sent
        # again.
        streams: dict[int, StreamStatistics] = vars(receiver)["_RTCRtpReceiver__remote_streams"]
        for stream in streams.values():
            lost[receiver.track.kind] += stream.packets_lost
            received[receiver.track.kind] += stream.packets_received
    for entry in (await peer.getStats()).values():
        if entry.type == "remote-inbound-rtp":
            reported[entry.kind] += entry.packetsLost
    return asdict(await call.report()) | {
        "packets_lost": lost,
        "packets_lost_by_counterpart": reported,
        "packets_received": received,
    }


def main() -> None:
    order = json.loads(sys.stdin.readline())
    frames: list[str] = []
    run = {"insider": insider, "guest": guest}[order["role"]]
    encoder = indiscreet_encoder(order["gives_away"]) if order["gives_away"] else encode
    with patch("broker.client.connection.encode", encoder):
        asyncio.run(run(order, frames))


if __name__ == "__main__":
    main()

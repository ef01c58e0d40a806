"""A whole visit with the product itself: invited by name, address and purpose, admitted, in a call, and
revoked in the middle of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from playwright.async_api import Page, Request, expect

from broker.client.invitations import split_link
from relay.service import Relay
from tests.browser.call_figures import grows
from tests.browser.conftest import ARTEFACTS, Browsing
from tests.browser.visitor import (
    acknowledge,
    ask_for_an_invitation,
    enter_lobby,
    let_in,
    open_conversation,
    picture,
    sign_in,
)
from tests.edge.bench_house import password_of
from tests.edge.edge_bench import Bench, edge_bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

INVITED, GUEST = "Grace Hopper", "Gus Guest"
BUDGET_MS = 200
"""From the revocation on record to the last packet that the relay forwarded."""
WATCHED_MS = 1000


async def _invited(host: Page) -> str:
    await ask_for_an_invitation(host, INVITED, "Contract review")
    await host.get_by_label("Guest's e-mail address").fill("grace@partner.example")
    await host.get_by_role("button", name="Create invitation").click()
    return await host.get_by_label(f"Link for {INVITED}").input_value()


async def _is_not_taken_under(guest: Page, name: str) -> None:
    """The page says why, and what was typed can be mended."""
    await acknowledge(guest, name)
    await guest.get_by_role("button", name="Join without camera or microphone").click()
    await expect(guest.get_by_role("alert").first).to_contain_text("one line of letters that show")


async def _admitted(browsing: Browsing, host: Page, link: str, requests: list[Request]) -> Page:
    guest = await browsing.open("about:blank")
    guest.on("request", lambda request: requests.append(request))
    await guest.goto(link)
    await _is_not_taken_under(guest, "Gus\u202e tseuG")
    await picture(guest, ARTEFACTS, "visit-1-notice")
    await enter_lobby(guest, GUEST)
    lobby = host.locator("tg-lobby li")
    for words in (GUEST, "outside", f"You invited {INVITED}, grace@partner.example", "For: Contract review"):
        await expect(lobby).to_contain_text(words)
    await picture(host, ARTEFACTS, "visit-2-lobby-host")
    await picture(guest, ARTEFACTS, "visit-2-lobby-guest")
    await let_in(host, GUEST)
    await open_conversation(host, GUEST)
    await expect(host.locator("tg-chat header")).to_contain_text(f"invited as {INVITED}")
    return guest


async def _talking(host: Page, guest: Page) -> None:
    await host.get_by_role("button", name="Video call").click()
    await guest.get_by_role("button", name="Answer with camera").click()
    for page in (host, guest):
        await expect(page.get_by_role("timer")).to_be_visible()
    for page in (host, guest):
        await grows(page, "video", "frames")
        await grows(page, "audio", "packets")


async def _only_the_redemption_carries(secret: str, requests: list[Request]) -> None:
    carriers = []
    for request in requests:
        assert secret not in request.url
        assert secret not in str(await request.all_headers())
        if secret in (request.post_data or ""):
            carriers.append((request.method, request.url.rpartition("/api")[2]))
    assert set(carriers) == {("POST", "/redeem")}


def _forwarded(relay: Relay) -> int:
    return relay.counters().forwarded.packets


async def _no_media_after(bench: Bench) -> None:
    """By the record, which has the relay's own times, and by the relay's counter."""
    (revoked,) = await bench.recorded("invitation.revoked")
    (closed,) = await bench.recorded("call.closed")
    at_ms = datetime.fromisoformat(revoked["ts"]).timestamp() * 1000
    last = max(closed["fields"]["last_packet_ms"].values())
    print(f"last forwarded packet {last - at_ms:.0f} ms after the revocation")
    assert last <= at_ms + BUDGET_MS
    assert bench.edge.media.relay.allocations() == []


async def test_a_guest_is_invited_admitted_called_and_revoked_in_the_middle_of_the_call(
    tmp_path: Path, browsing: Browsing
) -> None:
    async with edge_bench(tmp_path) as bench:
        relay = bench.edge.media.relay
        host = await browsing.open(bench.inside)
        await sign_in(host, "alice", password_of("alice"))
        link = await _invited(host)
        row = host.locator("tg-invitations li")
        await expect(row).to_contain_text("unused, usable once")
        requests: list[Request] = []
        guest = await _admitted(browsing, host, link, requests)
        assert guest.url == f"{bench.outside}/"
        await expect(row).to_contain_text("used up")
        await expect(row).to_contain_text("1 guest is in")
        await _talking(host, guest)
        await row.scroll_into_view_if_needed()
        for page, name in ((host, "host"), (guest, "guest")):
            await picture(page, ARTEFACTS, f"visit-3-call-{name}")

        await host.get_by_role("button", name=f"Revoke the invitation for {INVITED}").click()
        await expect(guest.locator(".farewell")).to_contain_text("The host has ended your visit")
        await expect(host.get_by_text("The other party has disconnected.").first).to_be_visible()
        await _no_media_after(bench)
        before = _forwarded(relay)
        await host.wait_for_timeout(WATCHED_MS)
        assert _forwarded(relay) == before > 0
        for page, name in ((host, "host"), (guest, "guest")):
            assert await page.evaluate("document.querySelector('tg-call').peerConnection") is None
            await picture(page, ARTEFACTS, f"visit-4-revoked-{name}")
        await expect(row).to_have_count(0)

        await _only_the_redemption_carries(split_link(link)[1], requests)
        again = await browsing.open(link)
        await acknowledge(again, GUEST)
        await again.get_by_role("button", name="Join without camera or microphone").click()
        await expect(again.get_by_role("alert").first).to_contain_text("This invitation is not valid")
        await picture(again, ARTEFACTS, "visit-5-link-is-worth-nothing")
        cookies = await guest.context.cookies()
        assert [cookie for cookie in cookies if cookie["name"] == "__Host-tg-guest"]
        await guest.reload()
        await expect(guest.get_by_text("This address holds no invitation.")).to_be_visible()

"""A guest and an insider in two browsers, with the product itself: chat, then a call through its relay."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.call_figures import figures_of, goes_by, grows
from tests.browser.conftest import ARTEFACTS, Browsing
from tests.browser.visitor import enter_lobby, let_in, open_conversation, picture, sign_in, write

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _credentials(edge: dict[str, Any], login: str) -> tuple[str, str]:
    person = next(person for person in edge["sign_ins"] if person["login"] == login)
    return person["login"], person["password"]


async def host_and_guest(
    browsing: Browsing, edge: dict[str, Any], name: str = "Gordon Guest"
) -> tuple[Page, Page]:
    host = await browsing.open(edge["inside"])
    await sign_in(host, *_credentials(edge, "alice"))
    guest = await browsing.open(edge["guest_link"])
    await enter_lobby(guest, name)
    await let_in(host, name)
    await open_conversation(host, name)
    return host, guest


async def test_an_insider_and_a_guest_chat_and_see_each_other_through_the_relay(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    host, guest = await host_and_guest(browsing, edge)
    await write(host, "Good morning, Gordon.")
    await expect(guest.get_by_role("log")).to_contain_text("Good morning, Gordon.")
    await expect(host.get_by_role("log")).to_contain_text("Sent")
    await write(guest, "Good morning, Alice.")
    await expect(host.get_by_role("log")).to_contain_text("Good morning, Alice.")

    await host.get_by_role("button", name="Video call").click()
    await guest.get_by_role("button", name="Answer with camera").click()
    for page in (host, guest):
        await expect(page.get_by_role("timer")).to_be_visible()
    for page in (host, guest):
        await grows(page, "video", "frames")
        await grows(page, "audio", "packets")
        await goes_by(page, "udp")
        figures = await figures_of(page)
        assert figures["sent"]["video"]["frames"] > 0
        await expect(page.get_by_text("No picture from the other party.")).to_be_hidden()
    await picture(host, ARTEFACTS, "product-call-inside")
    await picture(guest, ARTEFACTS, "product-call-guest")

    await guest.get_by_role("button", name="Hang up").click()
    await expect(host.get_by_text("The call has ended.", exact=True)).to_be_visible()
    assert await host.evaluate("document.querySelector('tg-call').peerConnection") is None

"""Two Chromium pages whose networks let no UDP out, or nothing but HTTPS, hold a call all the same."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.acceptance.blocked import SIDES, Blocked, edge_behind_a_firewall
from tests.acceptance.namespaces import Namespaces
from tests.browser.call_figures import goes_by, grows
from tests.browser.conftest import ARGUMENTS, ARTEFACTS, CHROMIUM, DEVICES, Browsing
from tests.browser.visitor import enter_lobby, invite, let_in, open_conversation, picture, sign_in

GUEST = "Gordon Guest"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def browser_in(rooms: Namespaces, side: str, folder: Path, ca_file: Path) -> AsyncIterator[Browsing]:
    """Chromium on this side of the DMZ; it trusts the edge's certificate as a workstation would."""
    home = folder / side
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = ["certutil", "-d", f"sql:{database}"]
    rooms.run(side, [*certutil, "-N", "--empty-password"])
    rooms.run(side, [*certutil, "-A", "-t", "C,,", "-n", "edge", "-i", str(ca_file)])
    launcher = folder / f"chromium-{side}"
    launcher.write_text(f'#!/bin/sh\nexec {" ".join(rooms.prefix(side))} {CHROMIUM} "$@"\n')
    launcher.chmod(0o755)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=launcher, args=ARGUMENTS + DEVICES, env={**os.environ, "HOME": str(home)}
        )
        browsing = Browsing(browser)
        yield browsing
        await browser.close()
        assert browsing.complaints == []


async def call_each_other(host: Page, guest: Page) -> None:
    await host.get_by_role("button", name="Video call").click()
    await guest.get_by_role("button", name="Answer with camera").click()
    for page in (host, guest):
        await expect(page.get_by_role("timer")).to_be_visible(timeout=30_000)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("blocked", "transport"), [("nothing", "udp"), ("udp", "tcp"), ("all but https", "tls")]
)
async def test_pages_find_the_way_that_the_network_leaves_open_and_say_which(
    tmp_path: Path, blocked: Blocked, transport: str
) -> None:
    with edge_behind_a_firewall(tmp_path, blocked) as (rooms, edge):
        inside, outside = SIDES
        async with (
            browser_in(rooms, inside, tmp_path, edge.ca_file) as workstation,
            browser_in(rooms, outside, tmp_path, edge.ca_file) as abroad,
        ):
            host = await workstation.open(edge.inside)
            alice = edge.person("alice")
            await sign_in(host, alice.login, alice.password)
            guest = await abroad.open(await invite(host, GUEST))
            await enter_lobby(guest, GUEST)
            await let_in(host, GUEST)
            await open_conversation(host, GUEST)
            await call_each_other(host, guest)
            for page in (host, guest):
                await grows(page, "video", "frames")
                await grows(page, "audio", "packets")
                await goes_by(page, transport)
                await page.get_by_text("Connection details").click()
                await expect(page.get_by_text(f"{transport} to the relay")).to_be_visible()
            await picture(host, ARTEFACTS, f"call-by-{transport}")
            await guest.get_by_role("button", name="Hang up").click()
            await expect(host.get_by_text("The call has ended.", exact=True)).to_be_visible()

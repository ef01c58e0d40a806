"""`make soak-browser`: an eleven-minute call between two Chromium pages through a served edge.

Not one media packet may be lost; the edge's own counters stand beside what the pages say.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from broker.client.http import sign_in as token_for
from broker.client.participant import join
from tests.acceptance.served_edge import ServedEdge
from tests.browser.conftest import ARGUMENTS, CHROMIUM, DEVICES, Browsing
from tests.browser.visitor import enter_lobby, let_in, open_conversation, sign_in

DEFAULT_CALL_SECONDS = 660.0
FIGURES = "() => document.querySelector('tg-call').client.media.figures()"
GUEST = "Gordon Guest"


async def _call(edge: ServedEdge, call_seconds: float) -> dict[str, Any]:
    alice = edge.person("alice")
    token = await token_for(edge.inside, alice.login, alice.password, edge.ca_file)
    async with join(edge.inside, token, edge.ca_file) as participant:
        link = (await participant.invitations.create(GUEST, "Load test")).link
    async with async_playwright() as playwright:
        arguments = [*ARGUMENTS, *DEVICES]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=arguments)
        browsing = Browsing(browser)
        host = await browsing.open(edge.inside)
        await sign_in(host, alice.login, alice.password)
        guest = await browsing.open(link)
        await enter_lobby(guest, GUEST)
        await let_in(host, GUEST)
        await open_conversation(host, GUEST)
        await host.get_by_role("button", name="Video call").click()
        await guest.get_by_role("button", name="Answer with camera").click()
        for page in (host, guest):
            await page.get_by_role("timer").wait_for()
        await asyncio.sleep(call_seconds)
        accounts = {"inside": await _figures(host), "outside": await _figures(guest)}
        await guest.get_by_role("button", name="Hang up").click()
        await host.get_by_text("The call has ended.", exact=True).wait_for()
        await browser.close()
    return accounts | {"complaints": browsing.complaints}


async def _figures(page: Page) -> dict[str, Any]:
    figures: dict[str, Any] = await page.evaluate(FIGURES)
    return figures


def run(folder: Path, call_seconds: float) -> dict[str, Any]:
    """The figures of one soak, and what is wrong with them."""
    with ServedEdge(folder) as edge:
        accounts = asyncio.run(_call(edge, call_seconds))
        status = edge.stop()
        verified = json.loads(edge.audit("verify", "--json").stdout)
        call = json.loads(edge.audit("list", "--type", "call", "--json").stdout.splitlines()[0])
    faults = [
        f"{side}: {fault}"
        for side in ("inside", "outside")
        for fault in _faults(accounts[side], call_seconds)
    ]
    if not verified["ok"] or status != 0 or accounts["complaints"]:
        faults.append("the record, the exit status or a page is not as it should be")
    return accounts | {
        "relay_packets": call["packets"],
        "record": verified,
        "edge_exit": status,
        "faults": faults,
    }


def _faults(figures: dict[str, Any], call_seconds: float) -> list[str]:
    faults = []
    path, received = figures["path"], figures["received"]
    if (path["local"], path["remote"]) != ("relay", "relay"):
        faults.append("the path is not relay/relay")
    faults += [f"{kind} packets lost" for kind in ("audio", "video") if received[kind]["lost"] != 0]
    if received["audio"]["packets"] < 45 * call_seconds or received["video"]["frames"] < 10 * call_seconds:
        faults.append("fewer packets or frames than the time holds")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=DEFAULT_CALL_SECONDS)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="turngate-soak-") as folder:
        figures = run(Path(folder), seconds)
    print(json.dumps(figures, indent=2))
    sys.exit(1 if figures["faults"] else 0)


if __name__ == "__main__":
    main()

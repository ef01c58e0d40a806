"""The alarms at the top of the console: raised and over with the product itself, said once, and no more than
text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import ARTEFACTS, Browsing
from tests.browser.test_console import console
from tests.browser.test_emergency_console import look, stop_everything
from tests.browser.visitor import picture

pytestmark = pytest.mark.asyncio(loop_scope="session")

WITHIN_MILLISECONDS = 6_000
"""The file has to lie still for half a second, the edge looks every second, the page every two."""
ALL_WELL = "Nothing needs you."
NOT_KNOWN = "What needs you now is not known. Last it was this:"
REFUSED = "The policy file cannot be used; the old policy goes on."
STOPPED = "Communication is stopped."
TURNED_AWAY = "Strangers are <b>turned away</b>."
JUMPED = "The clock of this machine jumped."
FLOOD = {
    "alarm": "flood",
    "since_ms": 1_790_000_000_000,
    "sentence": TURNED_AWAY,
    "what_to_do": "Block them in front of the edge.",
    "detail": "<i>sign-in</i> \u202egro.rekcah",
}
FACTS_OF_FLOOD = (
    "2026-09-21 14:13:20 UTC",
    "<i>sign-in</i> \ufffdgro.rekcah",
    "Block them in front of the edge.",
)
CLOCK = {
    "alarm": "clock_jumped",
    "since_ms": 1_789_999_000_000,
    "sentence": JUMPED,
    "what_to_do": "Look at its time service.",
    "detail": "",
}


def alarms(page: Page) -> Locator:
    return page.locator("tg-alarms").get_by_role("listitem")


def read_out(page: Page) -> Locator:
    return page.locator("tg-alarms").get_by_role("alert")


async def test_a_broken_policy_file_and_a_stop_are_alarms_for_as_long_as_they_last(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    carol = await console(browsing, edge, "Operator")
    auditor = await console(browsing, edge, "Auditor")
    for page in (carol, auditor):
        await expect(page.get_by_text(ALL_WELL, exact=True)).to_be_visible()
        await expect(alarms(page)).to_have_count(0)
    await look(carol, "alarms-none")

    policy_file = Path(edge["data_directory"]).parent / "policy.toml"
    policy = policy_file.read_text()
    policy_file.write_text(policy.replace('"allow"', '"perhaps"', 1))
    for page in (carol, auditor):
        await expect(alarms(page)).to_contain_text(REFUSED, timeout=WITHIN_MILLISECONDS)
        await expect(alarms(page)).to_contain_text("UTC")
        await expect(alarms(page)).to_contain_text("turngate policy check")
        await expect(read_out(page)).to_have_text(REFUSED)
        await expect(page.get_by_text(ALL_WELL)).to_be_hidden()

    await stop_everything(carol)
    await expect(alarms(carol)).to_contain_text([STOPPED, REFUSED], timeout=WITHIN_MILLISECONDS)
    await expect(read_out(carol)).to_have_count(0)
    await look(carol, "alarms-two")
    await carol.get_by_role("button", name="Ask for the lift").click()
    await expect(carol.locator("tg-emergency")).to_contain_text(
        "You have asked for the lift; another administrator has to approve it."
    )
    await expect(carol.get_by_role("button", name="Approve")).to_have_count(0)
    await look(carol, "alarms-lift-asked")
    bob = await console(browsing, edge, "Policy administrator")
    await expect(read_out(bob)).to_contain_text(REFUSED)
    await bob.get_by_role("button", name="Approve the lift asked for by carol").click()
    await expect(alarms(carol)).to_contain_text([REFUSED], timeout=WITHIN_MILLISECONDS)

    policy_file.write_text(policy)
    for page in (carol, auditor, bob):
        await expect(alarms(page)).to_have_count(0, timeout=WITHIN_MILLISECONDS)
        await expect(page.get_by_text(ALL_WELL, exact=True)).to_be_visible()


async def test_an_alarm_is_text_is_read_out_once_and_an_edge_that_is_silent_is_not_well(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    page = await browsing.open(edge["admin"])
    told: dict[str, Any] = {"signed_in": True, "role": "recovery", "login": "safe-1", "notice": ""}
    nothing: dict[str, Any] = {"stops": [], "drill": None, "zones": [], "peers": []}
    held: list[dict[str, Any]] = [CLOCK]
    await page.route("**/api/me", lambda route: route.fulfill(json=told))
    await page.route("**/api/emergency", lambda route: route.fulfill(json=nothing))
    await page.route("**/api/alarms", lambda route: route.fulfill(json={"alarms": held}))
    await page.reload()
    await expect(alarms(page)).to_contain_text([JUMPED])
    held.insert(0, FLOOD)
    await expect(read_out(page)).to_have_text(TURNED_AWAY)
    await expect(alarms(page)).to_contain_text([TURNED_AWAY, JUMPED])
    for text in FACTS_OF_FLOOD:
        await expect(alarms(page).first).to_contain_text(text)
    await expect(page.locator("tg-alarms b, tg-alarms i")).to_have_count(0)
    await look(page, "alarms-recovery-two")

    await page.unroute("**/api/alarms")
    await page.route("**/api/alarms", lambda route: route.abort())
    await expect(page.get_by_text(NOT_KNOWN)).to_be_visible()
    await expect(page.locator("tg-alarms")).to_contain_text("The edge did not answer.")
    await expect(alarms(page)).to_have_count(2)
    await picture(page, ARTEFACTS, "alarms-not-known")
    held.clear()
    await page.unroute("**/api/alarms")
    await page.route("**/api/alarms", lambda route: route.fulfill(json={"alarms": held}))
    await expect(page.get_by_text(ALL_WELL, exact=True)).to_be_visible()
    await expect(alarms(page)).to_have_count(0)
    await expect(page.get_by_text(NOT_KNOWN)).to_be_hidden()

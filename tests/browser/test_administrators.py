"""Signing in with the product itself: the notice acknowledged and on record, and administrators with the code
of their second factor."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from playwright.async_api import Page, expect

from config.sign_in import SignInSettings
from tests.acceptance.authenticator import unused_code
from tests.browser.conftest import ARTEFACTS, NARROW, WIDE, Browsing
from tests.browser.test_console import console, password, records, second_factor
from tests.browser.visitor import is_not_wider_than_its_window, picture, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

REFUSED = "What you entered is not right."


def notice_sha256() -> str:
    return hashlib.sha256(SignInSettings().notice_text.encode()).hexdigest()


async def fill(page: Page, edge: dict[str, Any], login: str, code: str) -> None:
    await page.get_by_label("Name", exact=True).fill(login)
    await page.get_by_label("Password").fill(password(edge, login))
    await page.get_by_label("Code").fill(code)


async def test_an_insider_acknowledges_the_notice_and_the_record_says_which(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    before = len(records(edge, "auth.accepted"))
    page = await browsing.open(edge["inside"])
    await page.get_by_label("Name", exact=True).fill("alice")
    await page.get_by_label("Password").fill(password(edge, "alice"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("I have read this notice")).to_be_focused()
    await expect(page.get_by_text(SignInSettings().notice_text)).to_be_visible()
    assert len(records(edge, "auth.accepted")) == before
    await sign_in(page, "alice", password(edge, "alice"))
    accepted = records(edge, "auth.accepted")[-1]["fields"]
    assert (accepted["notice_acknowledged"], accepted["notice_sha256"]) == (True, notice_sha256())


async def test_an_administrator_signs_in_with_a_code_that_is_good_once(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    page = await browsing.open(edge["admin"])
    await page.get_by_label("I have read this notice").check()
    code = await unused_code(second_factor(edge, "carol"))
    for wrong in ("", "12 34", f"{(int(code) + 1) % 1_000_000:06}"):
        await fill(page, edge, "carol", wrong)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert").filter(has_text=REFUSED)).to_be_visible()
        await expect(page.get_by_label("Code")).to_have_value("")
    await picture(page, ARTEFACTS, "administrator-refused")
    await fill(page, edge, "carol", f"{code[:3]} {code[3:]}")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("carol, operator")).to_be_visible()
    signed_in = records(edge, "admin.signed_in")[-1]["fields"]
    assert signed_in["method"] == "password and code"
    assert (signed_in["notice_acknowledged"], signed_in["notice_sha256"]) == (True, notice_sha256())

    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You have signed out.")).to_be_visible()
    await page.get_by_label("I have read this notice").check()
    await fill(page, edge, "carol", code)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert").filter(has_text=REFUSED)).to_be_visible()
    assert len(records(edge, "admin.signed_in")) == 1


async def test_whoever_breaks_the_glass_does_what_is_needed_and_everybody_sees_it(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    auditor = await console(browsing, edge, "Auditor")
    host = await browsing.open(edge["inside"])
    await sign_in(host, "alice", password(edge, "alice"))
    page = await browsing.open(edge["admin"])
    await page.get_by_label("I have read this notice").check()
    await page.get_by_label("Name", exact=True).fill(edge["break_glass"]["login"])
    await page.get_by_label("Password").fill(edge["break_glass"]["password"])
    await page.get_by_label("Role").select_option("Break-glass account")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("safe, break-glass account")).to_be_visible()
    for shown in (page, auditor):
        alarm = shown.locator("tg-alarms").get_by_text("Somebody signed in with the break-glass account.")
        await expect(alarm.first).to_be_visible()
    await picture(page, ARTEFACTS, "break-glass")
    await picture(auditor, ARTEFACTS, "break-glass-auditor")
    await expect(page.get_by_role("button", name="Apply")).to_be_visible()
    await page.get_by_role("button", name="End the connection").first.click()
    await page.locator("tg-sessions").get_by_role("button", name="now").click()
    await expect(host.get_by_text("An operator of your organisation ended this.").first).to_be_visible()
    async with asyncio.timeout(10):  # what narrows is entered soon, not at once
        while not (ended := records(edge, "admin.session_ended")):
            await page.wait_for_timeout(100)
    assert ended[-1]["fields"]["role"] == "break_glass"


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_door_of_the_console_fits_its_window(
    browsing: Browsing, edge: dict[str, Any], size: tuple[int, int], scheme: str
) -> None:
    page = await browsing.open(edge["admin"], size, scheme="dark" if scheme == "dark" else "light")
    await expect(page.get_by_label("I have read this notice")).to_be_focused()
    assert await is_not_wider_than_its_window(page)
    await picture(page, ARTEFACTS, f"administrator-sign-in-{size[0]}-{scheme}")

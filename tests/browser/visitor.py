"""What people do on the pages, in their words."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser.fake_edge import PASSWORD

UNTIL_SECONDS = 60
POLL_MILLISECONDS = 200


async def sign_in(page: Page, login: str, password: str = PASSWORD) -> None:
    await page.get_by_label("I have read this notice").check()
    await page.get_by_label("Name", exact=True).fill(login)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Connected", exact=True)).to_be_visible()


async def acknowledge(page: Page, name: str) -> None:
    await page.get_by_label("Your name").fill(name)
    await page.get_by_label("I have read this notice").check()
    await page.get_by_role("button", name="Continue").click()


async def enter_lobby(page: Page, name: str, way: str = "Join with camera and microphone") -> None:
    await acknowledge(page, name)
    await page.get_by_role("button", name=way).click()
    await expect(page.get_by_role("heading", name="Please wait")).to_be_visible()


async def ask_for_an_invitation(host: Page, name: str, purpose: str = "A talk") -> None:
    await host.get_by_role("heading", name="Invite a guest").click()
    await host.get_by_label("Guest's name").fill(name)
    await host.get_by_label("What for").fill(purpose)


async def invite(host: Page, name: str) -> str:
    """The link for a guest, as the page shows it once."""
    await ask_for_an_invitation(host, name)
    await host.get_by_role("button", name="Create invitation").click()
    return await host.get_by_label(f"Link for {name}").input_value()


async def let_in(host: Page, name: str) -> None:
    await host.get_by_role("button", name=f"Let in {name}").click()


async def open_conversation(page: Page, name: str) -> None:
    await page.locator("tg-contacts").get_by_role("button", name=name).click()
    await expect(page.locator("tg-chat").get_by_role("heading", name=name)).to_be_visible()


async def write(page: Page, text: str) -> None:
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_role("button", name="Send").click()


async def picture(page: Page, folder: Path, name: str) -> None:
    """A screenshot for people to look at."""
    await page.screenshot(path=folder / f"{name}.png")


async def until(page: Page, expression: str, argument: object = None) -> None:
    """Wait until the page says so. Its answer may be a promise, which `wait_for_function` would not await."""
    async with asyncio.timeout(UNTIL_SECONDS):
        while not await page.evaluate(expression, argument):
            await page.wait_for_timeout(POLL_MILLISECONDS)


async def is_not_wider_than_its_window(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

"""The emergency stop with the product itself: rehearsed, pressed, seen on both sides, obeyed by the pages,
and lifted by two people."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, expect

from broker.core.answers import RETURN_AFTER_SECONDS, RETURN_SPREAD_SECONDS
from tests.browser.conftest import ARTEFACTS, Browsing
from tests.browser.test_call import host_and_guest
from tests.browser.test_console import call, console, password, records
from tests.browser.visitor import acknowledge, is_not_wider_than_its_window, picture

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENTENCE = "This has been stopped for now by the organisation."
BY_STOP = "The call was ended by an emergency stop of the organisation."
HOLDS = "Nothing that this covers is let through until two administrators lift it."
REASON = "Malware <b>on</b> \u202ethe phones"
AS_SHOWN = "Malware <b>on</b> \ufffdthe phones"
OPEN = "1 call, 2 connections and 2 visits of guests"
"""The guest's, and one that the demo left behind."""
SHORTEST_WAIT_SECONDS = RETURN_AFTER_SECONDS
LONGEST_WAIT_SECONDS = RETURN_AFTER_SECONDS + RETURN_SPREAD_SECONDS
QUIET_MILLISECONDS = 5_000
NARROW_CONSOLE = {"width": 800, "height": 800}


async def look(page: Page, name: str) -> None:
    """Pictures of the console at both widths."""
    wide = page.viewport_size
    assert wide is not None
    for size, suffix in ((wide, ""), (NARROW_CONSOLE, "-800")):
        await page.set_viewport_size({"width": size["width"], "height": size["height"]})
        assert await is_not_wider_than_its_window(page)
        await picture(page, ARTEFACTS, f"{name}{suffix}")
    await page.set_viewport_size({"width": wide["width"], "height": wide["height"]})


async def stop_everything(operator: Page, reason: str = "") -> None:
    await operator.get_by_label("Reason").fill(reason)
    await operator.get_by_role("button", name="Stop now").click()
    await operator.get_by_role("dialog").get_by_role("button", name="Stop everything").click()
    await expect(card(operator)).to_contain_text(HOLDS)


def card(page: Page) -> Locator:
    return page.get_by_role("region", name="Stop of everything")


def banner(page: Page) -> Locator:
    return page.get_by_role("alert").filter(has_text="Stopped: everything.")


async def asked_by_nobody(route: Route) -> None:
    answer = await route.fetch()
    told = await answer.json()
    await route.fulfill(json=told | {"stops": [stop | {"lift": None} for stop in told["stops"]]})


async def test_an_operator_rehearses_and_stops_everything_and_two_people_lift_it(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    host, guest = await host_and_guest(browsing, edge)
    await call(host, guest)
    carol = await console(browsing, edge, "Operator")
    await expect(carol.get_by_text("Nothing is stopped.")).to_be_visible()
    await expect(banner(carol)).to_be_hidden()
    await carol.get_by_role("button", name="Rehearse").click()
    rehearsed = carol.get_by_role("status").filter(has_text="a stop of everything would have ended")
    await expect(rehearsed).to_contain_text(OPEN)
    await expect(host.get_by_role("timer")).to_be_visible()
    await look(carol, "emergency-nothing")

    await carol.get_by_label("Reason").fill(REASON)
    stop_now = carol.get_by_role("button", name="Stop now")
    await stop_now.click()
    dialog = carol.get_by_role("dialog", name="Stop everything?")
    await expect(dialog).to_contain_text(AS_SHOWN)
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await picture(carol, ARTEFACTS, "emergency-question")
    await carol.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    await expect(stop_now).to_be_focused()
    await expect(carol.get_by_text("Nothing is stopped.")).to_be_visible()
    for key in ("Enter", "Tab", "Enter"):
        await carol.keyboard.press(key)

    await expect(banner(carol)).to_be_visible()
    for text in (HOLDS, AS_SHOWN, OPEN, "at the console"):
        await expect(card(carol)).to_contain_text(text)
    await expect(card(carol).locator("dd").last).to_contain_text(re.compile(r"^\d{4}-\d\d-\d\d .* UTC$"))
    await expect(card(carol).locator("b")).to_have_count(0)
    await look(carol, "emergency-stopped")
    for page in (host, guest):
        await expect(page.locator("tg-call")).to_contain_text(BY_STOP)

    bob = await console(browsing, edge, "Policy administrator")
    auditor = await console(browsing, edge, "Auditor")
    await expect(banner(auditor)).to_be_visible()
    await expect(auditor.locator("tg-emergency").get_by_role("button")).to_have_count(0)
    await carol.get_by_role("button", name="Ask for the lift").click()
    approve = "Approve the lift asked for by carol"
    for page in (bob, auditor):
        await expect(card(page)).to_contain_text("carol has asked for the lift.")
    await expect(card(carol)).to_contain_text("You have asked for the lift; another administrator has to")
    await expect(card(carol).get_by_role("button")).to_have_count(0)
    await look(carol, "emergency-lift")
    # As from a page that does not know who asked: the edge refuses, and what it said stays to be read.
    await carol.route("**/api/emergency", asked_by_nobody)
    await card(carol).get_by_role("button", name="Ask for the lift").click()
    await expect(carol.locator("tg-emergency")).to_contain_text("Somebody else has to approve this.")
    await carol.wait_for_timeout(QUIET_MILLISECONDS)
    await expect(carol.locator("tg-emergency")).to_contain_text("Somebody else has to approve this.")
    await expect(card(carol)).to_be_visible()
    await carol.unroute("**/api/emergency")

    await card(bob).get_by_role("button", name=approve).click()
    for page in (bob, carol, auditor):
        await expect(page.get_by_text("Nothing is stopped.")).to_be_visible()
        await expect(banner(page)).to_be_hidden()
    (lifted,) = records(edge, "emergency.lifted")
    assert lifted["fields"]["user"] != lifted["fields"]["requested_by"]


async def test_the_form_names_what_it_would_stop_and_says_what_there_is_not(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    page = await console(browsing, edge, "Operator")
    kind = page.get_by_label("Stop", exact=True)
    for chosen, label, value, words in (
        ("A person", "Login of the person", "alice", "all that the person alice takes part in"),
        ("A peer's guests", "Domain", "acme.example", "all guests of acme.example"),
        ("A kind of communication", "Kind", "Screen sharing", "screen sharing"),
    ):
        await kind.select_option(chosen)
        wanted = page.get_by_label(label, exact=True)
        if chosen == "A kind of communication":
            await wanted.select_option(value)
        else:
            await page.get_by_role("button", name="Stop now").click()
            await expect(page.get_by_role("dialog")).to_be_hidden()
            await wanted.fill(value)
        await page.get_by_role("button", name="Stop now").click()
        await expect(page.get_by_role("dialog", name=f"Stop {words}?")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Rehearse").click()
        await expect(page.get_by_role("status").filter(has_text=f"a stop of {words} would")).to_be_visible()
    await kind.select_option("A zone")
    await page.get_by_role("button", name="Stop now").click()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await kind.select_option("A person")
    await page.get_by_label("Login of the person").fill("a/b")
    await page.get_by_role("button", name="Rehearse").click()
    await expect(page.get_by_text("There is no such thing to stop.")).to_be_visible()


async def test_pages_that_are_online_say_why_and_until_when_and_ask_nothing_before(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    host, guest = await host_and_guest(browsing, edge)
    operator = await console(browsing, edge, "Operator")
    asked: list[str] = []
    for page in (host, guest):
        await page.clock.install()
    await stop_everything(operator)
    for page in (host, guest):
        await expect(page.locator("tg-stopped")).to_contain_text(SENTENCE)
        await expect(page.locator("tg-stopped")).to_contain_text(
            re.compile(r"connects again by itself at \d")
        )
        await expect(page.get_by_role("button", name="Try now")).to_be_hidden()
        page.on("websocket", lambda socket: asked.append(socket.url))
        page.on("request", lambda request: asked.append(request.url))
    await picture(host, ARTEFACTS, "stopped-inside")
    await picture(guest, ARTEFACTS, "stopped-guest")
    for page in (host, guest):
        # What makes a page that lost its link try at once.
        await page.evaluate("window.dispatchEvent(new Event('online'))")
        await page.evaluate("document.querySelector('tg-connection button').click()")
        await page.wait_for_timeout(QUIET_MILLISECONDS)
        await page.clock.fast_forward((SHORTEST_WAIT_SECONDS // 2) * 1000)
        await page.wait_for_timeout(500)
    assert asked == []

    for page in (host, guest):
        await page.clock.fast_forward(LONGEST_WAIT_SECONDS * 1000)
    await expect(host.get_by_role("button", name="Sign in")).to_be_visible()
    await expect(host.get_by_text(f"{SENTENCE} It also ended your sign-in.")).to_be_visible()
    await expect(guest.get_by_text(f"{SENTENCE} It also ended your visit.")).to_be_visible()
    assert sum(url.startswith("wss:") for url in asked) == 2, asked
    await picture(host, ARTEFACTS, "stopped-inside-back")
    await picture(guest, ARTEFACTS, "stopped-guest-back")


async def test_who_comes_while_it_is_stopped_is_told_when_to_come_back(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    await stop_everything(await console(browsing, edge, "Operator"))
    insider = await browsing.open(edge["inside"])
    await insider.clock.install()
    await insider.get_by_label("I have read this notice").check()
    await insider.get_by_label("Name", exact=True).fill("alice")
    await insider.get_by_label("Password").fill(password(edge, "alice"))
    await insider.get_by_role("button", name="Sign in").click()
    guest = await browsing.open(edge["guest_link"])
    await guest.clock.install()
    await acknowledge(guest, "Gordon")
    await guest.get_by_role("button", name="Join without camera or microphone").click()
    for page, name in ((insider, "Sign in"), (guest, "Continue")):
        await expect(page.get_by_role("alert").filter(has_text=SENTENCE)).to_be_visible()
        await expect(
            page.get_by_text(re.compile(r"You can try again at \d.*, and not before\."))
        ).to_be_visible()
        await expect(page.get_by_role("button", name=name)).to_be_disabled()
        await picture(page, ARTEFACTS, f"stopped-{'sign-in' if page is insider else 'redeem'}")
        await page.clock.fast_forward(LONGEST_WAIT_SECONDS * 1000)
        await expect(page.get_by_role("button", name=name)).to_be_enabled()
        await expect(page.get_by_text("You can try again now.")).to_be_visible()


async def test_a_recovery_account_is_shown_alarms_and_the_emergency_stop_and_nothing_else(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    page = await browsing.open(edge["admin"])
    await page.get_by_label("Role").select_option("Recovery account")
    told: dict[str, Any] = {"signed_in": True, "role": "recovery", "login": "safe-1", "notice": ""}
    of_a_file = {
        "scope": "zone:<i>plant</i>",
        "since_ms": 0,
        "how": "latch",
        "by": None,
        "told_by": "<b>olga</b>",
        "reason": None,
        "known": False,
        "ended": None,
        "packets": None,
        "last_packet_ms": None,
        "lift": None,
    }
    state = {"stops": [of_a_file], "drill": None, "zones": ["<i>plant</i>"], "peers": []}
    await page.route("**/api/me", lambda route: route.fulfill(json=told))
    await page.route("**/api/emergency", lambda route: route.fulfill(json=state))
    await page.route("**/api/alarms", lambda route: route.fulfill(json={"alarms": []}))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.reload()
    await expect(page.get_by_text("safe-1, recovery account")).to_be_visible()
    region = page.get_by_role("region")
    await expect(region).to_contain_text("Stopped: all of the zone <i>plant</i>")
    await expect(region).to_contain_text("a file on the edge's machine, by <b>olga</b>")
    await expect(region).to_contain_text("now it covers nobody")
    await expect(page.locator("tg-emergency b, tg-emergency i")).to_have_count(0)
    await expect(page.locator(".pages > :not([hidden])")).to_have_count(2)
    await expect(page.get_by_role("button", name="Ask for the lift")).to_be_visible()
    assert not any("/api/policy" in url or "/api/sessions" in url for url in asked)

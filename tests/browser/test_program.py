"""A page whose program the policy refuses or warns of, with the product itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from broker.cli.demo_house import write_policy
from tests.acceptance.served_edge import ServedEdge
from tests.browser.conftest import ARTEFACTS, NARROW, WIDE, Browsing
from tests.browser.visitor import (
    acknowledge,
    enter_lobby,
    invite,
    is_not_wider_than_its_window,
    let_in,
    open_conversation,
    picture,
    sign_in,
    write,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINK = "https://get.example/turngate"
MESSAGE = "Version 9 is here. <b>Please</b> get it from the help desk."
IN_FORCE_SECONDS = 10
Edge = Callable[[str], ServedEdge]


def clients(effect: str, side: str = "both") -> str:
    return (
        '\n[clients]\notherwise = "allow"\n[[clients.programs]]\nname = "turngate-web"\n'
        f'side = "{side}"\nversions = "<9"\neffect = "{effect}"\nlink = "{LINK}"\nmessage = "{MESSAGE}"\n'
    )


@pytest.fixture
def edge_of(tmp_path: Path) -> Iterator[Edge]:
    """The product as a service, under the demo's policy with these lines after it."""
    served = ServedEdge(tmp_path)

    def start(lines: str) -> ServedEdge:
        policy = tmp_path / "policy.toml"
        write_policy(policy)
        policy.write_text(policy.read_text() + lines)
        served.start()
        return served

    try:
        yield start
    finally:
        if served.process is not None:
            served.stop()


def rewrite_policy(edge: ServedEdge, revision: int, lines: str) -> None:
    write_policy(edge.folder / "policy.new")
    text = (edge.folder / "policy.new").read_text().replace("revision = 1\n", f"revision = {revision}\n", 1)
    (edge.folder / "policy.new").write_text(text + lines)
    (edge.folder / "policy.new").replace(edge.folder / "policy.toml")


async def in_force(page: Page, edge: ServedEdge, revision: int) -> None:
    async with asyncio.timeout(IN_FORCE_SECONDS):
        while f'"revision": {revision}' not in edge.log():
            await page.wait_for_timeout(50)


async def tells(page: Page) -> Locator:
    """The notice or the banner, with the message as it was written and the link as an address."""
    told = page.locator("tg-program")
    await expect(told.get_by_text(MESSAGE, exact=True)).to_be_visible()
    link = told.get_by_role("link", name=LINK)
    await expect(link).to_have_attribute("href", LINK)
    await expect(link).to_have_attribute("rel", "noopener noreferrer")
    return told


async def is_refused(page: Page, name: str) -> None:
    """The notice, for good: the page does not try again by itself."""
    told = await tells(page)
    heading = told.get_by_role("heading", name="This version of the program is not allowed here.")
    await expect(heading).to_be_focused()
    await expect(page.locator(".panes")).to_be_hidden()
    await expect(page.locator("tg-problems li")).to_have_count(0)
    await expect(page.locator("tg-connection")).to_have_attribute("data-link", "ended")
    for size in (WIDE, NARROW):
        await page.set_viewport_size({"width": size[0], "height": size[1]})
        assert await is_not_wider_than_its_window(page)
        await picture(page, ARTEFACTS, f"program-{name}-{size[0]}")


async def signed_in(browsing: Browsing, edge: ServedEdge, login: str) -> Page:
    page = await browsing.open(edge.inside)
    person = edge.person(login)
    await sign_in(page, person.login, person.password)
    return page


async def test_a_refused_page_inside_says_so_and_still_lets_its_person_sign_out(
    browsing: Browsing, edge_of: Edge
) -> None:
    edge = edge_of(clients("refuse"))
    page = await browsing.open(edge.inside)
    person = edge.person("alice")
    await page.get_by_label("I have read this notice").check()
    await page.get_by_label("Name", exact=True).fill(person.login)
    await page.get_by_label("Password").fill(person.password)
    await page.get_by_role("button", name="Sign in").click()
    await is_refused(page, "refused-inside")
    await page.get_by_role("button", name="Try now").click()
    await is_refused(page, "refused-inside")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You have signed out.")).to_be_visible()
    await expect(page.locator("tg-program")).to_be_hidden()


async def test_a_refused_guests_page_says_so_instead_of_waiting(browsing: Browsing, edge_of: Edge) -> None:
    edge = edge_of(clients("refuse", "guest"))
    host = await signed_in(browsing, edge, "alice")
    guest = await browsing.open(await invite(host, "Grace Guest"))
    await acknowledge(guest, "Grace Guest")
    await guest.get_by_role("button", name="Join with camera and microphone").click()
    await is_refused(guest, "refused-guest")
    await expect(host.get_by_role("button", name="Let in Grace Guest")).to_be_hidden()
    await guest.get_by_role("button", name="Leave").click()
    await expect(guest.get_by_role("heading", name="Your visit")).to_be_visible()


async def test_pages_that_a_new_policy_refuses_say_so_and_go_on_once_it_is_taken_back(
    browsing: Browsing, edge_of: Edge
) -> None:
    edge = edge_of("")
    host = await signed_in(browsing, edge, "alice")
    guest = await browsing.open(await invite(host, "Grace Guest"))
    await enter_lobby(guest, "Grace Guest")
    await let_in(host, "Grace Guest")
    rewrite_policy(edge, 2, clients("refuse", "guest"))
    await is_refused(guest, "refused-in-the-middle")
    await expect(host.locator("tg-program")).to_be_hidden()
    await expect(guest.get_by_role("button", name="Try now")).to_be_visible()
    rewrite_policy(edge, 3, "")
    await in_force(guest, edge, 3)
    await guest.get_by_role("button", name="Try now").click()
    await expect(guest.get_by_text("Connected", exact=True)).to_be_visible()
    await expect(guest.locator("tg-program")).to_be_hidden()
    await expect(guest.locator("tg-chat")).to_be_visible()


async def test_warned_pages_say_so_and_go_on_working(browsing: Browsing, edge_of: Edge) -> None:
    edge = edge_of(clients("warn"))
    host = await signed_in(browsing, edge, "alice")
    await tells(host)
    guest = await browsing.open(await invite(host, "Grace Guest"))
    await enter_lobby(guest, "Grace Guest")
    await let_in(host, "Grace Guest")
    await open_conversation(host, "Grace Guest")
    await write(host, "hello from inside")
    await expect(guest.get_by_text("hello from inside")).to_be_visible()
    for page, name in ((host, "inside"), (guest, "guest")):
        told = await tells(page)
        await expect(told.get_by_role("heading")).to_have_count(0)
        for size in (NARROW, WIDE):
            await page.set_viewport_size({"width": size[0], "height": size[1]})
            assert await is_not_wider_than_its_window(page)
            await expect(page.get_by_role("button", name="Send")).to_be_in_viewport()
            await picture(page, ARTEFACTS, f"program-warned-{name}-{size[0]}")
        await told.get_by_role("button", name="Dismiss").click()
        await expect(told).to_be_hidden()
    await write(guest, "hello from outside")
    await expect(host.get_by_text("hello from outside")).to_be_visible()

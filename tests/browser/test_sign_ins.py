"""Where one is signed in, on the page, with the product itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from broker.client.http import sign_in as sign_in_program
from broker.client.participant import join
from tests.acceptance.served_edge import ServedEdge
from tests.browser.conftest import ARTEFACTS, NARROW, WIDE, Browsing
from tests.browser.visitor import is_not_wider_than_its_window, picture, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKUP = "<b onclick=alert(1)>tool</b>"


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[ServedEdge]:
    with ServedEdge(tmp_path) as served:
        yield served


async def signed_in(browsing: Browsing, edge: ServedEdge, scheme: str = "light") -> Page:
    page = await browsing.open(edge.inside, scheme="dark" if scheme == "dark" else "light")
    alice = edge.person("alice")
    await sign_in(page, alice.login, alice.password)
    return page


async def opened(page: Page) -> Locator:
    """The rows of the list, asked for anew."""
    await page.get_by_role("heading", name="Where you are signed in").click()
    return page.locator("tg-sign-ins li")


async def test_a_person_ends_their_sign_in_on_another_page(browsing: Browsing, edge: ServedEdge) -> None:
    left_open, page = await signed_in(browsing, edge), await signed_in(browsing, edge)
    rows = await opened(page)
    await expect(rows).to_have_count(2)
    await expect(rows.filter(has_text="This one")).to_have_count(1)
    await expect(rows.filter(has_text="This one").get_by_role("button")).to_have_count(0)
    await page.get_by_role("button", name="End the sign-in from 127.0.0.0/24").click()
    await expect(rows).to_have_count(1)
    await expect(page.get_by_role("button", name="End all others")).to_be_hidden()
    await expect(left_open.get_by_text("This sign-in was ended from another of yours.")).to_be_visible()
    await expect(left_open.get_by_role("button", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_list_fits_its_window_and_what_programs_say_is_text(
    browsing: Browsing, edge: ServedEdge, scheme: str
) -> None:
    alice = edge.person("alice")
    unused = await sign_in_program(edge.inside, alice.login, alice.password, edge.ca_file)
    token = await sign_in_program(edge.inside, alice.login, alice.password, edge.ca_file)
    async with join(edge.inside, token, edge.ca_file, (MARKUP, "0" * 32)):
        page = await signed_in(browsing, edge, scheme)
        rows = await opened(page)
        await expect(rows).to_have_count(3)
        await expect(rows.get_by_text(f"{MARKUP} {'0' * 32}")).to_be_visible()
        await expect(rows.get_by_text("Not used yet")).to_be_visible()
        for size in (WIDE, NARROW):
            await page.set_viewport_size({"width": size[0], "height": size[1]})
            await rows.last.scroll_into_view_if_needed()
            assert await is_not_wider_than_its_window(page)
            await picture(page, ARTEFACTS, f"sign-ins-{size[0]}-{scheme}")
        await page.get_by_role("button", name="End all others").click()
        await expect(rows).to_have_count(1)
    assert unused

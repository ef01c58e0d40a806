"""Security keys with the product itself, at a page that has a host name: added after a code, used instead of
one, removed. The keys are the browser's own virtual authenticators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from playwright.async_api import CDPSession, Page, expect

from tests.browser.conftest import ARTEFACTS, NARROW, WIDE, Browsing
from tests.browser.visitor import is_not_wider_than_its_window, picture
from tests.edge.bench_house import password_of, with_house
from tests.edge.edge_bench import Bench, running_bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG_NAME = "W" * 64
KNOWS_ITS_PERSON: dict[str, Any] = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@asynccontextmanager
async def named_edge(folder: Path) -> AsyncIterator[Bench]:
    async with running_bench(with_house(folder).with_host_name()) as bench:
        yield bench


@dataclass
class Authenticator:
    """A key in this page's browser."""

    cdp: CDPSession
    id: str

    @classmethod
    async def plugged_in(cls, page: Page) -> Self:
        cdp = await page.context.new_cdp_session(page)
        await cdp.send("WebAuthn.enable")
        added = await cdp.send("WebAuthn.addVirtualAuthenticator", {"options": KNOWS_ITS_PERSON})
        return cls(cdp, added["authenticatorId"])

    async def pulled_out(self) -> None:
        await self.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.id})

    async def knows_its_person(self, known: bool) -> None:
        """Whether the right finger is on it."""
        verified = {"authenticatorId": self.id, "isUserVerified": known}
        await self.cdp.send("WebAuthn.setUserVerified", verified)

    async def credentials(self) -> list[dict[str, Any]]:
        found = await self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        return list(found["credentials"])


async def fill(page: Page) -> None:
    await page.get_by_label("I have read this notice").check()
    await page.get_by_label("Name", exact=True).fill("carol")
    await page.get_by_label("Password").fill(password_of("carol"))


async def sign_in_with_code(page: Page, bench: Bench) -> None:
    await fill(page)
    await page.get_by_label("Code").fill(bench.new_code("carol"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("carol, operator")).to_be_visible()


async def sign_in_with_key(page: Page) -> None:
    await fill(page)
    await page.get_by_label("Second factor", exact=True).select_option("Security key")
    await expect(page.get_by_label("Code")).to_be_hidden()
    await page.get_by_role("button", name="Sign in").click()


async def sign_out(page: Page) -> None:
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You have signed out.")).to_be_visible()


async def add_key(page: Page, name: str) -> None:
    await page.get_by_label("Name of the new key").fill(name)
    await page.get_by_role("button", name="Add a security key").click()


def methods(bench: Bench) -> list[str]:
    return [record["fields"]["method"] for record in bench.records("admin.signed_in")]


async def test_a_key_is_added_after_a_code_signs_in_instead_of_one_and_is_removed(
    browsing: Browsing, tmp_path: Path
) -> None:
    async with named_edge(tmp_path) as bench:
        page = await browsing.open(bench.admin)
        key = await Authenticator.plugged_in(page)
        await sign_in_with_code(page, bench)
        keys = page.get_by_role("list", name="Your security keys").get_by_role("listitem")
        await expect(page.get_by_text("You have none.")).to_be_visible()
        await add_key(page, "Blue <b>key</b>")
        await expect(keys).to_have_count(1)
        await expect(keys).to_contain_text("Blue <b>key</b>")
        await expect(keys).to_contain_text("not used yet")
        (held,) = await key.credentials()
        assert (held["isResidentCredential"], held["rpId"]) == (True, "localhost")
        assert len(bench.records("admin.key_enrolled")) == 1

        await add_key(page, "The same key again")
        await expect(page.get_by_text("No security key was added.")).to_be_visible()
        await expect(keys).to_have_count(1)

        await sign_out(page)
        await sign_in_with_key(page)
        await expect(page.get_by_text("carol, operator")).to_be_visible()
        assert methods(bench) == ["password and code", "password and security key"]
        await expect(keys).to_contain_text("last used")

        await page.get_by_role("button", name="Remove the key Blue").click()
        await page.get_by_role("button", name="Remove the key Blue <b>key</b> now").click()
        await expect(page.get_by_text("You have none.")).to_be_visible()
        await bench.recorded("admin.key_removed")
        await sign_out(page)
        await sign_in_with_key(page)
        await expect(
            page.get_by_role("alert").filter(has_text="What you entered is not right.")
        ).to_be_visible()
        await picture(page, ARTEFACTS, "security-key-refused")
        assert len(methods(bench)) == 2


async def test_a_key_that_does_not_know_its_person_is_neither_added_nor_used(
    browsing: Browsing, tmp_path: Path
) -> None:
    async with named_edge(tmp_path) as bench:
        page = await browsing.open(bench.admin)
        key = await Authenticator.plugged_in(page)
        await sign_in_with_code(page, bench)
        await key.knows_its_person(False)
        await add_key(page, "Blue")
        await expect(page.get_by_text("No security key was added.")).to_be_visible()
        assert bench.records("admin.key_enrolled") == []
        await key.knows_its_person(True)
        await add_key(page, "Blue")
        await expect(page.get_by_label("Name of the new key")).to_have_value("")
        await key.knows_its_person(False)
        await sign_out(page)
        await sign_in_with_key(page)
        await expect(page.get_by_text("No security key was used.")).to_be_visible()
        await expect(page.get_by_label("Password")).to_have_value(password_of("carol"))
        assert methods(bench) == ["password and code"]


async def test_a_page_that_has_an_address_says_that_keys_need_a_name(
    browsing: Browsing, tmp_path: Path
) -> None:
    async with running_bench(with_house(tmp_path)) as bench:
        page = await browsing.open(bench.admin)
        await expect(page.get_by_label("Second factor", exact=True)).to_be_hidden()
        await sign_in_with_code(page, bench)
        told = "Security keys need a page with a host name; this one is reached by an address."
        await expect(page.get_by_text(told)).to_be_visible()
        await expect(page.get_by_role("button", name="Add a security key")).to_be_hidden()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_door_and_the_list_fit_their_window(
    browsing: Browsing, tmp_path: Path, size: tuple[int, int], scheme: str
) -> None:
    async with named_edge(tmp_path) as bench:
        page = await browsing.open(bench.admin, size, scheme="dark" if scheme == "dark" else "light")
        await page.get_by_label("Second factor", exact=True).select_option("Security key")
        assert await is_not_wider_than_its_window(page)
        await picture(page, ARTEFACTS, f"security-key-sign-in-{size[0]}-{scheme}")
        await page.get_by_label("Second factor", exact=True).select_option("Authenticator app")
        await sign_in_with_code(page, bench)
        for name in ("Blue", LONG_NAME):
            key = await Authenticator.plugged_in(page)
            await add_key(page, name)
            await expect(page.get_by_label("Name of the new key")).to_have_value("")
            await key.pulled_out()
        await page.get_by_role("button", name="Remove the key Blue").click()
        await page.locator("tg-security-keys").scroll_into_view_if_needed()
        assert await is_not_wider_than_its_window(page)
        await picture(page, ARTEFACTS, f"security-keys-{size[0]}-{scheme}")

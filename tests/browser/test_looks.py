"""Every view at desk and phone width, light and dark: nothing sticks out, pictures are kept to look at."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from broker.core.frames import LobbyLeft, LobbyWaiting
from tests.browser.conftest import ARTEFACTS, NARROW, WIDE, Browsing
from tests.browser.fake_edge import INVITATION, FakeEdge, contact, waiting
from tests.browser.visitor import (
    acknowledge,
    ask_for_an_invitation,
    is_not_wider_than_its_window,
    let_in,
    open_conversation,
    picture,
    sign_in,
    write,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = "A very long word comes now: " + "Donaudampfschifffahrtsgesellschaft" * 6


async def _look(page: Page, name: str) -> None:
    await picture(page, ARTEFACTS, name)
    assert await is_not_wider_than_its_window(page), name


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_view_fits_its_window(
    browsing: Browsing, house: FakeEdge, size: tuple[int, int], scheme: str
) -> None:
    suffix = f"{size[0]}-{scheme}"
    host = await browsing.open(house.inside, size, scheme="dark" if scheme == "dark" else "light")
    await expect(host.get_by_role("button", name="Sign in")).to_be_visible()
    await _look(host, f"inside-1-sign-in-{suffix}")
    await sign_in(host, "alice")
    await _look(host, f"inside-2-contacts-{suffix}")
    await ask_for_an_invitation(host, "Grace Guest", "Contract review")
    await host.get_by_label("Guest's e-mail address").fill("grace.guest@partner.example")
    await host.get_by_role("button", name="Create invitation").click()
    await expect(host.get_by_label("Link for Grace Guest")).to_be_visible()
    await _look(host, f"inside-3-invitation-{suffix}")
    await host.locator("tg-invitations li").scroll_into_view_if_needed()
    await _look(host, f"inside-3-invitation-on-the-list-{suffix}")

    guest = await browsing.open(
        f"{house.outside}/#{INVITATION}", size, scheme="dark" if scheme == "dark" else "light"
    )
    await expect(guest.get_by_role("heading", name="You are invited")).to_be_visible()
    await _look(guest, f"guest-1-notice-{suffix}")
    await acknowledge(guest, "Grace Guest with a rather long family name")
    await _look(guest, f"guest-2-devices-{suffix}")
    await guest.get_by_role("button", name="Try camera and microphone").click()
    await expect(guest.get_by_text("Camera and microphone work.")).to_be_visible()
    await _look(guest, f"guest-3-preview-{suffix}")
    await guest.get_by_role("button", name="Join with camera and microphone").click()
    await expect(guest.get_by_role("heading", name="Please wait")).to_be_visible()
    await _look(guest, f"guest-4-lobby-{suffix}")
    await host.get_by_role("heading", name="Waiting in the lobby").scroll_into_view_if_needed()
    await _look(host, f"inside-4-lobby-{suffix}")
    another = contact("g-2", "Alice Ahrens", "guest").model_copy(update={"invited_as": "Eve Example"})
    await house.say("p-alice", LobbyWaiting(waiting=waiting(another)))
    await expect(host.get_by_role("button", name="Let all in")).to_be_visible()
    await _look(host, f"inside-4-lobby-of-two-{suffix}")
    await house.say("p-alice", LobbyLeft(guest="g-2"))

    await let_in(host, "Grace")
    await open_conversation(host, "Grace")
    await write(host, "Good morning. Shall we begin?")
    await write(guest, LONG)
    await expect(host.get_by_role("log")).to_contain_text("Donaudampf")
    await _look(host, f"inside-5-chat-{suffix}")
    await _look(guest, f"guest-5-chat-{suffix}")

    await host.get_by_role("button", name="Video call").click()
    await expect(guest.get_by_role("heading", name="Incoming video call")).to_be_visible()
    await _look(guest, f"guest-6-ring-{suffix}")
    await guest.get_by_role("button", name="Answer with camera").click()
    await expect(host.get_by_text("Connecting sound and picture")).to_be_visible()
    await _look(host, f"inside-6-call-{suffix}")
    await _look(guest, f"guest-7-call-{suffix}")
    await guest.get_by_role("button", name="Hang up").click()
    await expect(host.get_by_text("The call has ended.", exact=True)).to_be_visible()
    await _look(host, f"inside-7-ended-{suffix}")

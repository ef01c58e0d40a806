"""The guest's page: what an outsider meets between the link and the conversation."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from broker.core.client_frames import CallInvite, LobbyRefuse
from broker.core.frames import CallRing, ChatMessage
from tests.browser.conftest import Browsing
from tests.browser.fake_edge import CONTACT, INVITATION, NOTICE, SENT_AT_MS, FakeEdge
from tests.browser.visitor import acknowledge, enter_lobby, let_in, sign_in, write

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _open(browsing: Browsing, house: FakeEdge) -> Page:
    return await browsing.open(f"{house.outside}/#{INVITATION}")


async def _inside(browsing: Browsing, house: FakeEdge, way: str = "Join with camera and microphone") -> Page:
    guest = await _open(browsing, house)
    house.guest_admitted = True
    await acknowledge(guest, "Grace")
    await guest.get_by_role("button", name=way).click()
    await expect(guest.get_by_role("heading", name="Alice Ahrens")).to_be_visible()
    return guest


async def _rings(house: FakeEdge, media: list[str]) -> None:
    ring = {"call_id": "c-1", "caller": house.people["alice"], "media": media}
    await house.say("g-1", CallRing.model_validate(ring))


async def test_the_secret_leaves_the_address_bar_and_opening_the_page_redeems_nothing(
    browsing: Browsing, house: FakeEdge
) -> None:
    guest = await _open(browsing, house)
    await expect(guest.get_by_text(NOTICE)).to_be_visible()
    await expect(guest.get_by_text(CONTACT)).to_be_visible()
    assert guest.url == f"{house.outside}/"
    assert await guest.evaluate("history.length") <= 2
    stored = "Object.keys(localStorage).length + Object.keys(sessionStorage).length"
    assert await guest.evaluate(stored) == 0
    assert not house.guest_joined


async def test_nobody_gets_further_without_acknowledging_the_notice(
    browsing: Browsing, house: FakeEdge
) -> None:
    guest = await _open(browsing, house)
    await guest.get_by_label("Your name").fill("Grace")
    await guest.get_by_role("button", name="Continue").click()
    await expect(guest.get_by_role("heading", name="You are invited")).to_be_visible()
    await expect(guest.get_by_role("heading", name="Camera and microphone")).to_be_hidden()
    assert not house.guest_joined


async def test_an_invalid_invitation_is_told_with_the_decision_to_quote(
    browsing: Browsing, house: FakeEdge
) -> None:
    guest = await browsing.open(f"{house.outside}/#wrong")
    await acknowledge(guest, "Grace")
    await guest.get_by_role("button", name="Join without camera or microphone").click()
    alert = guest.get_by_role("alert").filter(has_text="This invitation is not valid")
    await expect(alert).to_contain_text("d-4711")
    await expect(alert.get_by_role("button", name="Copy decision")).to_be_visible()


async def test_a_page_opened_without_an_invitation_says_so(browsing: Browsing, house: FakeEdge) -> None:
    guest = await browsing.open(house.outside)
    await expect(guest.get_by_text("This address holds no invitation.")).to_be_visible()


async def test_the_keyboard_alone_is_enough_from_the_link_to_the_call(
    browsing: Browsing, house: FakeEdge
) -> None:
    house.guest_admitted = True
    guest = await _open(browsing, house)
    await expect(guest.get_by_role("heading", name="You are invited")).to_be_focused()
    press = guest.keyboard.press
    await press("Tab")
    await guest.keyboard.type("Grace")
    await press("Tab")
    await press("Space")
    await press("Tab")
    await press("Enter")
    await expect(guest.get_by_role("heading", name="Camera and microphone")).to_be_focused()
    await press("Tab")
    await press("Tab")
    await expect(guest.get_by_role("button", name="Join with camera and microphone")).to_be_focused()
    await press("Enter")

    await expect(guest.get_by_label("Message", exact=True)).to_be_focused()
    await guest.keyboard.type("Hello from outside")
    await press("Enter")
    await expect(guest.get_by_role("log")).to_contain_text("Hello from outside")

    await _rings(house, ["audio", "video"])
    heading = guest.get_by_role("heading", name="Incoming video call")
    await expect(heading).to_be_focused()
    await press("Enter")
    await press("Space")
    await expect(heading).to_be_visible()
    await press("Tab")
    await press("Enter")
    await house.heard("g-1", lambda frame: frame.type == "call.accept")


async def test_focus_can_be_seen_on_everything_the_keyboard_reaches(
    browsing: Browsing, house: FakeEdge
) -> None:
    guest = await _open(browsing, house)
    await expect(guest.get_by_role("heading", name="You are invited")).to_be_focused()
    style = "getComputedStyle(document.activeElement)"
    outline = f"[{style}.outlineStyle, {style}.outlineWidth]"
    for _ in range(3):
        await guest.keyboard.press("Tab")
        assert await guest.evaluate(outline) == ["solid", "3px"]


async def test_a_guest_without_camera_and_microphone_is_told_and_can_still_join_and_answer(
    browsing_without_devices: Browsing, house: FakeEdge
) -> None:
    house.guest_admitted = True
    guest = await _open(browsing_without_devices, house)
    await acknowledge(guest, "Grace")
    await guest.get_by_role("button", name="Try camera and microphone").click()
    await expect(guest.get_by_text("No camera was found.")).to_be_visible()
    await expect(guest.get_by_text("No microphone was found.")).to_be_visible()
    await expect(guest.get_by_role("button", name="Join with microphone only")).to_be_disabled()
    await guest.get_by_role("button", name="Join without camera or microphone").click()
    await expect(guest.get_by_role("heading", name="Alice Ahrens")).to_be_visible()
    await _rings(house, ["audio", "video"])
    await guest.get_by_role("button", name="Answer with camera").click()
    await house.heard("g-1", lambda frame: frame.type == "call.accept")


async def test_a_guest_whose_camera_is_refused_by_the_browser_is_told_in_words(
    browsing_without_devices: Browsing, house: FakeEdge
) -> None:
    guest = await _open(browsing_without_devices, house)
    refusal = "async () => { throw new DOMException('no', 'NotAllowedError'); }"
    await guest.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {refusal}; }}")
    await acknowledge(guest, "Grace")
    await guest.get_by_role("button", name="Try camera and microphone").click()
    await expect(guest.get_by_text("The browser does not let this page use the camera.")).to_be_visible()


async def test_a_network_that_blocks_the_relay_is_named_in_the_call(
    browsing: Browsing, house: FakeEdge
) -> None:
    guest = await _inside(browsing, house)
    host = await browsing.open(house.inside)
    await sign_in(host, "alice")
    await guest.get_by_role("button", name="Call", exact=True).click()
    invite = await house.heard("g-1", lambda frame: isinstance(frame, CallInvite))
    assert isinstance(invite, CallInvite)
    assert invite.media == ["audio"]
    await host.get_by_role("button", name="Answer").click()
    blocked = "The relay cannot be reached from this network"
    await expect(guest.locator("tg-call .remarks")).to_contain_text(blocked, timeout=20_000)


async def test_a_guest_who_is_refused_sees_a_plain_end_and_does_not_come_back(
    browsing: Browsing, house: FakeEdge
) -> None:
    guest = await _open(browsing, house)
    await enter_lobby(guest, "Grace")
    host = await browsing.open(house.inside)
    await sign_in(host, "alice")
    await host.get_by_role("button", name="Refuse Grace").click()
    await house.heard("p-alice", lambda frame: isinstance(frame, LobbyRefuse))
    await expect(guest.get_by_text("did not let you in").first).to_be_visible()
    await expect(guest.locator(".workspace")).to_be_hidden()
    assert "g-1" not in house.sockets


async def test_a_reload_needs_no_second_acknowledgement_while_the_visit_lasts(
    browsing: Browsing, house: FakeEdge
) -> None:
    guest = await _inside(browsing, house)
    await guest.reload()
    await guest.get_by_role("button", name="Join without camera or microphone").click()
    await expect(guest.get_by_role("heading", name="Alice Ahrens")).to_be_visible()


async def test_a_guest_leaves_and_the_visit_is_over(browsing: Browsing, house: FakeEdge) -> None:
    guest = await _inside(browsing, house)
    await guest.get_by_role("button", name="Leave").click()
    await expect(guest.get_by_text("You have left.")).to_be_visible()
    assert not house.guest_joined


async def test_what_others_write_is_text_and_nothing_else(browsing: Browsing, house: FakeEdge) -> None:
    guest = await _inside(browsing, house)
    text = "<img src=x onerror=document.title='broken'><b>bold</b>"
    alice = house.people["alice"]
    await house.say("g-1", ChatMessage(message_id="m-1", sender=alice, text=text, sent_at_ms=SENT_AT_MS))
    await expect(guest.get_by_role("log")).to_contain_text(text)
    assert await guest.locator("tg-chat img, tg-chat b").count() == 0


async def test_a_connection_that_breaks_is_shown_and_comes_back_with_what_was_written(
    browsing: Browsing, house: FakeEdge
) -> None:
    guest = await _inside(browsing, house)
    await guest.context.set_offline(True)
    await house.sockets["g-1"].close()
    await expect(guest.get_by_text("Connection lost. Trying again…")).to_be_visible()
    await write(guest, "Written while away")
    await expect(guest.get_by_text("Sending…")).to_be_visible()
    await guest.context.set_offline(False)
    await expect(guest.get_by_role("log")).to_contain_text("Sent", timeout=20_000)


async def test_a_host_who_lets_in_is_announced_to_those_who_cannot_see_it(
    browsing: Browsing, house: FakeEdge
) -> None:
    guest = await _open(browsing, house)
    await enter_lobby(guest, "Grace")
    host = await browsing.open(house.inside)
    await sign_in(host, "alice")
    await let_in(host, "Grace")
    spoken = guest.locator("tg-announcer [aria-live=assertive]")
    await expect(spoken).to_have_text("Alice Ahrens has let you in.")

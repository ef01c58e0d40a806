"""The page for people inside: signing in, guests, and what a call shows when it does not go as wished."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Page, expect

from broker.core.client_frames import CallInvite, InvitationCreate, LobbyAdmitAll
from broker.core.frames import CallRing, Error, InvitationChanged, LobbyWaiting
from tests.browser.conftest import NARROW, Browsing
from tests.browser.fake_edge import NOTICE, FakeEdge, contact, waiting
from tests.browser.visitor import ask_for_an_invitation, open_conversation, sign_in, write

pytestmark = pytest.mark.asyncio(loop_scope="session")

DENIED = Error(
    code="POLICY_DEFAULT_DENY",
    message="This is not allowed by your organisation.",
    retryable=False,
    decision_id="d-0815",
)


async def _signed_in(browsing: Browsing, house: FakeEdge, login: str = "alice") -> Page:
    page = await browsing.open(house.inside)
    await sign_in(page, login)
    return page


async def test_nothing_is_sent_before_the_notice_is_acknowledged_and_a_wrong_password_is_told(
    browsing: Browsing, house: FakeEdge
) -> None:
    page = await browsing.open(house.inside)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    await expect(page.get_by_text(NOTICE)).to_be_visible()
    acknowledged = page.get_by_label("I have read this notice")
    await expect(acknowledged).to_be_focused()
    await page.get_by_label("Name", exact=True).fill("alice")
    await page.get_by_label("Password").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(acknowledged).to_be_focused()
    await expect(page.get_by_label("Password")).to_have_value("wrong")
    assert sent == []
    await acknowledged.check()
    await page.get_by_label("Password").press("Enter")
    await expect(page.get_by_role("alert").first).to_contain_text("What you entered is not right.")
    await expect(page.get_by_label("Password")).to_have_value("")
    await sign_in(page, "alice")
    await page.get_by_role("button", name="Sign out").click()
    await expect(acknowledged).not_to_be_checked()


async def test_a_reload_stays_signed_in_and_signing_out_ends_it(browsing: Browsing, house: FakeEdge) -> None:
    page = await _signed_in(browsing, house)
    await page.reload()
    await expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You have signed out.")).to_be_visible()
    assert house.signed_in == set()


async def test_a_sign_in_that_ran_out_leads_back_to_the_form(browsing: Browsing, house: FakeEdge) -> None:
    page = await _signed_in(browsing, house)
    house.signed_in.clear()
    await house.sockets["p-alice"].close()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    await expect(page.get_by_text("You are no longer signed in.")).to_be_visible()


async def test_an_outsider_is_marked_in_words_wherever_they_are_named(
    browsing: Browsing, house: FakeEdge
) -> None:
    house.guest = contact("g-1", "Grace", "guest")
    house.guest_admitted = True
    page = await _signed_in(browsing, house)
    row = page.locator("tg-contacts").get_by_role("button", name="Grace")
    await expect(row).to_contain_text("outside")
    await expect(page.locator("tg-contacts").get_by_role("button", name="Bob")).not_to_contain_text("outside")
    await open_conversation(page, "Grace")
    await expect(page.locator("tg-chat").get_by_role("heading", name="Grace")).to_contain_text("outside")


async def test_a_refused_message_shows_the_decision_to_quote(browsing: Browsing, house: FakeEdge) -> None:
    page = await _signed_in(browsing, house)
    house.refusals["chat.send"] = DENIED
    await open_conversation(page, "Bob")
    await write(page, "the plans")
    log = page.get_by_role("log")
    await expect(log).to_contain_text("Not sent")
    await expect(log).to_contain_text("d-0815")
    await expect(log.get_by_role("button", name="Copy decision")).to_be_visible()


async def test_a_refused_invitation_shows_the_decision_beside_the_form(
    browsing: Browsing, house: FakeEdge
) -> None:
    page = await _signed_in(browsing, house)
    house.refusals["invitation.create"] = DENIED
    await ask_for_an_invitation(page, "Grace")
    await page.get_by_role("button", name="Create invitation").click()
    await expect(page.locator("tg-invitations").get_by_role("alert")).to_contain_text("d-0815")
    await expect(page.get_by_role("button", name="Create invitation")).to_be_enabled()


async def test_an_invitation_is_made_copied_and_revoked(browsing: Browsing, house: FakeEdge) -> None:
    page = await browsing.open(house.inside, permissions=("clipboard-read", "clipboard-write"))
    await sign_in(page, "alice")
    await ask_for_an_invitation(page, "Grace", "Contract review")
    await page.get_by_label("Valid for").select_option("1 hour")
    await page.get_by_label("Times usable").fill("3")
    await page.get_by_role("button", name="Create invitation").click()
    asked = await house.heard("p-alice", lambda frame: isinstance(frame, InvitationCreate))
    assert isinstance(asked, InvitationCreate)
    assert (asked.guest_name, asked.purpose) == ("Grace", "Contract review")
    assert (asked.expires_in_seconds, asked.redemptions) == (3600, 3)
    link = page.get_by_label("Link for Grace")
    await expect(link).to_be_visible()
    await page.get_by_role("button", name="Copy link").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == await link.input_value()
    row = page.locator("tg-invitations li")
    await expect(row).to_contain_text("for: Contract review")
    await expect(row).to_contain_text("unused, usable 3 times")
    first = await link.input_value()
    await page.get_by_role("button", name="New link: invitation for Grace").click()
    await expect(page.get_by_text("The link before it is worth nothing any more.")).to_be_visible()
    assert await link.input_value() == f"{first}-again"
    await expect(row).to_have_count(1)
    assert house.invitation is not None
    used = house.invitation.model_copy(update={"redemptions_left": 0, "guests": 2})
    await house.say("p-alice", InvitationChanged(invitation=used))
    await expect(row).to_contain_text("used up")
    await expect(row).to_contain_text("2 guests are in")
    await page.get_by_role("button", name="Revoke the invitation for Grace").click()
    await expect(link).to_be_hidden()
    await expect(page.get_by_text("Open invitations")).to_be_hidden()


async def test_a_guest_under_somebody_elses_name_is_shown_as_whom_the_host_had_invited(
    browsing: Browsing, house: FakeEdge
) -> None:
    page = await _signed_in(browsing, house)
    guest = contact("g-1", "Bob Brandt", "guest").model_copy(update={"invited_as": "Eve Example"})
    await house.say("p-alice", LobbyWaiting(waiting=waiting(guest)))
    lobby = page.locator("tg-lobby li")
    invited = "You invited Eve Example, grace@partner.example"
    for words in ("Bob Brandt", "outside", invited, "For: Contract review"):
        await expect(lobby).to_contain_text(words)
    house.guest, house.guest_admitted = guest, True
    await page.get_by_role("button", name="Let in Bob Brandt").click()
    rows = page.locator("tg-contacts").get_by_role("button", name="Bob Brandt")
    await expect(rows.filter(has_text="outside")).to_contain_text("invited as Eve Example")
    await expect(rows.filter(has_not_text="outside")).not_to_contain_text("invited as")
    await rows.filter(has_text="outside").click()
    await expect(page.locator("tg-chat header")).to_contain_text("invited as Eve Example")
    await house.say("p-alice", CallRing(call_id="c-1", caller=guest, media=["audio"]))
    await expect(page.locator("tg-ring .who")).to_contain_text("invited as Eve Example")


async def test_all_who_wait_are_let_in_by_one_button_and_nobody_who_was_not_shown(
    browsing: Browsing, house: FakeEdge
) -> None:
    page = await _signed_in(browsing, house)
    everyone = page.get_by_role("button", name="Let all in")
    await house.say("p-alice", LobbyWaiting(waiting=waiting(contact("g-1", "Grace", "guest"))))
    await expect(page.get_by_role("button", name="Let in Grace")).to_be_visible()
    await expect(everyone).to_be_hidden()
    await house.say("p-alice", LobbyWaiting(waiting=waiting(contact("g-2", "Gus", "guest"))))
    house.refusals["lobby.admit_all"] = DENIED
    await everyone.click()
    asked = await house.heard("p-alice", lambda frame: isinstance(frame, LobbyAdmitAll))
    assert isinstance(asked, LobbyAdmitAll)
    assert asked.guests == ["g-1", "g-2"]


async def test_a_refused_call_ends_with_its_reason_and_lets_go_of_the_camera(
    browsing: Browsing, house: FakeEdge
) -> None:
    page = await _signed_in(browsing, house)
    house.refusals["call.invite"] = DENIED
    await open_conversation(page, "Bob")
    await page.get_by_role("button", name="Video call").click()
    call = page.locator("tg-call")
    await expect(call).to_contain_text("This is not allowed by your organisation.")
    await expect(call).to_contain_text("d-0815")
    assert await page.evaluate("document.querySelector('tg-call').client.localStream") is None
    await call.get_by_role("button", name="Close").click()
    await expect(call).to_be_hidden()


async def test_a_caller_without_camera_still_calls_and_is_told(
    browsing_without_devices: Browsing, house: FakeEdge
) -> None:
    page = await _signed_in(browsing_without_devices, house)
    await open_conversation(page, "Bob")
    await page.get_by_role("button", name="Video call").click()
    invite = await house.heard("p-alice", lambda frame: isinstance(frame, CallInvite))
    assert isinstance(invite, CallInvite)
    assert sorted(invite.media) == ["audio", "video"]
    await expect(page.get_by_text("No camera was found.")).to_be_visible()
    await expect(page.get_by_role("button", name="Mute")).to_be_hidden()


async def test_a_call_says_who_is_external_and_what_is_protected_how(
    browsing: Browsing, house: FakeEdge
) -> None:
    house.guest = contact("g-1", "Grace", "guest")
    house.guest_admitted = True
    page = await _signed_in(browsing, house)
    await open_conversation(page, "Grace")
    await page.get_by_role("button", name="Video call").click()
    people = page.get_by_role("list", name="Participants")
    await expect(people.get_by_role("listitem").filter(has_text="Grace")).to_contain_text("outside")
    await expect(people.get_by_role("listitem").filter(has_text="Alice")).to_contain_text("inside")
    await expect(page.get_by_text("encrypted end to end between the two of you")).to_be_visible()


async def test_mute_and_camera_off_stop_what_is_sent(browsing: Browsing, house: FakeEdge) -> None:
    page = await _signed_in(browsing, house)
    await open_conversation(page, "Bob")
    await page.get_by_role("button", name="Video call").click()
    await page.get_by_role("button", name="Mute").click()
    await page.get_by_role("button", name="Camera off").click()
    await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    await expect(page.get_by_role("button", name="Camera on")).to_be_visible()
    enabled = "document.querySelector('tg-call').client.localStream.getTracks().map((track) => track.enabled)"
    assert await page.evaluate(enabled) == [False, False]


async def test_a_declined_call_says_so_to_the_caller(browsing: Browsing, house: FakeEdge) -> None:
    alice, bob = await asyncio.gather(
        _signed_in(browsing, house, "alice"), _signed_in(browsing, house, "bob")
    )
    await open_conversation(alice, "Bob")
    await alice.get_by_role("button", name="Call", exact=True).click()
    await bob.get_by_role("button", name="Decline").click()
    await expect(alice.get_by_text("The call was declined.", exact=True)).to_be_visible()


async def test_unread_messages_are_counted_in_words_and_in_the_title(
    browsing: Browsing, house: FakeEdge
) -> None:
    alice, bob = await asyncio.gather(
        _signed_in(browsing, house, "alice"), _signed_in(browsing, house, "bob")
    )
    await open_conversation(alice, "Bob")
    await write(alice, "one")
    await write(alice, "two")
    await expect(bob.locator("tg-contacts")).to_contain_text("2 new")
    await expect(bob).to_have_title("(2 new) Turngate")
    await open_conversation(bob, "Alice")
    await expect(bob).to_have_title("Turngate")


async def test_on_a_phone_one_goes_from_the_contacts_to_a_conversation_and_back(
    browsing: Browsing, house: FakeEdge
) -> None:
    page = await browsing.open(house.inside, NARROW)
    await sign_in(page, "alice")
    await open_conversation(page, "Bob")
    await expect(page.get_by_role("heading", name="Contacts")).to_be_hidden()
    guest = contact("g-1", "Grace", "guest")
    await house.say("p-alice", LobbyWaiting(waiting=waiting(guest)))
    await page.get_by_role("button", name="Contacts, 1 waiting").click()
    await expect(page.get_by_role("heading", name="Contacts")).to_be_visible()
    await expect(page.get_by_role("button", name="Let in Grace")).to_be_visible()

"""The console with the product itself: who may see what, ending a call, and the policy from check to its
effect."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from playwright.async_api import Page, expect

from tests.acceptance.authenticator import unused_code
from tests.browser.conftest import ARTEFACTS, Browsing
from tests.browser.test_call import host_and_guest
from tests.browser.visitor import is_not_wider_than_its_window, picture, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = "<b>Eve</b> &amp; =1+1"
"""As hostile as a guest may be called; what would turn text around is refused at the door."""
TIMES = {"Operator": "carol", "Policy administrator": "bob", "Auditor": "bob"}


async def console(browsing: Browsing, edge: dict[str, Any], role: str) -> Page:
    page = await browsing.open(edge["admin"])
    login = TIMES[role]
    await page.get_by_label("I have read this notice").check()
    await page.get_by_label("Name", exact=True).fill(login)
    await page.get_by_label("Password").fill(password(edge, login))
    await page.get_by_label("Code").fill(await unused_code(second_factor(edge, login)))
    await page.get_by_label("Role").select_option(role)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text(f"{login}, {role.lower()}")).to_be_visible()
    return page


def password(edge: dict[str, Any], login: str) -> str:
    return str(next(person["password"] for person in edge["sign_ins"] if person["login"] == login))


def second_factor(edge: dict[str, Any], login: str) -> str:
    """The secret that an app would make codes from."""
    uri = next(one["second_factor"] for one in edge["admin_sign_ins"] if one["login"] == login)
    return pyotp.parse_uri(uri).secret


def records(edge: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    with sqlite3.connect(Path(edge["data_directory"]) / "turngate.sqlite") as database:
        rows = database.execute("SELECT body FROM records WHERE type = ? ORDER BY seq", (kind,)).fetchall()
    return [json.loads(body) for (body,) in rows]


def moment(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record["ts"])


async def call(caller: Page, callee: Page) -> None:
    await caller.get_by_role("button", name="Call", exact=True).click()
    await callee.get_by_role("button", name="Answer", exact=True).click()
    for page in (caller, callee):
        await expect(page.get_by_role("timer")).to_be_visible()


async def test_an_operator_watches_a_call_and_ends_it_and_an_auditor_only_watches(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    host, guest = await host_and_guest(browsing, edge, HOSTILE)
    await call(host, guest)
    auditor = await console(browsing, edge, "Auditor")
    operator = await console(browsing, edge, "Operator")
    for page in (auditor, operator):
        row = page.get_by_role("row").filter(has_text="call").filter(has_text="active")
        await expect(row).to_contain_text("Alice Archer (alice)")
        await expect(row).to_contain_text(f"{HOSTILE} (guest)")
        await expect(row).to_contain_text("guests")
        await expect(row).to_contain_text("udp")
        await expect(row).to_contain_text("kB →")
    await expect(auditor.get_by_role("button", name="End")).to_have_count(0)
    carried = "document.querySelector('tg-sessions tbody tr td:nth-child(6)').textContent"
    before = await operator.evaluate(carried)
    await until(operator, f"(before) => {carried} !== before", before)
    for page, name in ((operator, "console-sessions"), (auditor, "console-auditor")):
        await picture(page, ARTEFACTS, name)
    await operator.set_viewport_size({"width": 800, "height": 800})
    assert await is_not_wider_than_its_window(operator)
    await picture(operator, ARTEFACTS, "console-sessions-800")

    await operator.get_by_role("button", name="End the call").click()
    await operator.locator("tg-sessions").get_by_role("button", name="now").click()
    for page in (host, guest):
        await expect(
            page.get_by_text("The call was ended by an operator of the organisation.", exact=True)
        ).to_be_visible()
    await expect(operator.get_by_role("row").filter(has_text="active")).to_have_count(0)
    (ended,) = records(edge, "admin.session_ended")
    assert ended["fields"]["role"] == "operator"


async def test_a_rules_removal_ends_a_call_within_a_second_with_a_reason_on_both_sides(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    host, guest = await host_and_guest(browsing, edge)
    await call(host, guest)
    page = await console(browsing, edge, "Policy administrator")
    policy = (Path(edge["data_directory"]).parent / "policy.toml").read_text()
    without = policy.replace("revision = 1", "revision = 2").replace(
        '"presence.see", "chat.send", "call.audio", "call.video", "screen.share",\n]\npresence',
        '"presence.see", "chat.send",\n]\npresence',
    )
    assert without.count("call.audio") == policy.count("call.audio") - 1
    editor = page.get_by_label("Another policy")
    await editor.fill(without.replace('"allow"', '"perhaps"', 1))
    await page.get_by_role("button", name="Apply").click()
    await page.get_by_role("button", name="Yes").click()
    await expect(page.get_by_text("rules[0].effect: Input should be 'allow' or 'deny'")).to_be_visible()
    await expect(host.get_by_role("timer")).to_be_visible()

    await page.get_by_label("A candidate").fill(without)
    await page.get_by_role("button", name="Replay").click()
    await expect(page.get_by_role("table", name="Changed verdicts")).to_contain_text("call.audio")
    await editor.fill(without)
    await page.get_by_role("button", name="Check").click()
    await expect(page.locator("tg-policy")).to_contain_text("expires-soon: guests")
    await picture(page, ARTEFACTS, "console-policy")
    await page.get_by_role("button", name="Apply").click()
    await page.get_by_role("button", name="Yes").click()
    await expect(page.get_by_text("Revision 2 is in force.")).to_be_visible()
    decision = records(edge, "decision.denied")[-1]["fields"]["decisions"][0]
    for side, sentence in (
        (host, "Your organisation's policy does not allow this."),
        (guest, "The organisation you are visiting does not allow this."),
    ):
        await expect(side.locator("tg-call")).to_contain_text(f"{sentence} Decision {decision['id']}.")
        await picture(side, ARTEFACTS, f"call-ended-by-policy-{'inside' if side is host else 'guest'}")
    in_force, closed = records(edge, "policy.applied")[-1], records(edge, "call.closed")[-1]
    assert closed["fields"]["reason"] == "policy"
    assert moment(closed) - moment(in_force) < timedelta(seconds=1)
    await page.get_by_role("button", name="Roll back to revision 1").click()
    await page.get_by_role("button", name="Yes").click()
    await expect(page.get_by_text("Revision 1 is in force.")).to_be_visible()
    await call(host, guest)


async def test_explain_shows_the_verdict_and_the_rule_of_the_recorded_decision(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    host, guest = await host_and_guest(browsing, edge)
    await call(host, guest)
    opened = records(edge, "call.opened")[-1]["fields"]["decisions"][0]
    denied = next(
        decision
        for record in records(edge, "decision.denied")
        for decision in record["fields"]["decisions"]
        if decision["inputs"]["action"] == "guest.invite"
    )
    page = await console(browsing, edge, "Auditor")
    result = page.locator("tg-explain .result")
    for who, action, to, recorded in (
        ("alice", "call.audio", "guest", opened),
        ("carol", "guest.invite", "", denied),
    ):
        await page.get_by_label("Who", exact=True).fill(who)
        await page.get_by_label("does").select_option(action)
        await page.get_by_label("with whom").fill(to)
        await page.get_by_role("button", name="Explain").click()
        await expect(result).to_contain_text(recorded["code"])
        for rule in recorded["determining_rules"]:
            row = page.locator("tg-explain").get_by_role("row").filter(has_text=rule)
            await expect(row).to_contain_text("made the answer")
    await expect(result).to_contain_text("guests came closest")
    await picture(page, ARTEFACTS, "console-explain")
    await page.get_by_label("Who", exact=True).fill("\u202enobody<script>")
    await page.get_by_role("button", name="Explain").click()
    await expect(page.locator("tg-explain")).to_contain_text("The question was not understood.")

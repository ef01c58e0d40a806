"""A screen shown in a call between browsers, with the product itself.

Chromium makes up the screen as it makes up the camera.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from broker.cli.demo_house import write_policy
from broker.client.http import sign_in as sign_in_by_http
from broker.client.media import MediaKind
from broker.client.participant import join
from broker.core.frames import InsiderWelcome
from tests.acceptance.served_edge import ServedEdge
from tests.browser.call_figures import grows
from tests.browser.conftest import ARTEFACTS, Browsing
from tests.browser.fake_edge import FakeEdge
from tests.browser.test_call import host_and_guest
from tests.browser.visitor import enter_lobby, invite, let_in, open_conversation, picture, sign_in, until
from tests.edge.bench_house import NO_SHARING

pytestmark = pytest.mark.asyncio(loop_scope="session")

FRAMES = """() => {
  const shown = [...document.querySelectorAll("tg-call video.screen")].find((video) => !video.hidden);
  return shown === undefined ? 0 : shown.getVideoPlaybackQuality().totalVideoFrames;
}"""
HAS_MORE_FRAMES = f"(first) => ({FRAMES})() > first"
END_BY_THE_BROWSER = """() => {
  const { peerConnection } = document.querySelector("tg-call");
  const sender = peerConnection.getSenders().filter(({ track }) => track?.kind === "video").at(-1);
  sender.track.dispatchEvent(new Event("ended"));
}"""


async def call(caller: Page, callee: Page, *, video: bool) -> None:
    await caller.get_by_role("button", name="Video call" if video else "Call", exact=True).click()
    await callee.get_by_role("button", name="Answer with camera" if video else "Answer", exact=True).click()
    for page in (caller, callee):
        await expect(page.get_by_role("timer")).to_be_visible()


async def sees_the_screen(viewer: Page) -> None:
    line = viewer.locator("tg-call .sharing")
    await expect(line).to_contain_text("shows you their screen.")
    await expect(line).to_contain_text("what it shows is not inspected")
    await expect(viewer.get_by_role("button", name="Share screen")).to_be_hidden()
    await expect(viewer.locator("tg-call video.screen")).to_be_visible()
    first = await viewer.evaluate(FRAMES)
    await until(viewer, HAS_MORE_FRAMES, first + 10)


async def sees_none(viewer: Page) -> None:
    await expect(viewer.locator("tg-call video.screen")).to_be_hidden()
    await expect(viewer.locator("tg-call .sharing")).to_be_hidden()


@pytest.mark.parametrize("video", [False, True], ids=["audio call", "video call"])
async def test_host_and_guest_show_each_other_their_screens_in_turn(
    browsing: Browsing, edge: dict[str, Any], video: bool
) -> None:
    host, guest = await host_and_guest(browsing, edge)
    await call(host, guest, video=video)
    for sharer, viewer in ((host, guest), (guest, host), (host, guest)):
        await sharer.get_by_role("button", name="Share screen").click()
        await expect(sharer.locator("tg-call .sharing")).to_contain_text("You show your screen to")
        await sees_the_screen(viewer)
        if video:
            await grows(sharer, "video", "frames")
        await picture(viewer, ARTEFACTS, f"sharing-seen-{'video' if video else 'audio'}")
        await sharer.get_by_role("button", name="Stop sharing").click()
        await sees_none(viewer)
        await expect(sharer.get_by_role("button", name="Share screen")).to_be_visible()
    for page in (host, guest):
        await grows(page, "audio", "packets")
        if video:
            await grows(page, "video", "frames")


async def test_the_browsers_own_way_to_stop_ends_the_share_too(
    browsing: Browsing, edge: dict[str, Any]
) -> None:
    host, guest = await host_and_guest(browsing, edge)
    await call(guest, host, video=False)
    await guest.get_by_role("button", name="Share screen").click()
    await sees_the_screen(host)
    await guest.evaluate(END_BY_THE_BROWSER)
    await sees_none(host)
    await expect(guest.get_by_role("button", name="Share screen")).to_be_visible()
    await grows(host, "audio", "packets")


@pytest.fixture
def served_edge(tmp_path: Path) -> Iterator[ServedEdge]:
    """The product as a service, under the demo's policy."""
    served = ServedEdge(tmp_path)
    served.start()
    try:
        yield served
    finally:
        served.stop()


@pytest.fixture
def strict_edge(tmp_path: Path) -> Iterator[ServedEdge]:
    """The product as a service, under a policy that forbids to show a screen."""
    served = ServedEdge(tmp_path)
    policy = tmp_path / "policy.toml"
    write_policy(policy)
    policy.write_text(policy.read_text() + NO_SHARING)
    served.start()
    try:
        yield served
    finally:
        served.stop()


async def test_a_rule_refuses_the_screen_in_words_and_the_call_goes_on(
    browsing: Browsing, strict_edge: ServedEdge
) -> None:
    host = await browsing.open(strict_edge.inside)
    person = strict_edge.person("alice")
    await sign_in(host, person.login, person.password)
    guest = await browsing.open(await invite(host, "Gordon Guest"))
    await enter_lobby(guest, "Gordon Guest")
    await let_in(host, "Gordon Guest")
    await open_conversation(host, "Gordon Guest")
    await call(host, guest, video=False)
    for sharer, other in ((host, guest), (guest, host)):
        await sharer.get_by_role("button", name="Share screen").click()
        refusal = sharer.locator("tg-call .share-trouble")
        await expect(refusal).to_contain_text("not allow")
        await expect(refusal.get_by_text("Decision")).to_be_visible()
        await expect(sharer.get_by_role("button", name="Share screen")).to_be_enabled()
        await sees_none(other)
        await picture(sharer, ARTEFACTS, "sharing-refused")
    for page in (host, guest):
        await expect(page.get_by_role("timer")).to_be_visible()
        await grows(page, "audio", "packets")


@pytest.mark.parametrize("media", [("audio",), ("audio", "video")], ids="-".join)
async def test_a_browser_and_the_python_client_show_each_other_their_screens(
    browsing: Browsing, served_edge: ServedEdge, media: tuple[MediaKind, ...]
) -> None:
    page = await browsing.open(served_edge.inside)
    alice, bob = (served_edge.person(login) for login in ("alice", "bob"))
    await sign_in(page, alice.login, alice.password)
    token = await sign_in_by_http(served_edge.inside, bob.login, bob.password, served_edge.ca_file)
    async with join(served_edge.inside, token, served_edge.ca_file) as participant:
        welcome = participant.connection.welcome
        assert isinstance(welcome, InsiderWelcome)
        party = next(one.party for one in welcome.contacts if one.name == alice.name)
        async with participant.calls.place(party, media) as talk:
            way = "Answer with camera" if "video" in media else "Answer"
            await page.get_by_role("button", name=way, exact=True).click()
            await talk.connected()
            for _ in range(2):
                await talk.share()
                await sees_the_screen(page)
                await talk.unshare()
                await sees_none(page)
                before = (await talk.report()).screen_frames_received
                await page.get_by_role("button", name="Share screen").click()
                async with asyncio.timeout(20):
                    while True:
                        if (await talk.report()).screen_frames_received >= before + 10:
                            break
                        await asyncio.sleep(0.1)
                await page.get_by_role("button", name="Stop sharing").click()
                await expect(page.get_by_role("button", name="Share screen")).to_be_visible()
            await grows(page, "audio", "packets")


CROSSING_OFFERS = """async () => {
  const { CallMedia } = await import("/assets/rtc/call-media.js");
  const screen = () => document.createElement("canvas").captureStream(5).getVideoTracks()[0];
  const ice = { urls: ["turn:127.0.0.1:9?transport=udp"], username: "u", credential: "c" };
  const said = { refused: 0, failures: [], offers: 0 };
  const sides = {};
  let in_flight = null;
  const other = (name) => (name === "a" ? "b" : "a");
  // As the edge does: one offer in flight, the other is refused.
  function described(name, kind, sdp) {
    if (kind === "offer") {
      said.offers += 1;
      if (in_flight !== null) {
        said.refused += 1;
        return void setTimeout(() => sides[name].offerAgain(), 20);
      }
      in_flight = name;
    } else in_flight = null;
    setTimeout(() => sides[other(name)].describe(kind, sdp), 10);
  }
  for (const name of ["a", "b"]) {
    sides[name] = new CallMedia(ice, ["audio"], new MediaStream(), {
      described: (kind, sdp) => described(name, kind, sdp),
      gathered() {}, connected() {}, interrupted() {},
      // There is no relay, which this is not about.
      failed: (sentence) => sentence.includes("description") && said.failures.push(sentence),
      screenFailed: (sentence) => said.failures.push(sentence),
    });
  }
  const settled = async (count) => {
    const busy = () => said.offers < count || in_flight !== null
      || Object.values(sides).some(({ peerConnection }) => peerConnection.signalingState !== "stable");
    while (said.failures.length === 0 && busy())
      await new Promise((next) => setTimeout(next, 20));
  };
  sides.a.offer();
  await settled(1);
  sides.a.showScreen(screen());
  sides.b.showScreen(screen());
  await settled(4);
  said.sections = Object.values(sides).map(({ peerConnection }) =>
    peerConnection.getTransceivers().filter(({ direction }) => direction !== "stopped")
      .map(({ mid, receiver }) => [mid !== null, receiver.track.kind]));
  for (const side of Object.values(sides)) side.close();
  return said;
}"""


async def test_an_offer_that_crosses_another_is_taken_back_and_made_again(
    browsing: Browsing, house: FakeEdge
) -> None:
    page = await browsing.open(house.inside)
    said = await page.evaluate(CROSSING_OFFERS)
    assert said["refused"] >= 1
    assert said["offers"] == 3 + said["refused"]
    assert said["failures"] == []
    assert said["sections"] == [[[True, "audio"], [True, "video"]]] * 2

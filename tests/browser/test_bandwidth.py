"""Bandwidth between two browsers, with the product itself: a limit of the policy that changes while they
talk, what the console shows of it, and a call that there is no room for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from auth.second_factor import enrolment_uri
from broker.core.bandwidth import FLOOR
from tests.acceptance.crowd import SECOND_FACTORS, crowded_edge
from tests.browser.call_figures import grows
from tests.browser.conftest import ARTEFACTS, WIDE, Browsing
from tests.browser.fake_edge import FakeEdge
from tests.browser.test_console import console
from tests.browser.test_sharing import call
from tests.browser.visitor import is_not_wider_than_its_window, open_conversation, picture, sign_in, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

BEFORE, HALF = 1_500_000, 750_000
MORE_THAN_HALF = 450_000
"""Bits per second of one page, which the made-up camera comes to if it may."""
RAMP_SECONDS = 40.0
FOLLOWS_WITHIN_SECONDS = 3.0
"""A page that was deaf to limits would need some seven until the relay's losses had slowed it down."""
WINDOW_SECONDS = 2.0
TOLERANCE = 1.1
AUDIO_PACKETS_PER_SECOND = 50
ONE_CALL = 2 * FLOOR["audio"] + FLOOR["audio"] // 2
"""Of a call between insiders both directions are from inside, and both to inside: there is room for the sound
of one call, and for nothing else."""
NO_ROOM = "There is not enough bandwidth for this now."

COUNTED = """async () => {
  const { media } = document.querySelector("tg-call").client;
  const counted = { at: performance.now() / 1000, sent: {}, heard: 0, lost: 0, limits: media.limits };
  for (const report of (await media.peerConnection.getStats()).values()) {
    if (report.type === "outbound-rtp") {
      counted.sent[report.kind] ??= 0;
      counted.sent[report.kind] += report.bytesSent + report.headerBytesSent;
    } else if (report.type === "inbound-rtp" && report.kind === "audio") {
      counted.heard += report.packetsReceived;
      counted.lost += report.packetsLost;
    }
  }
  return counted;
}"""
OTHER_CAPTION = """([way, before]) => {
  const captions = [...document.querySelectorAll("tg-bandwidth figcaption")].map((one) => one.textContent);
  return captions.some((text) => text.startsWith(way) && text !== before);
}"""

ON_ITS_OWN = """async () => {
  const { CallMedia } = await import("/assets/rtc/call-media.js");
  const picture = () => document.createElement("canvas").captureStream(5).getVideoTracks()[0];
  const sound = new AudioContext().createMediaStreamDestination().stream.getAudioTracks()[0];
  const ice = { urls: ["turn:127.0.0.1:9?transport=udp"], username: "u", credential: "c" };
  const said = { failures: [], asked: 0, refused: 0, at_once: 0 };
  // A browser that takes no parameters until there is an answer.
  const real = RTCRtpSender.prototype.setParameters;
  let answers = 0;
  const busy = new Map();
  RTCRtpSender.prototype.setParameters = async function (parameters) {
    said.asked += 1;
    busy.set(this, (busy.get(this) ?? 0) + 1);
    said.at_once = Math.max(said.at_once, busy.get(this));
    try {
      if (answers > 0) return await real.call(this, parameters);
      said.refused += 1;
      throw new DOMException("Not now.", "InvalidStateError");
    } finally {
      busy.set(this, busy.get(this) - 1);
    }
  };
  const sides = {};
  const other = (name) => (name === "a" ? "b" : "a");
  for (const name of ["a", "b"]) {
    sides[name] = new CallMedia(ice, ["audio", "video"], new MediaStream([sound, picture()]), {
      described: (kind, sdp) => {
        if (kind === "answer") answers += 1;
        sides[other(name)].describe(kind, sdp);
      },
      gathered() {}, connected() {}, interrupted() {},
      // There is no relay, which this is not about.
      failed: (sentence) => sentence.includes("description") && said.failures.push(sentence),
      screenFailed: (sentence) => said.failures.push(sentence),
    });
  }
  const asked = () => sides.a.peerConnection.getSenders().map((sender) => {
    const { maxBitrate = null, scaleResolutionDownBy = 1 } = sender.getParameters().encodings[0];
    return [sender.track?.kind ?? null, maxBitrate, scaleResolutionDownBy];
  });
  const pause = (wait) => new Promise((next) => setTimeout(next, wait));
  const settled = async (count) => {
    while (said.failures.length === 0 && answers < count) await pause(20);
    await pause(300);
  };
  sides.a.limit({ audio: 40000, video: 100000, screen: 140000 });
  sides.a.offer();
  await settled(1);
  said.first = asked();
  sides.a.showScreen(picture());
  await settled(2);
  said.shown = asked();
  for (const bits of [50000, 60000, 70000]) sides.a.limit({ audio: bits, video: 400000, screen: null });
  await settled(2);
  said.more = asked();
  sides.a.limit({ audio: null, video: null, screen: null });
  await settled(2);
  said.free = asked();
  for (const side of Object.values(sides)) side.close();
  sides.a.limit({ audio: 40000, video: null, screen: null });
  RTCRtpSender.prototype.setParameters = real;
  return said;
}"""

HOUSE = """
[[zones]]
id = "hq"
networks = ["127.0.0.0/8"]

[[bandwidth]]
id = "each"
of = "user"
media = "video"
from_inside_bits_per_second = 20_000_000
owner = "o"
reason = "Nobody <b>needs</b> more."
"""


def limited_to(bits_per_second: int) -> str:
    return (
        '\n[[bandwidth]]\nid = "all"\nof = "total"\n'
        f"from_inside_bits_per_second = {bits_per_second}\nto_inside_bits_per_second = {bits_per_second}\n"
        'owner = "o"\nreason = "r"\n'
    )


class LimitedEdge:
    """The product as a service under a policy whose one limit can be changed."""

    def __init__(self, folder: Path) -> None:
        self.served = crowded_edge(folder, 1)
        self._file = folder / "policy.toml"
        self._policy = self._file.read_text()
        self._revision = 1

    def limit(self, bits_per_second: int) -> None:
        text = self._policy.replace("revision = 1", f"revision = {self._revision}")
        self._revision += 1
        fresh = self._file.with_suffix(".new")
        fresh.write_text(text + HOUSE + limited_to(bits_per_second))
        fresh.replace(self._file)

    @property
    def told(self) -> dict[str, Any]:
        """As the demo tells of itself."""
        addresses = self.served.addresses
        people = [{"login": person.login, "password": person.password} for person in self.served.people]
        enrolled = [
            {"login": login, "second_factor": enrolment_uri(login, secret)}
            for login, secret in SECOND_FACTORS.items()
        ]
        admin = f"https://{addresses.admin}:{addresses.admin_port}"
        return {"admin": admin, "sign_ins": people, "admin_sign_ins": enrolled}

    async def enter(self, browsing: Browsing, login: str, facing: str) -> Page:
        """Somebody's page with the conversation with another open."""
        page = await browsing.open(self.served.inside)
        person = self.served.person(login)
        await sign_in(page, person.login, person.password)
        await open_conversation(page, self.served.person(facing).name)
        return page


@pytest.fixture
def limited_edge(tmp_path: Path) -> Iterator[LimitedEdge]:
    edge = LimitedEdge(tmp_path)
    try:
        yield edge
    finally:
        if edge.served.process is not None:
            edge.served.stop()


@dataclass(frozen=True, slots=True)
class Sent:
    """What a page sent over a time, in bits per second with the headers of RTP, and what it may send."""

    audio: float
    video: float
    heard_per_second: float
    lost: int
    limits: dict[str, int | None]

    @property
    def total(self) -> float:
        return self.audio + self.video

    @property
    def allowed(self) -> int:
        return sum(limit for limit in self.limits.values() if limit is not None)


async def sent(page: Page, seconds: float = WINDOW_SECONDS) -> Sent:
    before = await page.evaluate(COUNTED)
    await asyncio.sleep(seconds)
    after = await page.evaluate(COUNTED)
    passed = after["at"] - before["at"]
    audio, video = (
        (after["sent"].get(kind, 0) - before["sent"].get(kind, 0)) * 8 / passed for kind in ("audio", "video")
    )
    heard = (after["heard"] - before["heard"]) / passed
    return Sent(audio, video, heard, after["lost"], after["limits"])


async def both_send(pages: tuple[Page, Page], seconds: float = WINDOW_SECONDS) -> tuple[Sent, Sent]:
    first, second = await asyncio.gather(*(sent(page, seconds) for page in pages))
    return first, second


async def look(page: Page, name: str) -> None:
    """Pictures of the element at both widths of the console."""
    for width, suffix in ((WIDE[0], ""), (800, "-800")):
        await page.set_viewport_size({"width": width, "height": WIDE[1]})
        assert await is_not_wider_than_its_window(page)
        await page.locator("tg-bandwidth").screenshot(path=ARTEFACTS / f"{name}{suffix}.png")
    await page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})


async def test_two_browsers_follow_a_limit_that_is_halved_lose_no_sound_and_the_console_shows_it(
    browsing: Browsing, limited_edge: LimitedEdge
) -> None:
    limited_edge.limit(BEFORE)
    limited_edge.served.start()
    alice = await limited_edge.enter(browsing, "alice", facing="bob")
    bob = await limited_edge.enter(browsing, "bob", facing="alice")
    pages = alice, bob
    await call(alice, bob, video=True)
    async with asyncio.timeout(RAMP_SECONDS):
        while min(side.total for side in await both_send(pages)) < MORE_THAN_HALF:
            pass
    before = await both_send(pages)

    limited_edge.limit(HALF)
    changing = await both_send(pages, FOLLOWS_WITHIN_SECONDS)
    after = await both_send(pages)
    for was, meanwhile, now in zip(before, changing, after, strict=True):
        print(f"sent before {was}\nmeanwhile {meanwhile}\nafter {now}")
        assert was.total <= was.allowed * TOLERANCE
        assert now.allowed <= HALF / 2
        assert now.total <= now.allowed * TOLERANCE
        for heard in (meanwhile, now):
            assert heard.lost == 0
            assert heard.heard_per_second == pytest.approx(AUDIO_PACKETS_PER_SECOND, rel=0.05)
    await alice.get_by_text("Connection details").click()
    figures = alice.locator("tg-call-figures")
    sound, its_picture = (round((after[0].limits[medium] or 0) / 1000) for medium in ("audio", "video"))
    await expect(figures).to_contain_text(f"sound {sound} kb/s, picture {its_picture} kb/s")
    await figures.scroll_into_view_if_needed()
    await picture(alice, ARTEFACTS, "bandwidth-call")

    carol = await console(browsing, limited_edge.told, "Operator")
    shown = carol.locator("tg-bandwidth")
    await expect(shown.get_by_role("heading", name="All calls")).to_be_visible()
    await expect(shown.get_by_role("heading", name="Zone hq")).to_be_visible()
    await expect(shown.get_by_role("img")).to_have_count(4)
    for way in ("From inside", "To inside"):
        label = re.compile(rf"^All calls, Last hour\. {way}: \d+ kb.s now, limit 750 kb.s$")
        await expect(shown.get_by_role("img", name=label).locator("line.limit")).to_have_count(1)
    row = shown.get_by_role("row").filter(has_text="All calls").filter(has_text="From inside")
    await expect(row.get_by_role("cell")).to_have_text(["From inside", *[re.compile(r"\d+ (kb|Mb)/s")] * 3])
    await expect(shown.get_by_role("list", name="Other limits")).to_have_text(
        "Each person, only pictures: from inside at most 20 Mb/s. Nobody <b>needs</b> more. (each, o)"
    )
    await look(carol, "bandwidth-hour")
    live = shown.get_by_role("button", name="Live")
    await live.focus()
    await carol.keyboard.press("Enter")
    await expect(live).to_have_attribute("aria-pressed", "true")
    await expect(live).to_be_focused()
    await expect(shown.get_by_role("img", name="All calls, Live. From inside")).to_be_visible()
    caption = await shown.locator("figcaption").first.inner_text()
    await until(carol, OTHER_CAPTION, ["From inside", caption])
    await look(carol, "bandwidth-live")


async def test_a_call_without_room_is_refused_in_words_and_so_is_a_screen_and_the_other_call_goes_on(
    browsing: Browsing, limited_edge: LimitedEdge
) -> None:
    limited_edge.limit(ONE_CALL)
    limited_edge.served.start()
    alice = await limited_edge.enter(browsing, "alice", facing="bob")
    bob = await limited_edge.enter(browsing, "bob", facing="alice")
    carol = await limited_edge.enter(browsing, "carol", facing="p0")
    person = await limited_edge.enter(browsing, "p0", facing="carol")
    await call(alice, bob, video=False)
    await carol.get_by_role("button", name="Call", exact=True).click()
    await expect(carol.locator("tg-call")).to_contain_text(NO_ROOM)
    await expect(person.get_by_role("button", name="Answer", exact=True)).to_be_hidden()
    await picture(carol, ARTEFACTS, "bandwidth-refused")
    await alice.get_by_role("button", name="Share screen").click()
    await expect(alice.locator("tg-call .share-trouble")).to_contain_text(NO_ROOM)
    await expect(alice.get_by_role("button", name="Share screen")).to_be_enabled()
    for page in (alice, bob):
        await expect(page.get_by_role("timer")).to_be_visible()
        await grows(page, "audio", "packets")

    await bob.get_by_role("button", name="Hang up").click()
    await carol.get_by_role("button", name="Close").click()
    await call(carol, person, video=False)
    for page in (carol, person):
        await grows(page, "audio", "packets")


async def test_limits_outlast_a_browser_that_refuses_them_and_reach_every_sender_one_at_a_time(
    browsing: Browsing, house: FakeEdge
) -> None:
    page = await browsing.open(house.inside)
    said = await page.evaluate(ON_ITS_OWN)
    assert said["failures"] == []
    assert said["refused"] >= 2
    assert said["at_once"] == 1
    sound, camera = said["first"]
    assert sound == ["audio", 24_000, 1]
    assert camera[0] == "video"
    assert 80_000 < camera[1] < 100_000
    assert camera[2] == 4
    *same, screen = said["shown"]
    assert same == [sound, camera]
    assert screen[0] == "video"
    assert 110_000 < screen[1] < 140_000
    assert screen[2] == 2
    sound, camera, screen = said["more"]
    assert sound == ["audio", 54_000, 1]
    assert 360_000 < camera[1] < 400_000
    assert camera[2] == 1
    assert screen == ["video", None, 1]
    assert said["free"] == [["audio", None, 1], ["video", None, 1], ["video", None, 1]]

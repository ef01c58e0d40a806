"""Browsers for page tests: Chromium with a made-up camera, and pages that tell when they break."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.fake_edge import FakeEdge, fake_edge

CHROMIUM = "/usr/bin/chromium"
# The loopback argument: without it some browsers gather no relay candidate when everything is on one machine.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-loopback-in-peer-connection",
]
DEVICES = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
ARTEFACTS = Path(__file__).resolve().parents[1] / "artefacts"
WIDE = (1280, 800)
NARROW = (390, 844)
DEMO_START_SECONDS = 50


@dataclass
class Browsing:
    """Opens pages, each in a context of its own, and remembers what breaks in them."""

    browser: Browser
    complaints: list[str] = field(default_factory=list)

    async def open(
        self,
        address: str,
        size: tuple[int, int] = WIDE,
        *,
        scheme: Literal["light", "dark"] = "light",
        permissions: tuple[str, ...] = (),
    ) -> Page:
        width, height = size
        context = await self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            ignore_https_errors=True,
            permissions=list(permissions),
        )
        page = await context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.complaints.append(f"{address}: {error}"))
        page.on("console", lambda message: self._listen(address, message.text))
        await page.goto(address)
        return page

    def _listen(self, address: str, text: str) -> None:
        if "Content Security Policy" in text or "Refused to" in text:
            self.complaints.append(f"{address}: {text}")


@asynccontextmanager
async def _browser(arguments: list[str]) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        await browser.close()


@asynccontextmanager
async def _browsing(browser: Browser) -> AsyncIterator[Browsing]:
    browsing = Browsing(browser)
    yield browsing
    for context in list(browser.contexts):
        await context.close()
    assert browsing.complaints == [], "a page broke, or its content security policy had to step in"


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser_with_devices() -> AsyncIterator[Browser]:
    async with _browser(ARGUMENTS + DEVICES) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser_without_devices() -> AsyncIterator[Browser]:
    async with _browser(ARGUMENTS) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def browsing(browser_with_devices: Browser) -> AsyncIterator[Browsing]:
    """A camera and a microphone that every page may use."""
    async with _browsing(browser_with_devices) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def browsing_without_devices(browser_without_devices: Browser) -> AsyncIterator[Browsing]:
    """A machine without camera and microphone."""
    async with _browsing(browser_without_devices) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def house() -> AsyncIterator[FakeEdge]:
    """An edge without rules and without a relay."""
    async with fake_edge() as edge:
        yield edge


@pytest.fixture
def edge() -> Iterator[dict[str, Any]]:
    """The product itself, as `turngate demo --json` describes it: addresses, sign-ins, a guest's link."""
    command = [sys.executable, "-m", "broker.cli.main", "demo", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as demo:
        assert demo.stdout is not None
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        reader = threading.Thread(target=lambda out: lines.put(out.readline()), args=(demo.stdout,))
        reader.start()
        try:
            yield json.loads(lines.get(timeout=DEMO_START_SECONDS))
        finally:
            demo.send_signal(signal.SIGTERM)
            try:
                demo.wait(10)
            except subprocess.TimeoutExpired:
                demo.kill()
            reader.join()

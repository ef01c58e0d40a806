"""What a page counts in its call."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

from tests.browser.visitor import until

REPORT = """async () => {
  const media = document.querySelector("tg-call").client.media;
  return media === null ? null : await media.figures();
}"""
HAS_GROWN = """async ([kind, count, first]) => {
  const figures = await document.querySelector("tg-call").client.media?.figures();
  return figures !== undefined && figures.received[kind][count] > first;
}"""

GOES_BY = """async (transport) => {
  const { path } = await document.querySelector("tg-call").client.media.figures();
  return path !== null && path.relay_protocol === transport;
}"""


async def figures_of(page: Page) -> dict[str, Any]:
    report: dict[str, Any] | None = await page.evaluate(REPORT)
    assert report is not None, "there is no call"
    return report


async def grows(page: Page, kind: str, count: str) -> None:
    """Waits until what this page receives has grown since now."""
    first = (await figures_of(page))["received"][kind][count]
    await until(page, HAS_GROWN, [kind, count, first])


async def goes_by(page: Page, transport: str) -> None:
    """Waits until this side reaches the relay so."""
    await until(page, GOES_BY, transport)
    path = (await figures_of(page))["path"]
    assert (path["local"], path["remote"]) == ("relay", "relay")

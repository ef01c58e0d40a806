"""Two browsers in a call through an edge in this process: what the pages count is what the relay counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from relay.service import Relay
from tests.browser.conftest import Browsing
from tests.browser.visitor import enter_lobby, let_in, open_conversation, sign_in, until
from tests.edge.bench_house import password_of
from tests.edge.edge_bench import edge_bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

GUEST = "Gordon Guest"
MIN_PACKETS = 3000
SELECTED = """async () => {
  const connection = document.querySelector("tg-call").peerConnection;
  const all = [...(await connection.getStats()).values()];
  const transport = all.find((report) => report.type === "transport");
  const byId = new Map(all.map((report) => [report.id, report]));
  const pair = byId.get(transport.selectedCandidatePairId);
  const local = byId.get(pair.localCandidateId);
  return {
    address: `${local.address}:${local.port}`,
    type: local.candidateType,
    received: pair.packetsReceived + pair.requestsReceived + pair.responsesReceived,
  };
}"""


HAS_RECEIVED = """async (wanted) => {
  const { received } = await document.querySelector("tg-call").client.media.figures();
  return received.audio.packets + received.video.packets >= wanted;
}"""


async def _selected(page: Page) -> dict[str, Any]:
    selected: dict[str, Any] = await page.evaluate(SELECTED)
    return selected


def _forwarded(relay: Relay, session_id: str) -> dict[str, int]:
    """Packets to each party, by the plane's counters."""
    counters = relay.session_counters(session_id)
    assert counters is not None
    return {receiver: counted.packets for (_, receiver), counted in counters.directions.items()}


async def test_the_pages_count_the_packets_that_the_relay_counts(tmp_path: Path, browsing: Browsing) -> None:
    async with edge_bench(tmp_path) as bench:
        async with bench.insider("alice") as alice:
            secret = await bench.invitation(alice)
        host = await browsing.open(bench.inside)
        await sign_in(host, "alice", password_of("alice"))
        guest = await browsing.open(f"{bench.outside}/#{secret}")
        await enter_lobby(guest, GUEST)
        await let_in(host, GUEST)
        await open_conversation(host, GUEST)
        await host.get_by_role("button", name="Video call").click()
        await guest.get_by_role("button", name="Answer with camera").click()
        for page in (host, guest):
            await page.get_by_role("timer").wait_for()

        relay = bench.edge.media.relay
        (session_id,) = {live.session_id for live in relay.allocations()}
        for page in (host, guest):
            await until(page, HAS_RECEIVED, MIN_PACKETS)
        live = {str(one.relayed_address): one.party for one in relay.allocations()}
        for page in (host, guest):
            selected = await _selected(page)
            assert selected["type"] == "relay"
            party = live[selected["address"]]
            assert selected["received"] == pytest.approx(_forwarded(relay, session_id)[party], rel=0.01)
        await guest.get_by_role("button", name="Hang up").click()
        await host.get_by_text("The call has ended.", exact=True).wait_for()
        assert relay.allocations() == []

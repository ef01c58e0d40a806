"""The relay's figures in Prometheus form, read when they are asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.shell.metrics import Metrics
from relay.service import Relay, RelayCounters
from relay.vocabulary import Transport


class RelayCollector(Collector):
    """Labels are names of our own: no text of a client's, and so never more rows than there are names."""

    def __init__(self, counters: Callable[[], RelayCounters]) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        now = self._counters()
        allocations = GaugeMetricFamily(
            "turngate_relay_allocations", "Live allocations, by how clients come.", labels=["transport"]
        )
        for transport in Transport:
            allocations.add_metric([transport.value], now.allocations.get(transport, 0))
        yield allocations
        yield GaugeMetricFamily("turngate_relay_sessions", "Sessions with allocations.", value=now.sessions)
        yield GaugeMetricFamily("turngate_relay_streams", "TCP and TLS connections.", value=now.streams)
        yield GaugeMetricFamily("turngate_relay_draining", "1 while it drains.", value=now.draining)
        yield _count("forwarded_packets", "Packets forwarded.", now.forwarded.packets)
        yield _count("forwarded_bytes", "Payload bytes forwarded.", now.forwarded.bytes)
        dropped = CounterMetricFamily(
            "turngate_relay_dropped", "Packets not forwarded, by reason.", labels=["reason"]
        )
        for reason, count in now.dropped().items():
            dropped.add_metric([reason], count)
        yield dropped
        refused = CounterMetricFamily(
            "turngate_relay_refused", "Requests refused, by code and reason.", labels=["code", "reason"]
        )
        for refusal, count in now.refusals.items():
            refused.add_metric([str(refusal.code), refusal.name.lower()], count)
        yield refused
        yield _count("punted", "Datagrams that control looked at.", now.plane.punted)
        yield _count("answers_unsent", "Answers that the system did not take.", now.plane.send_failed)
        yield _count("plane_faults", "Batches given up because of a defect.", now.plane.faults)
        yield _count("streams_refused", "Connections not taken: too many.", now.streams_refused)
        yield _count("streams_garbage", "Connections ended: no STUN came.", now.streams_ended_as_garbage)


def _count(name: str, help_text: str, value: int) -> CounterMetricFamily:
    return CounterMetricFamily(f"turngate_relay_{name}", help_text, value=value)


@asynccontextmanager
async def served_metrics(metrics: Metrics, relay: Relay, at: tuple[str, int] | None) -> AsyncIterator[None]:
    """`/metrics` and `/healthz` by plain HTTP, if there is an address for them."""
    if at is None:
        yield
        return

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def healthz(_: web.Request) -> web.Response:
        """503 while it drains, so that whoever balances load sends nobody here."""
        draining = relay.draining
        return web.json_response({"ok": not draining}, status=503 if draining else 200)

    app = web.Application()
    app.router.add_get("/metrics", show)
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, *at).start()
        yield
    finally:
        await runner.cleanup()

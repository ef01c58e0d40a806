"""Metrics: what operators watch, in Prometheus form, in a registry of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LAG_INTERVAL_SECONDS = 0.25


class Metrics:
    """Counters and gauges. No label ever holds text from a user."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.refusals = Counter(
            "turngate_refusals", "Strangers turned away at a door.", ["kind", "code"], registry=self.registry
        )
        self.frames = Counter("turngate_frames", "Frames received.", ["listener"], registry=self.registry)
        self.bad_frames = Counter(
            "turngate_bad_frames", "Frames that were not understood.", ["listener"], registry=self.registry
        )
        self.loop_lag = Histogram(
            "turngate_event_loop_lag_seconds",
            "How late the event loop runs what is due.",
            buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
            registry=self.registry,
        )

    def watch(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(name, help_text, registry=self.registry).set_function(value)

    def watch_each(
        self, name: str, help_text: str, label: str, values: Mapping[str, Callable[[], float]]
    ) -> None:
        """The same with one value for each of a fixed set of labels."""
        gauge = Gauge(name, help_text, [label], registry=self.registry)
        for value_of_label, value in values.items():
            gauge.labels(value_of_label).set_function(value)

    async def measure_loop_lag(self) -> None:
        """Runs for ever: the difference between when a timer was due and when it ran."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL_SECONDS
            await asyncio.sleep(LAG_INTERVAL_SECONDS)
            self.loop_lag.observe(max(0.0, loop.time() - due))

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

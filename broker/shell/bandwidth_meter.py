"""Bandwidth meter: what insiders send and are sent, in all and of each zone, second by second for an hour."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from broker.core.bandwidth import LiveFlow
from broker.core.events import MediaCount

SECOND = 1.0
KEPT_SECONDS = 3600
LIVE_SECONDS = 60
STEP_SECONDS = 10
"""What one point of the hour is the mean of."""
TOTAL = "total"


@dataclass(slots=True)
class Series:
    """Bits per second of each way, the newest last."""

    from_inside: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT_SECONDS))
    to_inside: deque[int] = field(default_factory=lambda: deque(maxlen=KEPT_SECONDS))

    def to_json(self) -> dict[str, dict[str, list[int]]]:
        ways = {"from_inside": list(self.from_inside), "to_inside": list(self.to_inside)}
        return {
            "hour": {way: _means(bits) for way, bits in ways.items()},
            "live": {way: bits[-LIVE_SECONDS:] for way, bits in ways.items()},
        }


def _means(bits: list[int]) -> list[int]:
    """Whole steps, counted from the newest; what is left of the oldest step is no point yet."""
    first = len(bits) % STEP_SECONDS
    steps = range(first, len(bits), STEP_SECONDS)
    return [sum(bits[at : at + STEP_SECONDS]) // STEP_SECONDS for at in steps]


class BandwidthMeter:
    """`flows` are those of the calls there are, `counted` what the relay has carried of one."""

    def __init__(
        self,
        flows: Callable[[], Iterable[LiveFlow]],
        counted: Callable[[str], MediaCount | None],
        zones: Callable[[], Iterable[str]],
    ) -> None:
        self._flows = flows
        self._counted = counted
        self._zones = zones
        self._carried: dict[str, tuple[int, int]] = {}
        self._series: dict[str, Series] = {TOTAL: Series()}

    async def run(self) -> None:
        """Runs for ever."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while True:
            await asyncio.sleep(SECOND)
            now = loop.time()
            self.sample(now - before)
            before = now

    def sample(self, seconds: float) -> None:
        """What was carried since the last sample, so long ago, is one point more of each series."""
        sums: dict[str, list[int]] = {TOTAL: [0, 0]}
        sums |= {f"zone:{zone}": [0, 0] for zone in self._zones()}
        carried: dict[str, tuple[int, int]] = {}
        for flow in self._flows():
            count = self._counted(flow.call_id)
            if count is None:
                continue
            carried[flow.call_id] = count.bytes
            before = self._carried.get(flow.call_id, (0, 0))
            for way in (0, 1):
                self._add(sums, flow, way, max(0, count.bytes[way] - before[way]))
        self._carried = carried
        for gone in self._series.keys() - sums.keys():
            del self._series[gone]
        for scope, (out, back) in sums.items():
            series = self._series.setdefault(scope, Series())
            series.from_inside.append(int(out * 8 / seconds))
            series.to_inside.append(int(back * 8 / seconds))

    @staticmethod
    def _add(sums: Mapping[str, list[int]], flow: LiveFlow, way: int, octets: int) -> None:
        """Way 0 is from the first party to the second."""
        for column, end in ((0, flow.ends[way]), (1, flow.ends[1 - way])):
            if end is not None:
                for scope in (TOTAL, *(f"zone:{zone}" for zone in end)):
                    if scope in sums:
                        sums[scope][column] += octets

    def to_json(self) -> dict[str, dict[str, dict[str, list[int]]]]:
        """Every series, by its scope."""
        return {scope: series.to_json() for scope, series in self._series.items()}

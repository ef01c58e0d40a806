"""The budgets (`budgets.toml`) beside what was measured."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUDGETS = Path(__file__).with_name("budgets.toml")
NATIVE, ASYNCIO, COTURN, SWITCH = "turngate native", "turngate asyncio", "coturn", "bare switch"
CPU = "cpu_microseconds_per_packet"


@dataclass(frozen=True)
class Verdict:
    """One budget and its figure; `figure` is None for what was not measured."""

    name: str
    what: str
    at_most: bool
    bar: float
    stretch: float
    figure: float | None
    where: str
    """The size and pairs of a worst case."""

    def reaches(self, goal: float) -> bool:
        if self.figure is None:
            return False
        return self.figure <= goal if self.at_most else self.figure >= goal

    @property
    def said(self) -> str:
        if self.figure is None:
            return "not measured"
        if not self.reaches(self.bar):
            return "MISSED"
        return "kept, stretch too" if self.reaches(self.stretch) else "kept"


def verdicts(results: Mapping[str, Any]) -> list[Verdict]:
    """Every budget, in the order of the file."""
    figures = dict(_figures(results))
    told = []
    for name, budget in tomllib.loads(BUDGETS.read_text()).items():
        at_most = "at_most" in budget
        goals = budget["at_most" if at_most else "at_least"]
        figure, where = figures.get(name, (None, ""))
        told.append(Verdict(name, budget["what"], at_most, goals["bar"], goals["stretch"], figure, where))
    return told


def _figures(results: Mapping[str, Any]) -> list[tuple[str, tuple[float, str]]]:
    found: list[tuple[str, tuple[float, str]]] = []
    if cells := results.get("media"):
        found += [
            ("native_cpu_to_coturn", _worst(max, cells, NATIVE, COTURN, CPU)),
            ("native_cpu_to_bare_switch", _worst(max, cells, NATIVE, SWITCH, CPU)),
            ("asyncio_cpu_to_coturn", _worst(max, cells, ASYNCIO, COTURN, CPU)),
            ("native_rate_to_coturn", _worst(min, cells, NATIVE, COTURN, "packets_per_second")),
        ]
        lost = {cell: servers[NATIVE]["all_lost_at_70_percent"] for cell, servers in cells.items()}
        found.append(("native_lost_at_70_percent", (sum(lost.values()), "all together")))
    if servers := results.get("allocations"):
        found.append(("allocations_per_second", (servers[NATIVE]["allocations_per_second"], "")))
    if servers := results.get("memory"):
        found.append(("kib_per_idle_allocation", (servers[NATIVE]["bytes_per_idle_allocation"] / 1024, "")))
    if (servers := results.get("stops")) and (whole := results.get("stop_of_everything")):
        slowest = max(one["milliseconds_to_last_packet"] for one in (servers[NATIVE], whole))
        found.append(("stop_milliseconds", (slowest, "")))
    if servers := results.get("silences"):
        slow = max(servers, key=lambda name: float(servers[name]["milliseconds_to_last_packet"]))
        found.append(("silence_milliseconds", (servers[slow]["milliseconds_to_last_packet"], slow)))
    if (churn := results.get("churn")) and (whole := results.get("stop_of_everything")):
        after = churn["after_removal"] + churn["out_of_generation"] + whole["after_removal"]
        after += sum(one["rows_that_sent_after_return"] for one in results.get("silences", {}).values())
        found.append(("packets_after_removal", (after, f"{churn['rows']:.0f} rows")))
    if kinds := results.get("floods"):
        worst = max(kinds, key=lambda kind: float(kinds[kind]["python_share_of_a_core"]))
        found.append(("python_share_in_a_flood", (kinds[worst]["python_share_of_a_core"], worst)))
    if soak := results.get("soak"):
        grown = (soak["resident_bytes_end"] - soak["resident_bytes_warm"]) / 1024
        found.append(("soak_lost", (soak["lost"], f"of {soak['sent']:.0f}")))
        found.append(("soak_memory_growth_kib", (grown, f"{soak['seconds']:.0f} s")))
    return found


def _worst(choose: Any, cells: Mapping[str, Any], one: str, other: str, figure: str) -> tuple[float, str]:
    ratios = {cell: servers[one][figure] / servers[other][figure] for cell, servers in cells.items()}
    worst = choose(ratios, key=ratios.__getitem__)
    return ratios[worst], f"{worst} pairs"

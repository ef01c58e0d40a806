"""The results as a page of tables and as plots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from loadtests.budgets import ASYNCIO, COTURN, CPU, NATIVE, SWITCH, verdicts
from loadtests.media import WINDOW_PACKETS

SERVERS = (SWITCH, NATIVE, ASYNCIO, COTURN)
COLOURS = {SWITCH: "#8a8f98", NATIVE: "#1a6dd4", ASYNCIO: "#7cb3f2", COTURN: "#d98324"}
Results = Mapping[str, Any]


def write(results: Results, folder: Path) -> None:
    """`report.md` and its plots."""
    parts = ["# Load test", *_about(results), *_budgets(results)]
    if cells := results.get("media"):
        parts += _media(cells, folder)
    parts += _tables(results)
    (folder / "report.md").write_text("\n".join(parts) + "\n")


def _about(results: Results) -> list[str]:
    lines = ["", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in results["machine"].items()]
    lines += [f"| rounds | {results['rounds']}, and one before them that does not count |", ""]
    lines.append(
        "Every server is held to one core, the generator to another. All are measured in turns in the same "
        "run; figures are medians over the rounds unless called sums. All goes over the loopback device."
    )
    return lines


def _budgets(results: Results) -> list[str]:
    rows = []
    for verdict in verdicts(results):
        sign = "≤" if verdict.at_most else "≥"
        figure = "" if verdict.figure is None else f"{_short(verdict.figure)} {verdict.where}".strip()
        goals = (f"{sign} {_short(verdict.bar)}", f"{sign} {_short(verdict.stretch)}")
        rows.append((verdict.what, *goals, figure, verdict.said))
    return ["", "## Budgets", "", *_table(("what", "bar", "stretch", "measured", ""), rows)]


def _media(cells: Results, folder: Path) -> list[str]:
    columns = {
        "CPU µs a packet": CPU,
        "packets/s": "packets_per_second",
        "core used": "busy",
        "CPU µs a packet, modest rate": "modest_cpu_microseconds_per_packet",
        "modest rate": "modest_packets_per_second",
        "half load p50 µs": "half_load_p50_microseconds",
        "p99": "half_load_p99_microseconds",
        "p99.9": "half_load_p999_microseconds",
        "lost saturated, sum": "all_lost_saturated",
        "lost half load, sum": "all_lost_at_half_load",
        "reordered, sum": "all_reordered",
        "misdelivered, sum": "all_misdelivered",
    }
    rows = [
        (cell, server, *(_short(servers[server][figure]) for figure in columns.values()))
        for cell, servers in cells.items()
        for server in SERVERS
    ]
    parts = [
        *("", "## Media, relay to relay", ""),
        f"Saturated: {WINDOW_PACKETS} packets on their way, each arrival makes room for another.",
        "Modest: half of what coturn carries, the same for all. Half load: half of what each carries itself.",
        "Rows are payload bytes x pairs of clients.",
        *("", *_table(("", "server", *columns), rows), ""),
    ]
    safe = [
        (
            cell,
            *(
                _short(servers[NATIVE][f"{figure}_at_70_percent"])
                for figure in ("all_sent", "all_lost", "busy", "behind_milliseconds")
            ),
        )
        for cell, servers in cells.items()
    ]
    parts += ["The native plane at 70 % of the bare switch's rate:", ""]
    parts += _table(("", "sent, sum", "lost, sum", "core used", "generator late, ms"), safe)
    for name, title, figure in (
        ("cpu", "server CPU per packet at saturation, µs", CPU),
        ("rate", "packets delivered per second at saturation, one core", "packets_per_second"),
        ("latency", "latency at half load, 99th percentile, µs", "half_load_p99_microseconds"),
    ):
        _plot(cells, figure, title, folder / f"{name}.svg")
        parts += ["", f"![{title}]({name}.svg)"]
    return parts


def _plot(cells: Results, figure: str, title: str, path: Path) -> None:
    drawing = Figure(figsize=(9, 3.6), layout="constrained")
    axes = drawing.subplots()
    width = 0.8 / len(SERVERS)
    for number, server in enumerate(SERVERS):
        heights = [servers[server][figure] for servers in cells.values()]
        places = [at + (number - (len(SERVERS) - 1) / 2) * width for at in range(len(cells))]
        bars = axes.bar(places, heights, width, label=server, color=COLOURS[server])
        axes.bar_label(bars, fmt=lambda height: _short(height), fontsize=6, rotation=90, padding=2)
    axes.set_xticks(range(len(cells)), list(cells))
    axes.set_xlabel("payload bytes x pairs of clients")
    axes.set_title(title, fontsize=10)
    axes.margins(y=0.18)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, ncols=len(SERVERS), loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)
    with rc_context({"svg.hashsalt": "turngate"}):
        drawing.savefig(path, metadata={"Date": None})


def _tables(results: Results) -> list[str]:
    parts: list[str] = []
    for section, title in (("conversations", "Conversations"), ("transports", "UDP, TCP and TLS clients")):
        for name, servers in results.get(section, {}).items():
            parts += ["", f"## {title}: {name}", "", *_by_name(servers)]
    for section, title in (
        ("allocations", "Allocations"),
        ("memory", "Memory"),
        ("stops", "Stop: from SIGTERM to the last packet"),
        (
            "silences",
            "`Relay.silence` of 5,000 sessions or half of them under load, worst cases",
        ),
        ("floods", "Floods of forged datagrams, native plane"),
    ):
        if servers := results.get(section):
            parts += ["", f"## {title}", "", *_by_name(servers)]
    for section, title in (
        ("churn", "Rows changed under full load"),
        ("stop_of_everything", "`remove_all` of 10,000 rows under full load"),
        ("soak", "Soak: 500 calls' audio and video"),
    ):
        if figures := results.get(section):
            rows = [(_words(name), _short(figure)) for name, figure in figures.items()]
            parts += ["", f"## {title}", "", *_table(("", ""), rows)]
    return parts


def _by_name(servers: Mapping[str, Mapping[str, float]]) -> list[str]:
    names = next(iter(servers.values()))
    rows = [(server, *(_short(figures[name]) for name in names)) for server, figures in servers.items()]
    return _table(("", *(_words(name) for name in names)), rows)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _words(name: str) -> str:
    return (f"{name.removeprefix('all_')}, sum" if name.startswith("all_") else name).replace("_", " ")


def _short(figure: float) -> str:
    """Three digits that count, and no fewer than the whole number has."""
    if figure == int(figure) or abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.3g}"

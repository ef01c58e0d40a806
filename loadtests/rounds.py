"""Figures taken in turns: every server once a round, the first round thrown away, medians of the others."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable

Figures = dict[str, float]
Table = dict[str, Figures]
"""By server, by the name of a figure, which has its unit in it."""


def alternate(
    servers: Iterable[str], measure: Callable[[str], Figures], rounds: int, told: Callable[[str], None]
) -> Table:
    """`rounds` besides the one that is thrown away.

    Of what is counted and has no median, names begin with `all_` and are summed up.
    """
    seen: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds + 1):
        for server in servers:
            figures = measure(server)
            for name, figure in figures.items():
                if number:
                    seen[server][name].append(figure)
            first = ", ".join(f"{name} {figure:.6g}" for name, figure in list(figures.items())[:3])
            told(f"round {number} {server}: {first}")
    return {
        server: {
            name: sum(values) if name.startswith("all_") else statistics.median(values)
            for name, values in figures.items()
        }
        for server, figures in seen.items()
    }

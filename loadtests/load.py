"""`make load`: Turngate's planes, Debian's coturn and a bare switch measured in one run, and a report."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtests import calls_soak, churn, flood, machine, media, report, sessions
from loadtests.budgets import verdicts
from loadtests.place import Place, place

RESULTS = Path(__file__).with_name("results")
STAGES: dict[str, Callable[[Place, int, Callable[[str], None]], Any]] = {
    "media": media.matrix,
    "conversations": media.conversations,
    "transports": media.transports,
    "allocations": sessions.allocations,
    "memory": sessions.memory,
    "stops": sessions.stops,
    "stop_of_everything": churn.stop_of_everything,
    "silences": churn.silences,
    "churn": churn.run,
    "floods": flood.floods,
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5, help="that count; one more comes before them")
    options.add_argument("--soak-seconds", type=float, default=calls_soak.SECONDS)
    options.add_argument("--stages", default=",".join([*STAGES, "soak"]), help="some of these, with commas")
    options.add_argument("--results", type=Path, help="folder to write to; a new one of today by itself")
    chosen = options.parse_args()
    stages = chosen.stages.split(",")
    folder: Path = chosen.results or RESULTS / time.strftime("%Y-%m-%d")
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"machine": machine.described(), "rounds": chosen.rounds}
    with place() as here:
        for stage in stages:
            _tell(f"---- {stage}")
            if stage == "soak":
                results[stage] = calls_soak.soak(here, _tell, chosen.soak_seconds)
            else:
                results[stage] = STAGES[stage](here, chosen.rounds, _tell)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    report.write(results, folder)
    for verdict in verdicts(results):
        figure = "" if verdict.figure is None else f"{verdict.figure:.3g}"
        print(f"{verdict.said:18} {figure:>8}  {verdict.what}  {verdict.where}")
    print(f"written: {folder / 'report.md'}")
    return 0


def _tell(line: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

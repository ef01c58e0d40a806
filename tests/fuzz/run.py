"""Fuzz every target, one after another: `python -m tests.fuzz.run [SECONDS [TARGET...]]`.

What breaks a law stays in `crashers/TARGET/`, for `make test` to try from then on. What covers something new
stays in `var/fuzz/TARGET/`, beside the engine's log, and is where the next run goes on.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent
WORK: Final = FOLDER.parent.parent / "var" / "fuzz"
SHARES: Final = {
    "stun": 1,
    "channel": 1,
    "framing": 1,
    "server": 5,
    "planes": 2,
    "policy": 1,
    "latch": 1,
    "second_factor": 1,
    "security_key": 1,
    "guest": 1,
    "entry": 1,
}
"""How many parts of the time each target gets: the server takes longest and has most to try."""
MAX_INPUT_BYTES = 8192
LOADING_SECONDS = 120
"""What an engine may need besides its time, to try all it has from before."""


class Run(NamedTuple):
    """What one engine did."""

    executions: int
    per_second: int
    covered: int
    found: list[Path]
    failed: bool
    log: str


def run(target: str, seconds: int) -> Run:
    crashers, work = FOLDER / "crashers" / target, WORK / target
    for folder in (crashers, work):
        folder.mkdir(parents=True, exist_ok=True)
    known = {path: path.read_bytes() for path in crashers.iterdir()}
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-artifact_prefix={crashers}/",
        "-print_final_stats=1",
        "-timeout=10",
        "-rss_limit_mb=1024",
    ]
    # An input that took a way must take it again: nothing may depend on how this process hashes text.
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fuzz.engine",
            target,
            *options,
            work,
            FOLDER / "corpus" / target,
            crashers,
        ],
        cwd=FOLDER.parent.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds + LOADING_SECONDS,
        check=False,
    )
    (WORK / f"{target}.log").write_text(done.stdout, encoding="utf-8")
    kept = sorted(set(crashers.iterdir()) - known.keys())
    for path in kept:
        if path.read_bytes() in known.values():
            # It is here already, under a name that says what it is.
            path.unlink()
    return Run(
        executions=_last(r"stat::number_of_executed_units: (\d+)", done.stdout),
        per_second=_last(r"stat::average_exec_per_sec: +(\d+)", done.stdout),
        covered=_last(r"\bcov: (\d+)", done.stdout),
        found=[path for path in kept if path.exists()],
        failed=done.returncode != 0,
        log=done.stdout,
    )


def what_went_wrong(did: Run) -> str:
    if did.found:
        return f"broke a law: {', '.join(map(str, did.found))}"
    return "broke a law with an input from before" if "ERROR: libFuzzer" in did.log else "was stopped"


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def main() -> int:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    targets = sys.argv[2:] or list(SHARES)
    parts = sum(SHARES[target] for target in targets)
    failed = []
    total = 0
    for target in targets:
        share = max(seconds * SHARES[target] // parts, 1)
        print(f"{target}: {share} s ...", end=" ", flush=True)
        did = run(target, share)
        total += did.executions
        print(f"{did.executions:,} executions, {did.per_second:,} a second, {did.covered:,} edges covered")
        if did.failed:
            failed.append(target)
            # What went wrong, without the engine's progress before it.
            print(did.log[max(did.log.rfind("\n === "), len(did.log) - 6000) :], file=sys.stderr)
            print(f"{target} {what_went_wrong(did)}")
    print(f"{total:,} executions in all; {f'broken: {failed}' if failed else 'every law held'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""What a run was made on and with: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent


def described() -> dict[str, str]:
    """For people, in the order they ask."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _said("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "processor": f"{cpu[1] if cpu else platform.machine()}, {len(os.sched_getaffinity(0))} cores used",
        "memory": f"{int(memory[1]) / 1024**2:.0f} GiB" if memory else "",
        "kernel": platform.release(),
        "virtual": _said("systemd-detect-virt") or "unknown",
        "rmem_max": Path("/proc/sys/net/core/rmem_max").read_text().strip(),
        "python": platform.python_version(),
        "uvloop": version("uvloop"),
        "rust": _said("rustc", "--version"),
        "coturn": _said("dpkg-query", "-W", "-f=${Version}", "coturn"),
    }


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()

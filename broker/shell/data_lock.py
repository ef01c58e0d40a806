"""Data lock: one process at a time writes a data directory, because the record has one writer."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DataInUseError(Exception):
    """Another process has this data directory."""


@contextmanager
def data_lock(directory: Path) -> Iterator[None]:
    """Hold the directory; raises DataInUseError if another process does. The lock goes with the process."""
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataInUseError(f"another Turngate runs on {directory}") from None
        yield
    finally:
        os.close(descriptor)

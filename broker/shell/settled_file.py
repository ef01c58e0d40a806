"""SettledFile: notices that a file was changed, once whoever writes it has stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

POLL_SECONDS = 0.25
"""Two looks that see the same make a change: it is taken over half a second after the last byte."""

_Stamp = tuple[int, int, int, int] | None


class SettledFile:
    """One file, looked at again and again. Blocks for the length of a `stat`."""

    def __init__(self, path: Path) -> None:
        """What is there now is a change too: whoever read it before may have read something else."""
        self._path = path
        self._seen = self._stamp()
        self._taken: _Stamp | Literal["nothing yet"] = "nothing yet"

    def changed(self) -> bool:
        """Whether the file is another one than last time, and has been for two looks. Gone is another one
        too."""
        stamp = self._stamp()
        settled = stamp == self._seen
        self._seen = stamp
        if not settled or stamp == self._taken:
            return False
        self._taken = stamp
        return True

    def _stamp(self) -> _Stamp:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

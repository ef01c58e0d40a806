"""Looking at directories and their disks. One file is written and taken away again."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
import time
from pathlib import Path

from broker.shell.doctor.disk import FolderFacts, RoomFacts

_BLOCK = bytes(4096)


def look_at_folder(path: Path) -> FolderFacts:
    """Raises OSError for what cannot be looked at."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return FolderFacts(path, "missing")
    if not stat.S_ISDIR(status.st_mode):
        return FolderFacts(path, "other")
    system = os.statvfs(path)
    room = RoomFacts(
        system.f_bavail * system.f_frsize,
        system.f_blocks * system.f_frsize,
        system.f_favail,
        system.f_files,
    )
    seconds = _sync_seconds(path)
    return FolderFacts(
        path, "directory", _name_of(status.st_uid), status.st_mode, seconds is not None, room, seconds
    )


def _sync_seconds(folder: Path) -> float | None:
    """None where nothing can be written. A directory of somebody else's cannot lead this elsewhere: the file
    is new and has no name, or one that nobody knows before."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_BLOCK)
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            return time.perf_counter() - begun
    except OSError:
        return None


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"

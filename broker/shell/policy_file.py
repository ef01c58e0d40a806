"""PolicyFile: the policy on disk. Watched, replaced in one step, and kept in every text that was in force.

Whoever may write the file sets the policy; whoever is a policy administrator sets it through the console, and
then the file is written here. A text that cannot be used changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from auth.principal import Insider
from broker.core.events import Event, PolicyApplied, PolicyRefused
from broker.policy.check import Finding, findings
from broker.policy.index import PolicyIndex
from broker.shell.settled_file import POLL_SECONDS, SettledFile
from config.policy.loading import LoadedPolicy, PolicyError, PolicyErrors, load_policy

log = structlog.get_logger(__name__)

Result = TypeVar("Result")
_KEPT_NAME = re.compile(r"(\d+)-([0-9a-f]{64})\.toml")


class PolicyFile:
    """`shelf` is the folder of the texts that were in force. Reading and checking happen in a thread of its
    own: a long policy takes seconds."""

    def __init__(
        self, path: Path, shelf: Path, loaded: LoadedPolicy, submit: Callable[[Event], None]
    ) -> None:
        """Raises OSError when the shelf cannot be written."""
        self._path = path
        self._shelf = shelf
        self._in_force = loaded
        self._submit = submit
        self._file = SettledFile(path)
        self._thread = ThreadPoolExecutor(1, "policy")
        # Apart, so that checking a long candidate does not keep the file waiting.
        self._checker = ThreadPoolExecutor(1, "policy-check")
        self._refused = False
        self._changing = asyncio.Lock()
        shelf.mkdir(mode=0o700, exist_ok=True)
        raw = path.read_bytes()
        if hashlib.sha256(raw).hexdigest() == loaded.sha256:
            self._keep(raw, loaded)

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._checker.shutdown(wait=False, cancel_futures=True)

    async def watch(self) -> None:
        """Runs for ever: takes over the file when somebody has changed it."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            async with self._changing:
                event = await self._in_thread(self._look)
                if event is not None:
                    self._submit(event)

    async def apply(self, raw: bytes, by: Insider) -> LoadedPolicy:
        """Put this text in force and in the file. Raises PolicyErrors, OSError."""
        return await self._replace(lambda: raw, "console", by)

    async def roll_back(self, revision: int, by: Insider) -> LoadedPolicy:
        """Put the text of an earlier revision in force and in the file. Raises PolicyErrors, OSError."""
        return await self._replace(lambda: self._kept(revision), "rollback", by)

    async def check(
        self, raw: bytes, at_unix_seconds: int, known_groups: frozenset[str] | None = None
    ) -> list[Finding]:
        """What this text says that is probably not meant. Raises PolicyErrors."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._checker,
            lambda: findings(PolicyIndex(load_policy(raw, self._path.name)), at_unix_seconds, known_groups),
        )

    async def _replace(self, text: Callable[[], bytes], how: str, by: Insider) -> LoadedPolicy:
        async with self._changing:
            event = await self._in_thread(lambda: self._write(text(), how, by))
            self._submit(event)
            return event.policy.loaded

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # --- in the thread --------------------------------------------------------------------------------------

    def _look(self) -> PolicyApplied | PolicyRefused | None:
        if not self._file.changed():
            return None
        try:
            raw = self._path.read_bytes()
        except OSError as error:
            self._refused = True
            log.critical("policy.unreadable", why=error.strerror)
            return PolicyRefused("", (f"the file cannot be read: {error.strerror}",))
        sha256 = hashlib.sha256(raw).hexdigest()
        if sha256 == self._in_force.sha256 and not self._refused:
            return None
        self._refused = True
        try:
            loaded = self._checked(raw)
        except PolicyErrors as refused:
            errors = tuple(str(error) for error in refused.errors)
            log.critical("policy.refused", sha256=sha256, errors=len(errors), first=errors[0])
            return PolicyRefused(sha256, errors)
        return self._taken(raw, PolicyApplied(PolicyIndex(loaded), "file"))

    def _write(self, raw: bytes, how: str, by: Insider) -> PolicyApplied:
        event = PolicyApplied(PolicyIndex(self._checked(raw)), how, by)
        write_at_once(self._path, raw)
        return self._taken(raw, event)

    def _taken(self, raw: bytes, event: PolicyApplied) -> PolicyApplied:
        self._in_force, self._refused = event.policy.loaded, False
        self._keep(raw, self._in_force)
        event.policy.next_change(int(time.time()))  # works its hours out here, not on the event loop
        log.info("policy.applied", revision=self._in_force.policy.revision, sha256=self._in_force.sha256)
        return event

    def _checked(self, raw: bytes) -> LoadedPolicy:
        """The policy of this text. A revision is one text, and a new one is higher: records quote it."""
        loaded = load_policy(raw, self._path.name)
        revision = loaded.policy.revision
        known = self._texts()
        problem = None
        if revision in known and loaded.sha256 not in known[revision]:
            problem = f"{revision} was in force with another text: raise it"
        elif revision not in known and revision < max((*known, self._in_force.policy.revision)):
            highest = max((*known, self._in_force.policy.revision))
            problem = f"{highest} was in force already: raise it above that"
        if problem is not None:
            raise PolicyErrors(self._path.name, [PolicyError("revision", problem)])
        return loaded

    def _texts(self) -> dict[int, list[str]]:
        """Revisions that were in force and the hashes of their texts. Raises PolicyErrors when nobody can
        tell: a revision must not come into force again with another text."""
        texts: dict[int, list[str]] = {}
        try:
            names = [entry.name for entry in self._shelf.iterdir()]
        except OSError as error:
            problem = f"the texts that were in force cannot be read: {error.strerror} ({self._shelf})"
            raise PolicyErrors(self._path.name, [PolicyError("revision", problem)]) from None
        for name in names:
            if found := _KEPT_NAME.fullmatch(name):
                texts.setdefault(int(found[1]), []).append(found[2])
        return texts

    def _keep(self, raw: bytes, loaded: LoadedPolicy) -> None:
        """Without it the policy is in force all the same, and cannot be rolled back to."""
        kept = self._shelf / f"{loaded.policy.revision}-{loaded.sha256}.toml"
        try:
            if not kept.exists():
                write_at_once(kept, raw)
        except OSError as error:
            log.critical("policy.not_kept", why=error.strerror)

    def _kept(self, revision: int) -> bytes:
        hashes = self._texts().get(revision, [])
        if len(hashes) != 1:
            problem = (
                "was never in force" if not hashes else "was in force with several texts: apply one of them"
            )
            raise PolicyErrors(self._shelf.name, [PolicyError("revision", f"{revision} {problem}")])
        return (self._shelf / f"{revision}-{hashes[0]}.toml").read_bytes()


def write_at_once(path: Path, raw: bytes) -> None:
    """The old text or the new one is there, whatever happens meanwhile. Keeps the file's mode."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    beside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:  # it is there, and would be forgotten by a loss of power alone
        log.warning("policy.not_synced", why=error.strerror)

"""LdifDirectory: people and groups from an LDIF file, the directory that needs no server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from auth.case_ignore import case_ignore_key
from auth.directory import CredentialCheck, CredentialOutcome, DirectoryEntry, EntryState
from auth.ldif_people import MAX_LOGIN_CHARACTERS, LdifContent, LdifPerson, read_people
from auth.ldif_records import MAX_FILE_BYTES, LdifError
from auth.passwords import DEFAULT_DECOY, PasswordChecker, password_bytes


class LdifDirectory:
    """Fulfils `auth.directory.Directory`. Belongs to one event loop; hashing and reading happen in its own
    threads."""

    def __init__(
        self,
        path: Path,
        *,
        password_check_threads: int = 2,
        max_waiting_checks: int = 32,
        check_timeout_seconds: float = 5.0,
    ) -> None:
        """Reads the file, blocking. Raises LdifError when it cannot be read or understood."""
        self._path = path
        self._content = _load(path)
        self._checker = PasswordChecker(password_check_threads, max_waiting_checks, check_timeout_seconds)
        # Its own thread: a reload that disables somebody does not queue behind password checks.
        self._reloader = ThreadPoolExecutor(1, thread_name_prefix="ldif")
        self._reloading = asyncio.Lock()

    async def check(self, login: str, password: str) -> CredentialCheck:
        """See `Directory.check`. An unknown login, and one without a password, costs the same hash as a known
        one."""
        person = self._find(login)
        encoded = password_bytes(password)
        if encoded is None:
            return CredentialCheck(CredentialOutcome.WRONG, person.entry if person else None)
        stored = person.password if person else None
        matched = await self._checker.matches(stored or self._content.decoy or DEFAULT_DECOY, encoded)
        # The file may have been read again meanwhile: what it says now counts.
        person = self._find(login)
        if person is None:
            return CredentialCheck(CredentialOutcome.UNKNOWN, None)
        if not matched or stored is None or stored != person.password:
            return CredentialCheck(CredentialOutcome.WRONG, person.entry)
        if person.entry.state is not EntryState.ACTIVE:
            return CredentialCheck(CredentialOutcome.NOT_ACTIVE, person.entry)
        return CredentialCheck(CredentialOutcome.ACCEPTED, person.entry)

    async def get(self, stable_id: str) -> DirectoryEntry | None:
        person = self._content.by_stable_id.get(stable_id)
        return person.entry if person else None

    async def find(self, login: str) -> DirectoryEntry | None:
        person = self._find(login)
        return person.entry if person else None

    async def list_entries(self, limit: int) -> Sequence[DirectoryEntry]:
        """See `Directory.list_entries`; sorted by name."""
        return self._content.active[: max(0, limit)]

    async def read(self, stable_ids: Iterable[str]) -> Mapping[str, DirectoryEntry]:
        people = self._content.by_stable_id
        return {one: people[one].entry for one in stable_ids if one in people}

    async def reload(self) -> None:
        """Read the file again and take over all of it at once. Raises LdifError, and then nothing has
        changed."""
        async with self._reloading:
            self._content = await asyncio.get_running_loop().run_in_executor(
                self._reloader, _load, self._path
            )

    async def close(self) -> None:
        await self._checker.close()
        self._reloader.shutdown()

    def _find(self, login: str) -> LdifPerson | None:
        if len(login) > MAX_LOGIN_CHARACTERS:
            return None
        return self._content.by_login.get(case_ignore_key(login))


def _load(path: Path) -> LdifContent:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise LdifError(0, f"the file cannot be read: {error.strerror}") from None
    return read_people(data)

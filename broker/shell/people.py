"""People: watches what the directory says of those who have something open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from auth.directory import DirectoryUnavailable
from auth.ldif import LdifDirectory
from auth.ldif_records import LdifError
from auth.principal import Insider, PartyId
from broker.core.events import Event, PeopleChanged
from broker.shell.facts import Facts
from broker.shell.settled_file import POLL_SECONDS, SettledFile

log = structlog.get_logger(__name__)


async def watch_ldif(
    directory: LdifDirectory,
    path: Path,
    facts: Facts,
    present: Callable[[], Iterable[Insider]],
    submit: Callable[[Event], None],
) -> None:
    """Runs for ever: reads the directory's file again when it was changed, and tells what that means for
    people who are present. A file that cannot be read changes nobody."""
    file = SettledFile(path)
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if not file.changed():
            continue
        try:
            await directory.reload()
            event = await changes(facts, present())
        except (LdifError, DirectoryUnavailable) as error:
            log.critical("directory.not_reloaded", why=str(error))
            continue
        if event.people or event.gone:
            submit(event)


async def changes(facts: Facts, present: Iterable[Insider]) -> PeopleChanged:
    """Of these people, who is another one now and who is gone. Raises DirectoryUnavailable."""
    changed: list[Insider] = []
    gone: list[PartyId] = []
    for person in present:
        now = await facts.insider(person.party)
        if now is None:
            gone.append(person.party)
        elif now != person:
            changed.append(now)
    return PeopleChanged(tuple(changed), tuple(gone))

"""People: watches what the directory says of those who have something open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from auth.directory import Directory, DirectoryUnavailable
from auth.ldif import LdifDirectory
from auth.ldif_records import LdifError
from auth.principal import Insider, PartyId
from broker.core.events import DirectorySilent, Event, PeopleRead
from broker.shell.facts import insider_of
from broker.shell.settled_file import POLL_SECONDS, SettledFile

PEOPLE_PER_SECOND = 1000
"""So many are asked about at most, on average: each costs a fifth of a millisecond of a core."""

log = structlog.get_logger(__name__)

People = Mapping[PartyId, Insider | None]
"""Everybody with something open, as last told of; None for whoever has nothing but a sign-in."""


async def watch_ldif(
    directory: LdifDirectory, path: Path, watched: Callable[[], People], submit: Callable[[Event], None]
) -> None:
    """Runs for ever: reads the directory's file again when it was changed, and tells what that means for
    people with something open. A file that cannot be read changes nobody."""
    file = SettledFile(path)
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if not file.changed():
            continue
        try:
            await directory.reload()
        except LdifError as error:
            log.critical("directory.not_reloaded", why=str(error))
            continue
        submit(await people_read(directory, watched()))


async def watch_servers(
    directory: Directory, poll_seconds: float, watched: Callable[[], People], submit: Callable[[Event], None]
) -> None:
    """Runs for ever: asks the directory's servers about everybody with something open, and tells what they
    say or that they say nothing."""
    answered = True
    while True:
        await asyncio.sleep(max(poll_seconds, len(watched()) / PEOPLE_PER_SECOND))
        try:
            submit(await people_read(directory, watched()))
            answered = True
        except DirectoryUnavailable as unavailable:
            if answered:
                log.critical("directory.silent", why=str(unavailable))
            answered = False
            submit(DirectorySilent())


async def people_read(directory: Directory, people: People) -> PeopleRead:
    """What the directory says of these people now. Raises DirectoryUnavailable."""
    known = {party: person for party, person in people.items() if party.startswith("u-")}
    entries = await directory.read([party.removeprefix("u-") for party in known])
    changed: list[Insider] = []
    ended: list[tuple[PartyId, str]] = []
    vanished: list[PartyId] = []
    for party, person in known.items():
        entry = entries.get(party.removeprefix("u-"))
        if entry is None:
            vanished.append(party)
        elif entry.state.ends_access:
            ended.append((party, entry.state.value))
        elif person is not None and (now := insider_of(entry)) != person:
            changed.append(now)
    return PeopleRead(len(known), tuple(changed), tuple(ended), tuple(vanished))

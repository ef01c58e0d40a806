"""A thousand people sign in against OpenLDAP, while somebody guesses.

    python -m loadtests.sign_ins [--people N] [--rounds N] [--results FILE]

The edge is a process of its own, with Debian's slapd beside it. Everybody signs in once, over a TLS
connection of their own and from a network of their own, so many at a time; between them an attacker tries
wrong passwords for one account. What is measured: sign-ins a second and how long each took, how late the
event loop was, and whether the directory locked the account that was guessed at. The peer in the same run is
the directory alone: a bind as the same people from as many threads.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from auth.ldap_link import LdapLink, LdapServer, verifying_context
from broker.client.tls import Connector
from loadtests import machine
from tests.acceptance.served_edge import ServedEdge
from tests.directories.authority import Authority
from tests.directories.population import PASSWORD
from tests.directories.served import on_directory
from tests.directories.slapd import Slapd, person, running_slapd

PEOPLE = 1_000
AT_ONCE = 16
GUESSES = 200
VICTIM = "dora"
DIRECTORY_BEARS = 5
"""Wrong passwords after which slapd locks an account, for ever."""
EDGE_BEARS = 4
LAG_BAR_SECONDS = 0.05
_LAG = re.compile(r'turngate_event_loop_lag_seconds_bucket\{le="([^"]+)"\} ([0-9.]+)')


@contextmanager
def served(folder: Path, people: int) -> Iterator[tuple[ServedEdge, Slapd, Authority]]:
    """The edge and its directory."""
    for name in ("ca", "slapd", "edge"):
        (folder / name).mkdir()
    authority = Authority(folder / "ca")
    certificate = authority.certificate("server", "127.0.0.1")
    with running_slapd(folder / "slapd", certificate, max_failures=DIRECTORY_BEARS) as slapd:
        slapd.add_people(*(f"p{number}" for number in range(people)))
        edge = on_directory(ServedEdge(folder / "edge"), "openldap", authority.path, slapd.ldaps_url)
        edge.environment["TURNGATE_LDAP__LOCKOUT_THRESHOLD"] = str(DIRECTORY_BEARS)
        edge.environment["TURNGATE_SIGN_IN__MAX_FAILURES_PER_LOGIN"] = str(EDGE_BEARS)
        with edge:
            yield edge, slapd, authority


async def post(edge: ServedEdge, number: int, login: str, password: str) -> tuple[int, float]:
    """The status of one sign-in from the network of this number, and the seconds it took."""
    source = f"127.{100 + number // 250 % 100}.{number % 250}.1"
    connector = Connector(edge.ca_file, local_addr=(source, 0), force_close=True)
    body = {"login": login, "password": password, "notice_acknowledged": True, "bearer": True}
    started = time.perf_counter()
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"{edge.inside}/api/sign-in", json=body) as answer,
    ):
        await answer.read()
        return answer.status, time.perf_counter() - started


async def everybody(edge: ServedEdge, people: int) -> dict[str, Any]:
    """All sign in, so many at once, and the attacker guesses all the while."""
    waiting = iter(range(people))
    took: list[float] = []
    guessed: Counter[int] = Counter()
    refused: Counter[int] = Counter()

    async def some() -> None:
        for number in waiting:
            status, seconds = await post(edge, number, f"p{number}", PASSWORD)
            took.append(seconds)
            refused[status] += status != 200

    async def attacker() -> None:
        for number in range(GUESSES):
            status, _ = await post(edge, people + number, VICTIM, f"guess {number}")
            guessed[status] += 1

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(attacker())
        for _ in range(AT_ONCE):
            tasks.create_task(some())
    seconds = time.perf_counter() - started
    took.sort()
    return {
        "sign_ins_per_second": round(people / seconds, 1),
        "p50_ms": round(statistics.median(took) * 1000, 1),
        "p99_ms": round(took[int(len(took) * 0.99) - 1] * 1000, 1),
        "refused": sum(refused.values()),
        "guesses_by_status": dict(guessed),
    }


async def latest_lag(edge: ServedEdge) -> dict[str, int]:
    """How often the event loop was late by at most so many seconds, since it began."""
    origin = f"https://{edge.addresses.admin}:{edge.addresses.admin_port}"
    async with (
        aiohttp.ClientSession(connector=Connector(edge.ca_file)) as session,
        session.get(f"{origin}/metrics") as answer,
    ):
        return {bound: int(float(count)) for bound, count in _LAG.findall(await answer.text())}


def directory_alone(slapd: Slapd, authority: Authority, people: int) -> float:
    """Binds a second of the same people without an edge, each over a TLS connection of its own."""
    context = verifying_context(authority.path)
    server = LdapServer("127.0.0.1", slapd.ldaps_port, start_tls=False)

    def bind(number: int) -> None:
        link = LdapLink(server, context, 5)
        link.open()
        if not link.bind(person(f"p{number}"), PASSWORD.encode()).accepted:
            raise RuntimeError("a bind was refused")
        link.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(bind, range(people)))
    return round(people / (time.perf_counter() - started), 1)


def measured(people: int) -> dict[str, Any]:
    """One round."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {max(cores)} or cores)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), people) as (edge, slapd, authority):
        alone = directory_alone(slapd, authority, people)
        # As in the other load tests: what is measured on the first core, who asks on the last.
        os.sched_setaffinity(0, {max(cores)})
        before = asyncio.run(latest_lag(edge))
        figures = asyncio.run(everybody(edge, people))
        after = asyncio.run(latest_lag(edge))
        lag = {bound: after[bound] - before[bound] for bound in after}
        os.sched_setaffinity(0, cores)
        state = slapd.read(person(VICTIM), "pwdAccountLockedTime", "pwdFailureTime")
        return figures | {
            "directory_alone_per_second": alone,
            "loop_looks": lag["+Inf"],
            "loop_looks_later_than_25_ms": lag["+Inf"] - lag["0.025"],
            "loop_looks_later_than_50_ms": lag["+Inf"] - lag[str(LAG_BAR_SECONDS)],
            "failures_the_directory_counted": state.count("pwdFailureTime:"),
            "account_locked": "pwdAccountLockedTime" in state,
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    rounds = [measured(asked.people) for _ in range(asked.rounds)]
    if any(one["refused"] for one in rounds):
        raise SystemExit("somebody with the right password was refused: these figures are of something else")
    text = json.dumps({"machine": machine.described(), "rounds": rounds}, indent=2)
    print(text)
    if asked.results is not None:
        asked.results.write_text(text + "\n")


if __name__ == "__main__":
    main()

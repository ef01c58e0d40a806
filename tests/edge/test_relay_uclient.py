"""coturn's client against `turngate relay`: every transport, channels and indications, and what is refused.

Of `turnutils_uclient` 4.6.1 is expected what it does with any closed relay. `-G` also asks for foreign
addresses, mostly gets 403 or 443, and loses nothing. `-N` loses nothing where the channels of RFC 5766 are
taken. `-M` gets 405 and gives up. `-R` spoils one message in ten and ends, or never ends, as chance has it.
`-E` is given and verifies nothing: it takes any certificate.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.shell.tls import make_demo_certificate
from relay.vocabulary import Address, Transport
from tests.edge.relay_bench import SECRET, RelayProcess, relay_command

ANYONE = ("--pairing", "any", "--set", "relay.max_allocations_per_credential=200")
EVERY_WAY = [f"{transport}://127.0.0.1:0" for transport in Transport]
HEAVY = ("-m", "10", "-n", "300", "-z", "2")


@dataclass
class Run:
    """One run of the client: its options, and how many messages of its own it has to get back."""

    options: tuple[str, ...]
    messages: int = 0
    prints: tuple[str, ...] = ()
    """Patterns."""
    status: int = 0
    secret: str = SECRET


LOSES_NOTHING = (
    Run(("-y", "-c"), 10),
    Run(("-y", "-s", "-c"), 10),
    # Without -c it asks for even ports, reserves the next and redeems the token.
    Run(("-y",), 20),
    Run(("-y", "-s"), 20),
    Run(("-y", "-c", "-X", "-g", "-D"), 10),
    Run(("-y", "-c", "-G"), 10),
    Run(("-y", "-c", "-N"), 10),
    Run(("-y", "-c", *HEAVY), 3000),
    Run(("-y", "-s", "-c", *HEAVY), 3000),
)
REFUSED = (
    Run(("-y", "-c", "-M"), prints=("error 405",), status=255),
    Run(("-y", "-c", "-x"), prints=("error 440",), status=255),
    Run(("-y", "-c"), prints=("Cannot complete Allocation",), status=255, secret="another secret altogether"),
    # The echo server of coturn's package would be there: nobody outside is reached.
    Run(("-s", "-c", "-e", "127.0.0.1", "-r", "3480"), prints=("create permission error 403",), status=255),
)


class Uclient:
    """Runs the client against one relay by one transport."""

    def __init__(self, at: Address, transport: Transport = Transport.UDP, ca: Path | None = None) -> None:
        way = {Transport.UDP: (), Transport.TCP: ("-t",), Transport.TLS: ("-t", "-S", "-E", str(ca))}
        self._always = (*way[transport], "-p", str(at.port), at.ip)
        self._who = f"{transport.value}{at.port}"

    async def outcome(self, run: Run, *, seconds: int = 45) -> tuple[int, str]:
        """Exit status and output; 124 for one that did not end in time."""
        name = f"{self._who}{abs(hash(run.options)) % 10000}"
        process = await asyncio.create_subprocess_exec(
            "timeout",
            str(seconds),
            "turnutils_uclient",
            *run.options,
            *("-u", name, "-W", run.secret),
            *self._always,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode(errors="replace")

    async def mistakes(self, runs: Iterable[Run]) -> list[str]:
        """All runs at the same time; for each that went another way than it should, what it printed."""
        return list(filter(None, await asyncio.gather(*map(self._mistake, runs))))

    async def _mistake(self, run: Run) -> str:
        status, output = await self.outcome(run)
        expected = list(run.prints)
        if run.messages:
            expected += [
                rf"tot_send_msgs={run.messages}, tot_recv_msgs={run.messages}\n",
                r"Total lost packets 0 \(0\.0+%\), total send dropped 0 ",
            ]
        if status == run.status and all(re.search(pattern, output) for pattern in expected):
            return ""
        return f"{' '.join((*run.options, *self._always))} ended with {status}:\n{output}"


def listening(certificate: tuple[Path, Path], *urls: str) -> tuple[str, ...]:
    """Options for these listeners."""
    files = zip(("certificate_file", "private_key_file"), certificate, strict=True)
    return (
        *(option for url in urls for option in ("--listen", url)),
        *(option for name, file in files for option in ("--set", f"tls.{name}={file}")),
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_demo_certificate(tmp_path_factory.mktemp("certificate"), ["127.0.0.1", "::1"])


def everywhere(relay: RelayProcess, certificate: tuple[Path, Path]) -> list[Uclient]:
    """For a relay that listens at EVERY_WAY."""
    ways = zip(relay.listeners, Transport, strict=True)
    return [Uclient(at, transport, certificate[0]) for at, transport in ways]


async def found(*mistakes: Awaitable[list[str]]) -> list[str]:
    """What went wrong anywhere."""
    return [mistake for where in await asyncio.gather(*mistakes) for mistake in where]


async def end_without_a_fault(relay: RelayProcess) -> None:
    status, log = await relay.stopped()
    assert status == 0
    assert "relay.fault" not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.timeout(120)
async def test_it_loses_nothing(tmp_path: Path, certificate: tuple[Path, Path], transport: Transport) -> None:
    options = listening(certificate, f"{transport}://127.0.0.1:0", f"{transport}://[::1]:0")
    async with relay_command(tmp_path, *options, *ANYONE, "--legacy-channels") as relay:
        over_ipv4, over_ipv6 = (Uclient(at, transport, certificate[0]) for at in relay.listeners)
        assert await found(over_ipv4.mistakes(LOSES_NOTHING), over_ipv6.mistakes(LOSES_NOTHING[:3])) == []
        await end_without_a_fault(relay)


@pytest.mark.timeout(120)
async def test_it_relays_by_ipv6_addresses_where_the_prefix_is_one(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    urls = [f"{transport}://[::1]:0" for transport in Transport]
    options = listening(certificate, "udp://127.0.0.1:0", *urls)
    prefix = ("--relayed-prefix", "2001:db8:77::/64")
    runs = [Run(("-x", *run.options), run.messages) for run in LOSES_NOTHING[:3]]
    async with relay_command(tmp_path, *options, *prefix, *ANYONE, "--legacy-channels") as relay:
        transports = (Transport.UDP, *Transport)
        clients = [
            Uclient(at, transport, certificate[0])
            for at, transport in zip(relay.listeners, transports, strict=True)
        ]
        ipv4_alone = Run(("-y", "-c"), prints=("error 440",), status=255)
        assert await found(*(one.mistakes([*runs, ipv4_alone]) for one in clients)) == []
        made = await relay.logged("relay.allocated")
        assert re.fullmatch(r"\[2001:db8:77:[0-9a-f:]+\]:\d+", made["relayed"])
        await end_without_a_fault(relay)


async def test_it_is_told_what_there_is_not(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    async with relay_command(tmp_path, *listening(certificate, *EVERY_WAY), *ANYONE) as relay:
        clients = everywhere(relay, certificate)
        # Indications need no channel, and so nothing of the range that RFC 8656 took away.
        assert await found(*(one.mistakes([*REFUSED, LOSES_NOTHING[1]]) for one in clients)) == []
        for transport in Transport:
            for code in (405, 440, 403):
                await relay.logged("relay.refused", code=code, transport=transport.value)
        await end_without_a_fault(relay)


@pytest.mark.timeout(120)
async def test_messages_that_it_spoils_do_no_harm_to_others(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    options = (*listening(certificate, *EVERY_WAY), *ANYONE, "--legacy-channels")
    async with relay_command(tmp_path, *options) as relay:
        clients = everywhere(relay, certificate)
        spoiling = [
            one.outcome(Run(("-y", "-c", "-R", "-n", str(number))), seconds=6)
            for one in clients
            for number in range(20, 24)
        ]
        _, mistakes = await asyncio.gather(
            asyncio.gather(*spoiling), found(*(one.mistakes(LOSES_NOTHING[:2]) for one in clients))
        )
        assert mistakes == []
        await end_without_a_fault(relay)

"""`turngate relay` as an administrator runs it, with coturn's client against it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from relay.vocabulary import Address
from tests.edge.relay_bench import PATIENCE_SECONDS, SECRET, relay_command, start_command

ANYONE = ("--pairing", "any", "--legacy-channels", "--set", "relay.max_allocations_per_credential=100")


async def uclient(at: Address, *options: str) -> str:
    """What turnutils_uclient prints; it must succeed in time."""
    process = await asyncio.create_subprocess_exec(
        "timeout",
        "45",
        "turnutils_uclient",
        *options,
        *("-u", "user", "-W", SECRET, "-p", str(at.port), at.ip),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def assert_nothing_lost(output: str, messages: int) -> None:
    assert re.search(r"Total lost packets 0 \(0\.0+%\)", output), output
    assert re.search(rf"tot_send_msgs={messages}, tot_recv_msgs={messages}$", output, re.MULTILINE), output


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        pytest.param(("-y", "-c"), 10, id="channels"),
        pytest.param(("-y", "-s", "-c"), 10, id="indications"),
        pytest.param(("-y",), 20, id="channels with even ports and reservations"),
        pytest.param(
            ("-y", "-c", "-X", "-g", "-D", "-G"),
            10,
            id="dont-fragment, padded channel data, extra permissions to foreign addresses",
        ),
        pytest.param(("-y", "-c", "-m", "10", "-n", "300", "-z", "2"), 3000, id="ten clients, channels"),
        pytest.param(("-y", "-s", "-c", "-m", "10", "-n", "300", "-z", "2"), 3000, id="ten, indications"),
    ],
)
@pytest.mark.timeout(90)
async def test_coturns_client_loses_nothing(tmp_path: Path, options: tuple[str, ...], messages: int) -> None:
    async with relay_command(tmp_path, "--listen", "udp://127.0.0.1:0", *ANYONE) as relay:
        assert_nothing_lost(await uclient(relay.listeners[0], *options), messages)


@pytest.mark.timeout(90)
async def test_coturns_client_loses_nothing_over_ipv6(tmp_path: Path) -> None:
    listeners = ("--listen", "udp://127.0.0.1:0", "--listen", "udp://[::1]:0")
    async with relay_command(tmp_path, *listeners, *ANYONE) as relay:
        assert [one.ip for one in relay.listeners] == ["127.0.0.1", "::1"]
        assert_nothing_lost(await uclient(relay.listeners[1], "-y", "-c"), 10)


async def test_it_stops_cleanly_and_tells_no_secret(tmp_path: Path) -> None:
    async with relay_command(tmp_path, "--listen", "udp://127.0.0.1:0", *ANYONE) as relay:
        await uclient(relay.listeners[0], "-y", "-c", "-n", "1")
        status, errors = await relay.stopped()
    assert status == 0
    assert '"relay.stopped"' in errors
    assert "relay.allocated" in errors
    assert "asyncio" in errors
    assert SECRET not in errors


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--listen", "udp://127.0.0.1:0"), "relay.secrets is not set"),
        (("--listen", "udp://0.0.0.0:3478"), "wildcard"),
        (("--listen", "sctp://127.0.0.1:3478"), "tcp://"),
        (("--relayed-prefix", "198.18.0.0/30"), "256 addresses"),
        (("--plane", "native", "--set", "relay.secrets_file=SECRET_FILE"), "native"),
        (("--secrets-file", "/nowhere/at/all"), "secrets_file"),
    ],
)
async def test_a_mistake_ends_it_with_one_sentence(
    tmp_path: Path, options: tuple[str, ...], complaint: str
) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text(SECRET)
    secret_file.chmod(0o600)
    process = await start_command(*(option.replace("SECRET_FILE", str(secret_file)) for option in options))
    async with asyncio.timeout(PATIENCE_SECONDS):
        output, errors = await process.communicate()
    assert process.returncode == 1
    assert output == b""
    assert complaint in errors.decode()
    assert "Traceback" not in errors.decode()

"""What goes wrong around a relay that runs alone is no reason for its calls to end, or for it not to stop."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import signal
import sys
import termios
from pathlib import Path

import pytest

from relay.vocabulary import Address
from tests.edge.relay_bench import PATIENCE_SECONDS, SECRET, made_by_application, relay_command
from tests.edge.relay_clients import by_hand, meet, talk

LISTEN = ("--listen", "udp://127.0.0.1:0", "--pairing", "any")
DEFECT = "import broker.cli.relay as command; command.load_settings = lambda *_: 1 / 0"


async def lets_people_talk(listener: Address) -> None:
    async with (
        by_hand(listener, made_by_application("ada")) as ada,
        by_hand(listener, made_by_application("bob")) as bob,
    ):
        await meet(ada, bob)
        await talk(ada, bob, times=3)


async def test_a_defect_in_reading_the_files_anew_ends_nothing(tmp_path: Path) -> None:
    async with relay_command(tmp_path, *LISTEN, first=DEFECT) as relay:
        assert "ZeroDivisionError" in str(await relay.refuse_to_reload())
        await lets_people_talk(relay.listeners[0])
        status, _ = await relay.stopped()
    assert status == 0


async def test_files_that_are_never_read_to_their_end_delay_neither_calls_nor_the_stop(
    tmp_path: Path,
) -> None:
    revocations = tmp_path / "revocations"
    revocations.write_text("")
    async with relay_command(tmp_path, *LISTEN, "--revocations-file", str(revocations)) as relay:
        revocations.unlink()
        os.mkfifo(revocations)
        relay.process.send_signal(signal.SIGHUP)
        await lets_people_talk(relay.listeners[0])
        status, _ = await relay.stopped()
    assert status == 0


@pytest.mark.parametrize("leaves", [True, False], ids=["who goes away", "who stops reading"])
async def test_a_reader_of_statistics_keeps_nobody_waiting(tmp_path: Path, leaves: bool) -> None:
    secrets_file = tmp_path / "relay.secrets"
    secrets_file.write_text(SECRET)
    secrets_file.chmod(0o600)
    reads, writes = os.pipe()
    command = ("-m", "broker.cli.main", "relay", "--secrets-file", str(secrets_file), *LISTEN)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--stats", "0.001", stdout=writes, stderr=asyncio.subprocess.PIPE
    )
    os.close(writes)
    assert process.stderr is not None
    gone = False
    try:
        url = (await first_of(reads)).split()[1].decode()
        if leaves:
            os.close(reads)
            gone = True
        else:
            await until_nothing_more_fits(reads)
        listener = Address("127.0.0.1", int(url.rpartition(":")[2]))
        for _ in range(3):
            await lets_people_talk(listener)
        process.terminate()
        async with asyncio.timeout(PATIENCE_SECONDS):
            log = (await process.stderr.read()).decode()
            assert await process.wait() == 0
    finally:
        if not gone:
            os.close(reads)
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert [line for line in log.splitlines() if not line.startswith("{")] == []


async def first_of(pipe: int) -> bytes:
    """What comes first."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(pipe, readable.set)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await readable.wait()
    finally:
        loop.remove_reader(pipe)
    return os.read(pipe, 4096)


async def until_nothing_more_fits(pipe: int) -> None:
    """What waits in a pipe does not grow any more once a whole line has no room."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while waiting_in(pipe) < fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) - select.PIPE_BUF:  # noqa: ASYNC110 (there is no event)
            await asyncio.sleep(0.01)


def waiting_in(pipe: int) -> int:
    counted = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, counted)
    return int.from_bytes(counted, sys.byteorder)

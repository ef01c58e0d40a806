"""Law 5, seen from the kernel: the batch's fdatasync is finished before a byte of the reply is written."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
from itertools import pairwise
from pathlib import Path

from broker.client.http import sign_in
from broker.client.participant import join
from tests.acceptance.served_edge import ServedEdge

MESSAGES = 5
TRACED = "fdatasync,fsync,write,writev,sendto,sendmsg,read,recvfrom,recvmsg"
SYNCED = re.compile(r" (fdatasync|fsync)\(.*= 0$| (fdatasync|fsync) resumed>\) += 0$")
ON_SOCKET = re.compile(r" (?P<call>\w+)\(\d+<TCP[^ ]*")


async def test_every_reply_follows_the_sync_of_its_batch(tmp_path: Path) -> None:
    tracer = shutil.which("strace")
    assert tracer is not None, "strace is one of the Debian packages that `make test` installs"
    trace = tmp_path / "trace"
    with ServedEdge(tmp_path) as edge:
        tokens = {}
        for login in ("alice", "bob"):
            tokens[login] = await sign_in(edge.inside, login, edge.person(login).password, edge.ca_file)
        async with join(edge.inside, tokens["bob"], edge.ca_file) as bob:
            party = bob.you.party
        async with join(edge.inside, tokens["alice"], edge.ca_file) as alice:
            assert edge.process is not None
            options = ("-f", "-ttt", "-yy", "-e", f"trace={TRACED}", "-o", str(trace))
            strace = await asyncio.create_subprocess_exec(
                tracer, *options, "-p", str(edge.process.pid), stderr=asyncio.subprocess.PIPE
            )
            assert strace.stderr is not None
            assert b"attached" in await strace.stderr.readline()
            for number in range(MESSAGES):
                await alice.chat.send(party, f"message {number}")
            strace.send_signal(signal.SIGINT)
            await asyncio.wait_for(strace.wait(), 10)
    steps = _steps(trace.read_text())
    replies = 0
    for before, step in pairwise(steps):
        if step == "write":
            assert before == "sync", f"a reply left without a sync after the request: {steps}"
            replies += 1
    assert replies >= MESSAGES


def _steps(text: str) -> list[str]:
    """The trace as requests read, syncs finished and replies begun, in order; repetitions are folded."""
    steps: list[str] = []
    for line in text.splitlines():
        on_socket = ON_SOCKET.search(line)
        if SYNCED.search(line):
            step = "sync"
        elif on_socket is None or "= -1 EAGAIN" in line:
            continue
        else:
            step = "read" if on_socket["call"] in ("read", "recvfrom", "recvmsg") else "write"
        if not steps or steps[-1] != step:
            steps.append(step)
    return steps

"""A directory server as a process of the test's own: started, made silent, killed, and never left running."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

STOP_SECONDS = 10.0


class ServerProcess:
    """`command` in the foreground, in a process group of its own, its output in `log`.

    It dies with the thread that started it, whatever ends that thread.
    """

    def __init__(self, command: Sequence[str], log: Path, listens_on: Sequence[tuple[str, int]]) -> None:
        self._command = ("setpriv", "--pdeathsig", "KILL", *command)
        self._log = log
        self._listens_on = listens_on
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self, patience_seconds: float = 10.0) -> None:
        """Returns when every address accepts connections. Raises RuntimeError with the log otherwise."""
        # A server that watches its standard input, as Samba does, ends with this process too.
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + patience_seconds
        for address in self._listens_on:
            while not _accepts(address):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise RuntimeError(f"no server on {address}: {self._log.read_text(errors='replace')}")
                time.sleep(0.01)

    def pause(self) -> None:
        """Connections are still accepted by the kernel, and nothing is ever answered."""
        os.killpg(self.pid, signal.SIGSTOP)
        threads = Path(f"/proc/{self.pid}/task")
        while any(") T " not in (thread / "stat").read_text() for thread in threads.iterdir()):
            time.sleep(0.001)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """The whole group, at once; the ports are closed on return. Killing twice is no error."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process = None
        deadline = time.monotonic() + STOP_SECONDS
        while any(_accepts(address) for address in self._listens_on):
            assert time.monotonic() < deadline, f"something still listens on {self._listens_on}"
            time.sleep(0.01)

    def restart(self) -> None:
        self.kill()
        self.start()


def run(*command: str, text: str = "", seconds: float = 60.0, expected: Sequence[int] = (0,)) -> str:
    """A tool's standard output. Raises RuntimeError with what it printed when it ends with another code."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode not in expected:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _accepts(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=1.0) as connection:
            # A free port of the ephemeral range can be connected to itself.
            return bool(connection.getsockname() != connection.getpeername())
    except OSError:
        return False

"""The record has one writer: a second service on the same data does not start, and harms nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from broker.client.http import sign_in
from tests.acceptance.served_edge import ServedEdge


async def test_a_second_service_on_the_same_data_refuses_and_the_first_goes_on(tmp_path: Path) -> None:
    with ServedEdge(tmp_path) as edge:
        command = [sys.executable, "-m", "broker.cli.main", "serve", "--config", str(edge.config)]
        second = subprocess.run(  # noqa: ASYNC221 (nothing else is to happen meanwhile)
            command, env=edge.environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert second.returncode == 1
        assert second.stderr.splitlines()[-1] == f"turngate: another Turngate runs on {edge.data}"
        assert await sign_in(edge.inside, "alice", edge.person("alice").password, edge.ca_file)
        assert edge.stop() == 0
    assert edge.audit("verify").returncode == 0


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with ServedEdge(tmp_path / "one") as edge:
        other = ServedEdge(tmp_path / "two", edge.addresses)
        command = [sys.executable, "-m", "broker.cli.main", "serve", "--config", str(other.config)]
        taken = subprocess.run(
            command, env=other.environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert taken.returncode == 1
        told = taken.stderr.splitlines()[-1]
        assert told == f"turngate: [Errno 98] Address already in use: {edge.addresses.relay[0]}"
        assert "Traceback" not in taken.stderr

"""The load tests' own tools, with every server they measure: whoever runs `make load` finds them working."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from loadtests import churn
from loadtests.generator import AUDIO_BYTES, GENERATOR, VIDEO_BYTES, free_udp_port, generator
from loadtests.media import conversation_streams
from loadtests.place import Place, place
from loadtests.servers import Server, bare_switch, coturn, spending, turngate_relay

pytestmark = [
    pytest.mark.skipif(shutil.which("cargo") is None, reason="the load tests' tools are built with cargo"),
    pytest.mark.timeout(180),
]

PAIRS = 3


@pytest.fixture(scope="module")
def here() -> Iterator[Place]:
    manifest = GENERATOR.parents[2] / "Cargo.toml"
    subprocess.run(
        ["cargo", "build", "--quiet", "--locked", "--release", "--manifest-path", str(manifest)], check=True
    )
    with place() as made:
        yield made


def servers(here: Place) -> dict[str, AbstractContextManager[Server]]:
    return {
        "native": turngate_relay(here, "native", streams=True),
        "asyncio": turngate_relay(here, "asyncio", streams=True),
        "coturn": coturn(here),
    }


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("name", ["native", "asyncio", "coturn"])
def test_all_that_is_sent_to_a_relay_arrives_once_in_order_at_the_right_client(
    here: Place, name: str, transport: str
) -> None:
    with (
        servers(here)[name] as server,
        generator(
            server.streams.get(transport, server.address), here.secret_file, transport, here.trust
        ) as clients,
        spending(server) as spent,
    ):
        clients.do("allocate", pairs=PAIRS)
        clients.do("bind")
        for payload_bytes in (AUDIO_BYTES, VIDEO_BYTES):
            report = clients.window(16, payload_bytes, 0.2)
            assert report["delivered"] == report["sent"] > 100
            assert (report["reordered"], report["misdelivered"]) == (0, 0)
        clients.do("leave")
    assert spent.cpu_seconds > 0


def test_what_the_bare_switch_was_not_told_of_is_lost_and_counted(here: Place) -> None:
    port = free_udp_port()
    with (
        generator(f"127.0.0.1:{port}", here.secret_file) as clients,
        bare_switch(clients.clients_port, PAIRS, port),
    ):
        clients.do("adopt", pairs=PAIRS + 1)
        report = clients.paced(*conversation_streams(PAIRS + 1), seconds=0.5)
    assert report["lost"] == pytest.approx(report["sent"] / (PAIRS + 1), rel=0.05)
    assert report["delivered"] + report["lost"] == report["sent"]


def test_refreshes_go_on_while_there_is_media(here: Place) -> None:
    with servers(here)["native"] as server, generator(server.address, here.secret_file) as clients:
        clients.do("allocate", pairs=PAIRS)
        clients.do("bind")
        streams = conversation_streams(PAIRS)
        report = clients.paced(*streams, seconds=0.5, refresh_every_seconds=0.1)
    assert report["refreshes"] >= 2 * PAIRS
    assert (report["refreshes_unanswered"], report["refreshes_refused"], report["lost"]) == (0, 0, 0)


def test_rows_are_changed_under_load_and_every_one_is_accounted_for(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(churn, "SECONDS", 1.0)
    found = churn.run(here, 1, lambda line: None)
    assert found["changes"] > 100
    assert found["packets"] > found["rows"] > 200
    assert (found["after_removal"], found["out_of_generation"], found["misdelivered"]) == (0, 0, 0)

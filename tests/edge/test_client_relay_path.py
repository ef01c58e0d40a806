"""Which way to the relay a client takes: the first of those it was given that answers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from broker.client import relay_path
from broker.client.errors import MediaFailed
from broker.client.relay_path import RelayPath, find_relay_path
from broker.shell.tls import make_demo_certificate, server_context
from config.relay import RelaySettings
from relay.planes.asyncio_plane import AsyncioPlane
from relay.service import Relay
from relay.vocabulary import Transport

LOCAL = "127.0.0.1"


@pytest.mark.parametrize(
    ("url", "transport", "host", "port"),
    [
        ("turn:relay.example.org:3478?transport=udp", "udp", "relay.example.org", 3478),
        ("turn:relay.example.org", "udp", "relay.example.org", 3478),
        ("turn:192.0.2.1:80?transport=tcp", "tcp", "192.0.2.1", 80),
        ("turns:[2001:db8::1]:443?transport=tcp", "tls", "2001:db8::1", 443),
        ("turns:relay.example.org?transport=tcp", "tls", "relay.example.org", 5349),
    ],
)
def test_a_url_says_transport_host_and_port(url: str, transport: str, host: str, port: int) -> None:
    path = RelayPath.of(url)
    assert (path.url, path.transport, path.host, path.port) == (url, transport, host, port)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "turn:",
        "stun:a:1",
        "turns:a:1",
        "turns:a:1?transport=udp",
        "turn:a:1?transport=sctp",
        "turn:a:99999",
    ],
)
def test_a_url_of_no_way_there_is_raises_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"relay|[Pp]ort"):
        RelayPath.of(url)


@asynccontextmanager
async def reachable(folder: Path) -> AsyncIterator[tuple[dict[str, str], ssl.SSLContext]]:
    """A relay on all three transports: its URLs, and what its clients trust."""
    certificate, key = make_demo_certificate(folder, [LOCAL])
    listen = [f"{transport}://{LOCAL}:0" for transport in Transport]
    settings = RelaySettings.model_validate({"listen": listen})
    tls = server_context(certificate, key)
    plane = AsyncioPlane()
    async with Relay(settings, [b"secret"], admission_required=True, plane=plane, tls=tls) as relay:
        ports = {one.transport.value: one.address.port for one in relay.listeners}
        urls = {
            "udp": f"turn:{LOCAL}:{ports['udp']}?transport=udp",
            "tcp": f"turn:{LOCAL}:{ports['tcp']}?transport=tcp",
            "tls": f"turns:{LOCAL}:{ports['tls']}?transport=tcp",
        }
        yield urls, ssl.create_default_context(cafile=str(certificate))


async def test_the_first_way_that_answers_is_taken(tmp_path: Path) -> None:
    async with reachable(tmp_path) as (urls, tls):
        for order in (("udp", "tcp", "tls"), ("tcp", "udp"), ("tls", "udp")):
            path = await find_relay_path([urls[one] for one in order], tls)
            assert path.transport == order[0]


async def test_ways_that_do_not_answer_are_passed_over(tmp_path: Path) -> None:
    async with reachable(tmp_path) as (urls, tls):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute, socket.socket() as closed:
            mute.bind((LOCAL, 0))
            closed.bind((LOCAL, 0))
            unheard = f"turn:{LOCAL}:{mute.getsockname()[1]}?transport=udp"
            refused = f"turn:{LOCAL}:{closed.getsockname()[1]}?transport=tcp"
            path = await find_relay_path(["nonsense", unheard, refused, urls["tls"]], tls)
    assert path.transport == "tls"


async def test_a_relay_whose_certificate_is_not_trusted_is_no_way(tmp_path: Path) -> None:
    async with reachable(tmp_path) as (urls, _):
        with pytest.raises(MediaFailed, match="tried: tls"):
            await find_relay_path([urls["tls"]], ssl.create_default_context())


async def test_somebody_else_on_the_port_is_no_relay(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP, and some more\r\n")
        writer.close()

    server = await asyncio.start_server(talk, LOCAL, 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(MediaFailed, match="tried: tcp"):
            await find_relay_path([f"turn:{LOCAL}:{port}?transport=tcp"], ssl.create_default_context())


async def test_without_any_way_the_failure_says_what_was_tried() -> None:
    with (
        patch.object(relay_path, "UDP_TRY_SECONDS", 0.01),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute,
    ):
        mute.bind((LOCAL, 0))
        urls = [f"turn:{LOCAL}:{mute.getsockname()[1]}?transport=udp"]
        with pytest.raises(MediaFailed, match="tried: udp"):
            await find_relay_path(urls, ssl.create_default_context())
        with pytest.raises(MediaFailed, match="tried: nothing"):
            await find_relay_path([], ssl.create_default_context())

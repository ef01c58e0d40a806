"""Until when the certificate is good that is shown, which need not be the one that lies in the file."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from broker.core.events import CertificateSeen, Event
from broker.shell import tls
from config.tls import TlsSettings


def told(context: ssl.SSLContext) -> int:
    """What the watch says first."""

    async def watch() -> Event:
        heard: asyncio.Queue[Event] = asyncio.Queue(1)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(tls.watch_certificate(context, heard.put_nowait))
            seen = await heard.get()
            task.cancel()
        return seen

    seen = asyncio.run(watch())
    assert isinstance(seen, CertificateSeen)
    return seen.ends_at_unix_seconds


def test_a_new_certificate_in_the_file_counts_once_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tls.make_demo_certificate(tmp_path, ["127.0.0.1"])
    context = tls.server_context(certificate, key)
    first = told(context)
    monkeypatch.setattr(tls, "DEMO_DAYS", 90)
    tls.make_demo_certificate(tmp_path, ["127.0.0.1"])
    assert told(context) == first
    tls.reload_certificate(context, TlsSettings(certificate_file=certificate, private_key_file=key))
    assert told(context) > first + 80 * 86_400

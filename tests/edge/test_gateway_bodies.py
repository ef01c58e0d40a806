"""Request bodies: whatever is not exactly what a route takes is one answer, and nothing else happens."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import pytest

from broker.shell.gateway import http
from broker.shell.logs import keep_strangers_out
from tests.edge.bench_house import LOCAL, password_of
from tests.edge.bench_wire import Answer
from tests.edge.edge_bench import Bench, edge_bench, until

GOOD: dict[str, dict[str, object]] = {
    "/api/sign-in": {"login": "alice", "password": password_of("alice"), "notice_acknowledged": True},
    "/api/redeem": {"invitation": "i" * 80, "name": "Grace", "notice_acknowledged": True},
}


def spoilt(good: dict[str, object]) -> dict[str, bytes]:
    """Bodies that differ from a good one in one thing."""
    text = json.dumps(good)
    first = next(iter(good))
    return {
        "empty": b"",
        "no JSON": b"hello",
        "cut off": text[:-1].encode(),
        "two values": (text + text).encode(),
        "a list": f"[{text}]".encode(),
        "null": b"null",
        "a number": b"7",
        "unknown member": json.dumps(good | {"admin": True}).encode(),
        "member missing": json.dumps({k: v for k, v in good.items() if k != first}).encode(),
        "number for text": json.dumps(good | {first: 7}).encode(),
        "null for text": json.dumps(good | {first: None}).encode(),
        "list for text": json.dumps(good | {first: ["x"]}).encode(),
        "empty text": json.dumps(good | {first: ""}).encode(),
        "text too long": json.dumps(good | {first: "x" * 2000}).encode(),
        "text for a flag": json.dumps(good | {"bearer": "true"}).encode(),
        "number for a flag": json.dumps(good | {"bearer": 1}).encode(),
        "lone surrogate": text.replace(f'"{first}": "', f'"{first}": "\\ud800', 1).encode(),
        "lone surrogate as bytes": text.encode().replace(b': "', b': "\xed\xa0\x80', 1),
        "not UTF-8": text.encode().replace(b': "', b': "\xff', 1),
        "UTF-16": text.encode("utf-16"),
        "deep nesting": (text[:-1] + ', "x": ' + "[" * 4000).encode(),
        "deep and closed": (text[:-1] + ', "x": ' + "[" * 3500 + "]" * 3500 + "}").encode(),
        "a long number": (text[:-1] + ', "bearer": ' + "1" * 7000 + "}").encode(),
        "NaN": (text[:-1] + ', "bearer": NaN}').encode(),
        "one byte too many": text.encode() + b" " * (8193 - len(text)),
        "far too many": b" " * 100_000,
    }


def origin_of(bench: Bench, path: str) -> str:
    return bench.inside if path == "/api/sign-in" else bench.outside


async def assert_untouched(bench: Bench, answer: Answer, case: str) -> None:
    assert (answer.status, answer.code) == (400, "BAD_REQUEST"), case
    assert answer.cookies == []


@pytest.mark.parametrize("path", GOOD)
async def test_a_body_that_is_not_what_the_route_takes_is_a_bad_request_and_changes_nothing(
    tmp_path: Path, path: str
) -> None:
    async with edge_bench(tmp_path) as bench:
        before = bench.records()
        url = origin_of(bench, path) + path
        answers = set()
        for case, body in spoilt(GOOD[path]).items():
            answer = await bench.http("POST", url, data=body)
            await assert_untouched(bench, answer, case)
            answers.add(str(answer.steady))
        assert len(answers) == 1, "which mistake it was is nobody's business"
        # Nothing was charged, recorded or kept: the good body still does what it does.
        assert bench.records() == before
        assert not bench.edge.throttle.logins
        assert not bench.edge.effects.replies
        good = await bench.http("POST", url, GOOD[path])
        assert good.status == (200 if path == "/api/sign-in" else 403)


@pytest.mark.parametrize("path", GOOD)
async def test_only_json_that_says_it_is_json_is_read(tmp_path: Path, path: str) -> None:
    async with edge_bench(tmp_path) as bench:
        url, body = origin_of(bench, path) + path, json.dumps(GOOD[path]).encode()
        for content_type in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/json-seq",
            "",
            "nonsense",
        ):
            answer = await bench.http("POST", url, data=body, headers={"Content-Type": content_type})
            await assert_untouched(bench, answer, content_type)
        answer = await bench.http(
            "POST", url, data=body, headers={"Content-Type": "application/json; charset=utf-8"}
        )
        assert answer.status in (200, 403)


@pytest.mark.parametrize("path", GOOD)
async def test_compressed_bodies_are_not_unfolded(
    tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    keep_strangers_out()
    async with edge_bench(tmp_path) as bench:
        url = origin_of(bench, path) + path
        for case, encoding, body in (
            ("bomb", "gzip", gzip.compress(b" " * 50_000_000)),
            ("not compressed at all", "gzip", json.dumps(GOOD[path]).encode()),
            ("cut off", "gzip", gzip.compress(json.dumps(GOOD[path]).encode())[:-9]),
            ("not deflated", "deflate", b"\x00\x01nonsense"),
        ):
            answer = await bench.http("POST", url, data=body, headers={"Content-Encoding": encoding})
            assert answer.status == 400, case
            assert answer.cookies == []
        assert not bench.edge.throttle.logins
    assert [record.getMessage() for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_a_body_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_TIMEOUT_SECONDS", 0.2)
    async with edge_bench(tmp_path) as bench:
        reader, writer = await asyncio.open_connection(LOCAL, bench.house.settings.inside.port, ssl=bench.tls)
        writer.write(
            b"POST /api/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_whoever_leaves_in_the_middle_of_a_body_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep_strangers_out()
    defects: list[str] = []
    monkeypatch.setattr(http.log, "exception", lambda event, **_: defects.append(event), raising=False)
    async with edge_bench(tmp_path) as bench:
        refused = bench.edge.metrics.refusals.labels(kind="inside", code="BAD_REQUEST")
        for _ in range(3):
            _, writer = await asyncio.open_connection(LOCAL, bench.house.settings.inside.port, ssl=bench.tls)
            writer.write(
                b"POST /api/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\n\r\n{"
            )
            await writer.drain()
            writer.transport.abort()
        await bench.http("POST", f"{bench.inside}/api/sign-in", data=b"")
        await until(lambda: refused._value.get() == 4)
    assert defects == []
    assert [record.getMessage() for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_routes_without_a_body_ignore_what_is_sent_to_them(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        token = {"Authorization": f"Bearer {alice.token}", "Content-Type": "text/plain"}
        answer = await bench.http("POST", f"{bench.inside}/api/sign-out", data=b"{" * 5000, headers=token)
        assert (answer.status, answer.body) == (204, b"")
        assert await alice.closed() == 4401

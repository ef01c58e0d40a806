"""What each listener serves, how it is spoken to, and what every one of its answers carries."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import warnings
from pathlib import Path

import pytest

from broker.shell.logs import keep_strangers_out
from broker.shell.tls import server_context
from tests.edge.bench_house import LOCAL, password_of
from tests.edge.bench_routes import origins, routes
from tests.edge.edge_bench import edge_bench

# (method, path) -> the status a stranger gets who sends nothing but the request.
ROUTES = {
    "inside": {
        ("GET", "/"): 200,
        ("GET", "/assets/{path}"): 404,
        ("GET", "/api/me"): 200,
        ("POST", "/api/sign-in"): 400,
        ("POST", "/api/sign-out"): 204,
        ("GET", "/ws"): 401,
    },
    "outside": {
        ("GET", "/"): 200,
        ("GET", "/assets/{path}"): 404,
        ("GET", "/api/me"): 200,
        ("GET", "/api/notice"): 200,
        ("POST", "/api/redeem"): 400,
        ("POST", "/api/leave"): 204,
        ("GET", "/ws"): 401,
    },
    "admin": {
        ("GET", "/"): 200,
        ("GET", "/assets/{path}"): 404,
        ("GET", "/healthz"): 200,
        ("GET", "/metrics"): 200,
        ("GET", "/api/me"): 200,
        ("POST", "/api/sign-in"): 400,
        ("POST", "/api/sign-in/challenge"): 404,
        ("POST", "/api/sign-out"): 204,
        ("GET", "/api/security-keys"): 401,
        ("POST", "/api/security-keys/begin"): 401,
        ("POST", "/api/security-keys/finish"): 400,
        ("POST", "/api/security-keys/remove"): 400,
        ("GET", "/api/sessions"): 401,
        ("POST", "/api/sessions/end"): 400,
        ("GET", "/api/bandwidth"): 401,
        ("GET", "/api/alarms"): 401,
        ("GET", "/api/emergency"): 401,
        ("POST", "/api/emergency/stop"): 400,
        ("POST", "/api/emergency/lift"): 400,
        ("POST", "/api/emergency/drill"): 400,
        ("GET", "/api/policy"): 401,
        ("GET", "/api/policy/history"): 401,
        ("POST", "/api/policy/explain"): 400,
        ("POST", "/api/policy/check"): 401,
        ("POST", "/api/policy/diff"): 401,
        ("POST", "/api/policy/replay"): 401,
        ("POST", "/api/policy/apply"): 401,
        ("POST", "/api/policy/rollback"): 400,
    },
}
EVERY_PATH = sorted({path for routes in ROUTES.values() for _, path in routes})
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


async def test_each_listener_serves_exactly_its_routes_and_no_other_listeners(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        served = routes(bench)
        for listener, origin in origins(bench).items():
            assert served[listener] == set(ROUTES[listener]), listener
            for path in EVERY_PATH:
                for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
                    answer = await bench.http(method, origin + path.replace("{path}", "none"))
                    here = {m for m, p in ROUTES[listener] if p == path}
                    expected = ROUTES[listener].get((method, path), 405 if here else 404)
                    assert answer.status == expected, (listener, method, path)


async def test_a_path_is_served_by_its_exact_name_only(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        for path in (
            "//",
            "/api/me/",
            "/API/me",
            "/assets/",
            "/assets/../inside.html",
            "/assets/%2e%2e/inside.html",
            "/assets//etc/passwd",
            "/assets/__init__.py",
            "/assets/..%2f..%2fcore%2fgate.py",
            "/%2e%2e/%2e%2e/etc/passwd",
        ):
            answer = await bench.http("GET", bench.inside + path)
            assert answer.status == 404, path
            assert answer.body == b""


async def test_every_answer_carries_the_security_headers_and_none_names_our_software(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        answers = [
            await bench.http(method, origin + path.replace("{path}", "none"))
            for listener, origin in origins(bench).items()
            for method, path in [*ROUTES[listener], ("GET", "/none"), ("PUT", "/")]
        ]
        answers.append(await bench.post_sign_in("alice", password_of("alice")))
        answers.append(await bench.post_sign_in("alice", "wrong"))
        answers.append(await bench.http("POST", bench.inside + "/api/sign-in", data=b"{" * 9000))
        answers.append(await bench.http("POST", bench.inside + "/api/sign-in", headers={"Origin": "null"}))
        answers.append(
            await bench.http("POST", bench.inside + "/api/sign-in", headers={"Expect": "a miracle"})
        )
        answers.append(await bench.http("GET", bench.inside + "/assets/inside.html"))
    for answer in answers:
        headers = {name.lower(): value for name, value in answer.headers}
        for name, value in HEADERS.items():
            assert headers.get(name) == value, (name, answer)
        policy = headers["content-security-policy"]
        for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
            assert part in policy
        assert "unsafe" not in policy
        assert "aiohttp" not in str(answer.headers).lower()
        assert "python" not in str(answer.headers).lower()


async def test_what_is_not_http_is_refused_and_leaves_no_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep_strangers_out()
    async with edge_bench(tmp_path) as bench:
        for nonsense in (
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01 again\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nLong: " + b"a" * 20000 + b"\r\n\r\n",
            b"POST /api/sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            b"POST /api/sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        ):
            reader, writer = await asyncio.open_connection(
                LOCAL, bench.house.settings.inside.port, ssl=bench.tls
            )
            writer.write(nonsense)
            async with asyncio.timeout(5):
                answer = await reader.read(4096)
            writer.close()
            assert answer.split(b" ", 2)[1] == b"400", nonsense
            assert b"Traceback" not in answer
        assert (await bench.http("GET", bench.inside + "/api/me")).status == 200
    assert [record.getMessage() for record in caplog.records if record.name.startswith("aiohttp")] == []


def client_context(ca_file: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client that speaks this version and no other."""
    context = ssl.create_default_context(cafile=str(ca_file))
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = min(version, context.minimum_version)
        context.maximum_version = version
        context.minimum_version = version
    return context


async def spoken(port: int, context: ssl.SSLContext) -> str:
    """The version that a handshake ends with."""
    _, writer = await asyncio.open_connection(LOCAL, port, ssl=context)
    try:
        return str(writer.get_extra_info("ssl_object").version())
    finally:
        writer.close()


async def test_tls_1_2_and_1_3_are_spoken_and_1_1_is_not(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        house = bench.house
        old = client_context(house.ca_file, ssl.TLSVersion.TLSv1_1)
        for _, listener in house.settings.listeners():
            for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
                assert await spoken(listener.port, client_context(house.ca_file, version)) == name
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await spoken(listener.port, old)
        # The same client is served by somebody who still takes that version: it is not the one who refuses.
        lax = server_context(house.ca_file, house.folder / "demo-key.pem")
        lax.set_ciphers("DEFAULT@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            lax.minimum_version = ssl.TLSVersion.TLSv1_1
        async with await asyncio.start_server(lambda _, writer: writer.close(), LOCAL, 0, ssl=lax) as server:
            assert await spoken(server.sockets[0].getsockname()[1], old) == "TLSv1.1"


async def test_plain_http_gets_nothing(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        reader, writer = await asyncio.open_connection(LOCAL, bench.house.settings.inside.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in await reader.read(4096)
        writer.close()


async def test_cookies_are_locked_to_their_listener_and_to_tls(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        signed_in = await bench.post_sign_in("alice", password_of("alice"))
        async with bench.insider("alice") as alice:
            redeemed = await bench.redeem(await bench.invitation(alice))
        out = await bench.http("POST", f"{bench.inside}/api/sign-out")
    for answer, name in ((signed_in, "__Host-tg-inside"), (redeemed, "__Host-tg-guest")):
        assert answer.status == 200
        assert answer.json == {}
        (cookie,) = answer.cookies
        parts = [part.strip().lower() for part in cookie.split(";")]
        assert parts[0].startswith(f"{name.lower()}=")
        assert {"httponly", "secure", "samesite=strict", "path=/", "max-age=43200"} <= set(parts)
        assert not any(part.startswith("domain") for part in parts)
    (gone,) = out.cookies
    assert gone.startswith('__Host-tg-inside="";')
    assert {"HttpOnly", "Secure", "SameSite=Strict", "Path=/", "Max-Age=0"} <= {
        part.strip() for part in gone.split(";")
    }


async def test_a_program_gets_its_token_in_the_body_and_no_cookie(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        answer = await bench.post_sign_in("alice", password_of("alice"), bearer=True)
        assert set(answer.json) == {"token"}
        assert answer.cookies == []


async def test_what_opens_one_listener_does_not_open_the_other(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        guest = await bench.guest_token(alice)
        tokens = {bench.inside: ("__Host-tg-inside", alice.token), bench.outside: ("__Host-tg-guest", guest)}
        for origin, (cookie, own) in tokens.items():
            _, (other_cookie, other) = next(t for t in tokens.items() if t[0] != origin)
            member = "signed_in" if origin == bench.inside else "joined"
            for headers, known in (
                ({"Cookie": f"{cookie}={own}"}, True),
                ({"Authorization": f"Bearer {own}"}, True),
                ({"Cookie": f"{other_cookie}={other}"}, False),
                ({"Cookie": f"{cookie}={other}"}, False),
                ({"Cookie": f"{other_cookie}={own}"}, False),
                ({"Authorization": f"Bearer {other}"}, False),
                ({"Authorization": f"Basic {own}"}, False),
                ({"Cookie": f"{cookie}={own}", "Authorization": "Bearer nonsense"}, False),
            ):
                answer = await bench.http("GET", f"{origin}/api/me", headers=headers)
                assert answer.json[member] is known, (origin, headers)
                answer = await bench.http("GET", f"{origin}/ws", headers=headers)
                assert answer.status == (400 if known else 401), (origin, headers)
        # Ending the other side's session is as impossible as using it.
        await bench.http(
            "POST", f"{bench.outside}/api/leave", headers={"Authorization": f"Bearer {alice.token}"}
        )
        await bench.http("POST", f"{bench.inside}/api/sign-out", headers={"Authorization": f"Bearer {guest}"})
        for origin, (_, own) in tokens.items():
            async with bench.wire(origin, own) as wire:
                assert wire.you


async def test_a_foreign_page_is_refused_and_a_program_without_origin_is_not(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        token = {"Authorization": f"Bearer {alice.token}"}
        foreign = (
            bench.outside,
            "null",
            "https://evil.example",
            bench.inside + ".evil.example",
            bench.inside.replace("https", "http"),
            bench.inside + "/",
            "",
        )
        for origin in foreign:
            headers = token | {"Origin": origin}
            for method, path in (("POST", "/api/sign-in"), ("POST", "/api/sign-out"), ("GET", "/ws")):
                answer = await bench.http(method, bench.inside + path, headers=headers)
                assert (answer.status, answer.code) == (403, "ORIGIN_REFUSED"), (origin, path)
                assert answer.cookies == []
        async with (
            bench.wire(bench.inside, alice.token, headers={"Origin": bench.inside}) as browser,
            bench.wire(bench.inside, alice.token) as program,
        ):
            assert browser.you == program.you
        answer = await bench.http(
            "POST",
            f"{bench.inside}/api/sign-in",
            {"login": "alice", "password": password_of("alice"), "notice_acknowledged": True},
            headers={"Origin": bench.inside},
        )
        assert answer.status == 200

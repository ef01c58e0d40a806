"""The doors: sign-in, redemption, and their ends, as a stranger meets them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import string
import time
from dataclasses import replace
from pathlib import Path

import pytest

from auth.directory import DirectoryUnavailable
from auth.invitation import NONCE_BYTES
from broker.core.events import Ticked
from broker.shell.gateway.edge import REQUESTS_BURST
from tests.edge.bench_house import LOCAL, password_of, with_house
from tests.edge.bench_wire import Answer
from tests.edge.edge_bench import Bench, edge_bench, running_bench, until
from tests.edge.record_faults import failing_commits

UNRESERVED = string.ascii_letters + string.digits + "-_"


def error_of(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


# --- sign-in ------------------------------------------------------------------------------------------------


async def test_every_refused_sign_in_is_answered_alike(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        answers = [
            await bench.post_sign_in(login, password)
            for login, password in (
                ("alice", "wrong"),
                ("alice", ""),
                ("nobody", "wrong"),
                ("nobody\u0000", "wrong"),
                ("*", "wrong"),
                ("uid=alice,ou=people", password_of("alice")),
                ("dora", password_of("dora")),
                ("dora", "wrong"),
                ("lena", password_of("lena")),
                ("lena", "wrong"),
            )
        ]
        assert {str(answer.steady) for answer in answers} == {str(answers[0].steady)}
        assert error_of(answers[0]) == (401, "SIGN_IN_REFUSED")
        assert (await bench.post_sign_in("alice", password_of("alice"))).status == 200


async def test_a_right_password_is_refused_too_while_the_login_is_locked(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        allowed = bench.house.settings.sign_in.max_failures_per_login
        for _ in range(allowed):
            assert error_of(await bench.post_sign_in("alice", "wrong")) == (401, "SIGN_IN_REFUSED")
        wrong = await bench.post_sign_in("alice", "wrong")
        right = await bench.post_sign_in("ALICE", password_of("alice"), source="127.9.0.1")
        assert error_of(wrong) == error_of(right) == (429, "SIGN_IN_THROTTLED")
        assert wrong.steady == right.steady
        assert right.cookies == []
        assert (await bench.post_sign_in("bob", password_of("bob"))).status == 200
        assert bench.records("auth.accepted")[-1]["fields"]["user"] == await bench.party("bob")
        assert len(bench.records("auth.accepted")) == 1


async def test_an_unknown_login_is_locked_like_a_known_one(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        allowed = bench.house.settings.sign_in.max_failures_per_login
        statuses = [(await bench.post_sign_in("nobody", "wrong")).status for _ in range(allowed + 2)]
        assert statuses == [401] * allowed + [429] * 2


async def test_nobody_signs_in_while_the_directory_is_away_and_nothing_is_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:

        async def away(*_: object) -> None:
            raise DirectoryUnavailable("canary-detail")

        with monkeypatch.context() as patch:
            patch.setattr(type(bench.edge.directory), "check", away)
            patch.setattr(type(bench.edge.directory), "get", away)
            for _ in range(8):
                answer = await bench.post_sign_in("alice", password_of("alice"))
                assert error_of(answer) == (503, "DIRECTORY_UNAVAILABLE")
                assert b"canary" not in answer.body
            out = await bench.http(
                "POST", f"{bench.inside}/api/sign-out", headers={"Authorization": f"Bearer {alice.token}"}
            )
            assert out.status == 204, "signing out asks nobody"
            assert await alice.closed() == 4401
        assert (await bench.post_sign_in("alice", password_of("alice"))).status == 200


async def test_the_notice_is_acknowledged_before_the_password_is_looked_at_and_the_record_says_which(
    tmp_path: Path,
) -> None:
    async with edge_bench(tmp_path) as bench:
        for login in ("carol", "nobody"):
            for refused in (
                await bench.post_sign_in(login, password_of("carol"), notice_acknowledged=False),
                await bench.post_admin_sign_in(login, "operator", notice_acknowledged=False),
            ):
                assert error_of(refused) == (400, "NOTICE_NOT_ACKNOWLEDGED")
        body = {"login": "alice", "password": password_of("alice")}
        unsaid = await bench.http("POST", f"{bench.inside}/api/sign-in", body)
        assert error_of(unsaid) == (400, "NOTICE_NOT_ACKNOWLEDGED")
        assert not bench.edge.throttle.logins
        assert (await bench.post_sign_in("alice", password_of("alice"))).status == 200
        assert (await bench.post_admin_sign_in("carol", "operator")).status == 200
        async with bench.insider("alice") as alice:
            await bench.guest_token(alice)
        shown = {
            "auth.accepted": bench.house.settings.sign_in.notice_text,
            "admin.signed_in": bench.house.settings.sign_in.notice_text,
            "visit.opened": bench.house.settings.guests.notice_text,
        }
        for kind, text in shown.items():
            fields = bench.records(kind)[0]["fields"]
            assert fields["notice_acknowledged"] is True
            assert fields["notice_sha256"] == hashlib.sha256(text.encode()).hexdigest()


async def test_where_there_is_no_notice_nothing_is_acknowledged(tmp_path: Path) -> None:
    house = with_house(tmp_path)
    silent = house.settings.sign_in.model_copy(update={"notice_text": ""})
    house = replace(house, settings=house.settings.model_copy(update={"sign_in": silent}))
    async with running_bench(house) as bench:
        answer = await bench.post_sign_in("alice", password_of("alice"), notice_acknowledged=False)
        assert answer.status == 200
        fields = bench.records("auth.accepted")[0]["fields"]
        assert (fields["notice_acknowledged"], fields["notice_sha256"]) == (False, None)


# --- redemption ---------------------------------------------------------------------------------------------


async def invalid_secrets(bench: Bench, good: str) -> dict[str, str]:
    """Secrets that open nothing, by what is wrong with them."""
    signer, now = bench.edge.signer, int(time.time())
    claim = signer.verify(good, now)
    nonce = secrets.token_bytes(NONCE_BYTES)
    return {
        "no token": "hello",
        "of another alphabet": "é" * 100,
        "longest": "A" * 1024,
        "forged": "A" * len(good),
        "with more": good + "A",
        "cut off": good[:-1],
        "expired": signer.sign(claim.invitation_id, claim.issue, now - 1, nonce),
        "not yet existing": signer.sign("i-0123456789abcdefghijkl", 1, now + 600, nonce),
    }


async def test_every_invitation_that_opens_nothing_is_answered_alike(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        good, used, revoked = [await bench.invitation(alice) for _ in range(3)]
        revoked_id = alice.frames[-1]["invitation"]["invitation_id"]
        assert (await bench.redeem(used)).status == 200
        await alice.send(json.dumps({"type": "invitation.revoke", "invitation_id": revoked_id}))
        await alice.until("invitation.gone")
        cases = await invalid_secrets(bench, good) | {"used up": used, "revoked": revoked}
        answers = {case: await bench.redeem(secret) for case, secret in cases.items()}
        for case, answer in answers.items():
            assert error_of(answer) == (403, "INVITATION_INVALID"), case
            assert answer.steady == answers["forged"].steady, case
        assert (await bench.redeem(good)).status == 200
        assert (await bench.redeem(good)).steady == answers["forged"].steady


async def test_no_single_altered_character_leaves_an_invitation_valid(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        good = await bench.invitation(alice)
        expected = (await bench.redeem("A" * len(good))).steady
        for at, character in enumerate(good):
            other = UNRESERVED[(UNRESERVED.index(character) + 1 + at) % len(UNRESERVED)]
            other = other if other != character else "A" if character != "A" else "B"
            answer = await bench.redeem(good[:at] + other + good[at + 1 :])
            assert answer.steady == expected, at
        assert (await bench.redeem(good)).status == 200


async def test_an_unacknowledged_notice_opens_nothing_and_costs_nothing(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        good = await bench.invitation(alice)
        answer = await bench.redeem(good, notice_acknowledged=False)
        assert error_of(answer) == (400, "NOTICE_NOT_ACKNOWLEDGED")
        assert bench.records("visit.opened") == []
        assert (await bench.redeem(good)).status == 200


async def test_one_invitation_admits_one_of_many_who_come_at_once(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        good = await bench.invitation(alice)
        answers = await asyncio.gather(*(bench.redeem(good) for _ in range(10)))
        assert sorted(answer.status for answer in answers) == [200] + [403] * 9
        assert len(bench.records("visit.opened")) == 1


# --- the ends -----------------------------------------------------------------------------------------------


async def dead(bench: Bench, origin: str, token: str) -> bool:
    """Whether a token opens nothing any more: no page knows it, no socket takes it."""
    headers = {"Authorization": f"Bearer {token}"}
    known = (await bench.http("GET", f"{origin}/api/me", headers=headers)).json
    if known.get("signed_in") or known.get("joined"):
        return False
    answer = await bench.http("GET", f"{origin}/ws", headers=headers)
    return answer.status == 401


@pytest.mark.parametrize("record", ["works", "fails"])
async def test_signing_out_closes_every_socket_and_the_token_is_dead_at_once(
    tmp_path: Path, record: str
) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as one,
        bench.wire(bench.inside, one.token) as two,
        bench.insider("alice") as other,
    ):
        headers = {"Authorization": f"Bearer {one.token}"}
        with failing_commits(bench, fail=record == "fails"):
            answer = await bench.http("POST", f"{bench.inside}/api/sign-out", headers=headers)
            assert answer.status == 204
            assert await dead(bench, bench.inside, one.token)
            assert await one.closed() == await two.closed() == 4401
            assert one.frames[-1]["code"] == two.frames[-1]["code"] == "SIGNED_OUT"
        await other.heard()
        assert not await dead(bench, bench.inside, other.token)
        (ended,) = await bench.recorded("auth.ended")
        assert ended["fields"]["reason"] == "signed_out"


@pytest.mark.parametrize("record", ["works", "fails"])
async def test_leaving_ends_the_visit_at_once(tmp_path: Path, record: str) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice, bench.guest(alice) as guest:
        headers = {"Authorization": f"Bearer {guest.token}"}
        with failing_commits(bench, fail=record == "fails"):
            assert (await bench.http("POST", f"{bench.outside}/api/leave", headers=headers)).status == 204
            assert await dead(bench, bench.outside, guest.token)
            assert await guest.closed() == 4401
            assert await alice.until("contact.gone", party=guest.you)
        (closed,) = await bench.recorded("visit.closed")
        assert closed["fields"]["reason"] == "left"


async def test_signing_out_again_and_again_is_one_record(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        headers = {"Authorization": f"Bearer {alice.token}"}
        with failing_commits(bench):
            for _ in range(20):
                answer = await bench.http("POST", f"{bench.inside}/api/sign-out", headers=headers)
                assert answer.status == 204
        await bench.recorded("record.resumed")
        assert len(bench.records("auth.ended")) == 1


# --- strangers ----------------------------------------------------------------------------------------------


async def test_a_thousand_refused_strangers_are_a_handful_of_records(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        before = len(bench.records())
        for batch in range(20):
            source = f"127.0.{batch % 2}.{batch + 1}"
            await asyncio.gather(*(bench.redeem(secrets.token_urlsafe(75), source=source) for _ in range(50)))
        assert len(bench.records()) == before
        await _a_minute_later(bench)
        await until(lambda: len(bench.records()) > before)
        rows = bench.records("invitation.refused")
        assert [row["fields"]["count"] for row in rows] == [500, 500]
        assert len(bench.records()) == before + 2
        assert not re.search(r"127\.0\.", json.dumps(rows))


async def _a_minute_later(bench: Bench) -> None:
    """The edge's own clock says that a minute has passed, for everything that falls due by then."""
    driver = bench.edge.driver
    clock = driver._clock
    now = clock()
    driver._clock = lambda: type(now)(now.wall_ms + 61_000, now.monotonic_seconds + 61)
    due = len(driver._house.deadlines)
    for _ in range(due):
        driver.submit(Ticked())
    driver._clock = clock


async def test_one_source_that_asks_too_often_is_told_so_and_no_other_is(tmp_path: Path) -> None:
    async with edge_bench(tmp_path, rates=True) as bench:
        frozen = bench.edge.clock()
        bench.edge.clock = lambda: frozen
        answers = await asyncio.gather(
            *(bench.redeem("A" * 80, source=f"127.0.0.{1 + n % 200}") for n in range(100))
        )
        codes = [answer.code for answer in answers]
        assert set(codes) == {"INVITATION_INVALID", "INVITATION_THROTTLED", "RATE_LIMITED"}
        assert codes.count("RATE_LIMITED") == 100 - REQUESTS_BURST
        assert {a.status for a in answers if a.code == "RATE_LIMITED"} == {429}
        assert (await bench.redeem("A" * 80, source="127.0.9.1")).code == "INVITATION_INVALID"
        assert (await bench.http("GET", f"{bench.outside}/")).status == 200
        assert (await bench.http("GET", f"{bench.outside}/api/notice")).status == 429
        upgrade = await bench.http("GET", f"{bench.outside}/ws", source=LOCAL)
        assert error_of(upgrade) == (429, "RATE_LIMITED")

"""Security keys at the admin listener with a real edge: added, used, forged, repeated, copied, removed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from auth.challenge import LIFETIME_SECONDS
from broker.core.clock import Now
from broker.core.events import Stopping
from tests.edge.bench_house import BenchHouse, with_house
from tests.edge.bench_wire import Answer
from tests.edge.edge_bench import Bench, edge_bench, running_bench
from tests.edge.record_faults import failing_commits
from tests.spec.software_key import PRESENT, VERIFIED, SoftwareKey

MANY_CHALLENGES = 500


@dataclass
class Desk:
    """What administrators do with their keys."""

    bench: Bench

    async def post(self, path: str, body: object = None, token: str | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else None
        return await self.bench.http("POST", f"{self.bench.admin}{path}", body, headers=headers)

    async def token(self, login: str = "carol", role: str = "operator") -> str:
        answer = await self.bench.post_admin_sign_in(login, role, bearer=True)
        assert answer.status == 200, answer
        return str(answer.json["token"])

    def key(self, **claims: Any) -> SoftwareKey:
        return SoftwareKey(**{"origin": self.bench.admin, "rp_id": "localhost"} | claims)

    async def to_enrol(self, token: str) -> dict[str, Any]:
        return dict((await self.post("/api/security-keys/begin", {}, token)).json["options"])

    async def adds(self, token: str, key: SoftwareKey, name: str = "blue") -> Answer:
        made = key.made(await self.to_enrol(token))
        return await self.post("/api/security-keys/finish", {"name": name, "key": made}, token)

    async def enrolled(self, login: str = "carol", role: str = "operator", **claims: Any) -> SoftwareKey:
        key = self.key(**claims)
        assert (await self.adds(await self.token(login, role), key)).status == 200
        return key

    async def to_use(self) -> dict[str, Any]:
        return dict((await self.post("/api/sign-in/challenge")).json["options"])

    async def signs_in(self, used: str, login: str = "carol", role: str = "operator", **more: Any) -> Answer:
        return await self.bench.post_admin_sign_in(login, role, **{"code": "", "key": used} | more)

    async def listed(self, token: str) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await self.bench.http("GET", f"{self.bench.admin}/api/security-keys", headers=headers)
        return list(answer.json["keys"])

    async def refusals(self) -> set[str]:
        """Why, as the record has it."""
        self.bench.edge.driver.submit(Stopping())
        await self.bench.recorded("auth.refused")
        return {record["fields"]["code"] for record in self.bench.records("auth.refused")}


def generous(house: BenchHouse) -> BenchHouse:
    """Many wrong tries, one after the other, are what these tests are made of."""
    patient = house.settings.sign_in.model_copy(update={"max_failures_per_login": 1000})
    return replace(house, settings=house.settings.model_copy(update={"sign_in": patient}))


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    async with running_bench(generous(with_house(folder).with_host_name())) as bench:
        yield Desk(bench)


def error_of(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


REFUSED = (401, "SIGN_IN_REFUSED")


async def test_a_key_is_added_and_signs_in_and_its_name_is_nowhere_but_with_the_personal_facts(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as at:
        key = await at.enrolled()
        answer = await at.signs_in(key.used(await at.to_use()), bearer=True)
        assert answer.status == 200
        (listed,) = await at.listed(answer.json["token"])
        assert listed["name"] == "blue"
        assert listed["used_at"] is not None
        methods = [record["fields"]["method"] for record in at.bench.records("admin.signed_in")]
        assert methods == ["password and code", "password and security key"]
        (enrolled,) = at.bench.records("admin.key_enrolled")
        assert enrolled["fields"]["key"] == listed["credential_id"]
        assert "blue" not in str(enrolled)


async def test_a_key_and_its_counter_outlive_a_restart_and_so_does_its_removal(tmp_path: Path) -> None:
    house = with_house(tmp_path).with_host_name()
    async with running_bench(house) as bench:
        key = await Desk(bench).enrolled()
    async with running_bench(house) as bench:
        at = Desk(bench)
        assert (await at.signs_in(key.used(await at.to_use()))).status == 200
    async with running_bench(house) as bench:
        at = Desk(bench)
        key.sign_count -= 1
        assert error_of(await at.signs_in(key.used(await at.to_use()))) == REFUSED
        (refused,) = bench.records("admin.key_refused")
        assert (refused["fields"]["sign_count"], refused["fields"]["last_sign_count"]) == (1, 1)
        token = (await at.signs_in(key.used(await at.to_use()), bearer=True)).json["token"]
        (listed,) = await at.listed(token)
        body = {"credential_id": listed["credential_id"]}
        assert (await at.post("/api/security-keys/remove", body, token)).status == 200
        assert await at.listed(token) == []
        await bench.recorded("admin.key_removed")
    async with running_bench(house) as bench:
        at = Desk(bench)
        assert error_of(await at.signs_in(key.used(await at.to_use()))) == REFUSED


async def test_nothing_forged_signs_in_and_every_refusal_looks_the_same(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        key = await at.enrolled()
        others = await at.enrolled("bob", "auditor")
        elsewhere = [
            replace(key, **claims)
            for claims in (
                {"origin": "https://localhost.evil.example"},
                {"origin": at.bench.inside},
                {"rp_id": "evil.example"},
                {"flags": PRESENT},
                {"flags": VERIFIED},
                {"private_key": at.key().private_key},
                {"credential_id": at.key().credential_id},
            )
        ]
        used = [forged.used(await at.to_use()) for forged in elsewhere]
        used.append(others.used(await at.to_use()))
        used.append(key.used(await at.to_use(), type="webauthn.create"))
        used.append(key.used({"challenge": "AAAA"}))
        used.append(key.used(await at.to_enrol(await at.token())))
        used += ["{}", "[]", "nonsense", json.dumps({"id": "AA", "rawId": "AA", "type": "public-key"})]
        answers = [await at.signs_in(one) for one in used]
        answers.append(await at.signs_in("nonsense", code=at.bench.new_code("carol")))
        answers.append(await at.signs_in(key.used(await at.to_use()), password="wrong"))
        answers.append(await at.signs_in(key.used(await at.to_use()), login="nobody", password="wrong"))
        answers.append(await at.bench.post_admin_sign_in("carol", "operator", code="000000"))
        assert {str(answer.steady) for answer in answers} == {str(answers[0].steady)}
        assert error_of(answers[0]) == REFUSED
        assert all(answer.cookies == [] for answer in answers)
        assert (await at.signs_in(key.used(await at.to_use()))).status == 200
        assert await at.refusals() == {"key", "code", "wrong", "unknown"}


async def test_a_challenge_is_good_once_in_a_race_too_and_two_minutes_long(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        key = await at.enrolled(counts=False)
        used = key.used(await at.to_use())
        answers = await asyncio.gather(*(at.signs_in(used) for _ in range(3)))
        assert sorted(answer.status for answer in answers) == [200, 401, 401]
        late, now = await at.to_use(), at.bench.edge.clock()

        def later(seconds: float) -> Now:
            return Now(now.wall_ms, now.monotonic_seconds + seconds)

        at.bench.edge.clock = lambda: later(LIFETIME_SECONDS + 1)
        for asked, status in ((late, 401), (await at.to_use(), 200)):
            body = {"login": "carol", "role": "operator", "notice_acknowledged": True}
            body |= {"password": "canary-password-of-carol", "key": key.used(asked)}
            assert (await at.post("/api/sign-in", body)).status == status


async def test_a_copy_of_a_key_is_found_by_its_counter(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        key = await at.enrolled()
        copy = replace(key)
        assert (await at.signs_in(copy.used(await at.to_use()))).status == 200
        assert error_of(await at.signs_in(key.used(await at.to_use()))) == REFUSED
        assert len(at.bench.records("admin.key_refused")) == 1
        assert "key_counter" in await at.refusals()


async def test_the_challenge_tells_nobody_who_has_a_key_and_is_bought_with_no_memory(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        before = await at.to_use()
        await at.enrolled()
        after = await at.to_use()
        assert before | {"challenge": ""} == after | {"challenge": ""}
        assert before["allowCredentials"] == []
        challenges = {(await at.to_use())["challenge"] for _ in range(MANY_CHALLENGES)}
        assert len(challenges) == MANY_CHALLENGES


async def test_wrong_keys_lock_a_login_as_wrong_codes_do(tmp_path: Path) -> None:
    async with running_bench(with_house(tmp_path).with_host_name()) as bench:
        at = Desk(bench)
        key = await at.enrolled()
        wrong = replace(key, flags=PRESENT)
        allowed = bench.house.settings.sign_in.max_failures_per_login
        statuses = [(await at.signs_in(wrong.used(await at.to_use()))).status for _ in range(allowed + 1)]
        assert statuses == [401] * allowed + [429]
        assert (await at.signs_in(key.used(await at.to_use()))).status == 429


class TestAdding:
    async def test_nothing_forged_is_added_and_a_challenge_is_of_one_sign_in(self, tmp_path: Path) -> None:
        async with desk(tmp_path) as at:
            carol, bob = await at.token(), await at.token("bob", "auditor")
            for claims in ({"origin": at.bench.inside}, {"rp_id": "evil.example"}, {"flags": PRESENT}):
                assert error_of(await at.adds(carol, at.key(**claims))) == (409, "SECURITY_KEY_REFUSED")
            for asked in (await at.to_enrol(bob), await at.to_use(), {"challenge": "AAAA"}):
                body = {"name": "blue", "key": at.key().made(asked)}
                answer = await at.post("/api/security-keys/finish", body, carol)
                assert error_of(answer) == (409, "SECURITY_KEY_REFUSED")
            for key, name, code in (
                ("nonsense", "blue", (409, "SECURITY_KEY_REFUSED")),
                ("{}", "\u202eblue", (400, "TEXT_INVALID")),
                ("{}", "", (400, "BAD_REQUEST")),
            ):
                answer = await at.post("/api/security-keys/finish", {"name": name, "key": key}, carol)
                assert error_of(answer) == code
            assert await at.listed(carol) == []
            assert at.bench.records("admin.key_enrolled") == []

    async def test_what_was_made_is_added_once(self, tmp_path: Path) -> None:
        async with desk(tmp_path) as at:
            token, key = await at.token(), at.key()
            body = {"name": "blue", "key": key.made(await at.to_enrol(token))}
            first = await at.post("/api/security-keys/finish", body, token)
            again = await at.post("/api/security-keys/finish", body, token)
            assert (first.status, error_of(again)) == (200, (409, "SECURITY_KEY_REFUSED"))
            assert error_of(await at.adds(await at.token("bob", "auditor"), key))[0] == 409

    async def test_a_key_that_cannot_be_put_on_record_is_not_added(self, tmp_path: Path) -> None:
        async with desk(tmp_path) as at:
            token, key = await at.token(), at.key()
            body = {"name": "blue", "key": key.made(await at.to_enrol(token))}
            with failing_commits(at.bench):
                failed = await at.post("/api/security-keys/finish", body, token)
            assert error_of(failed) == (503, "AUDIT_UNAVAILABLE")
            assert at.bench.edge.driver.security_keys_of(await at.bench.party("carol")) == []

    async def test_who_is_not_signed_in_gets_and_changes_nothing(self, tmp_path: Path) -> None:
        async with desk(tmp_path) as at:
            finish = {"name": "blue", "key": at.key().made({"challenge": "AAAA"})}
            for path, body in (
                ("begin", {}),
                ("finish", finish),
                ("remove", {"credential_id": "AAAA"}),
            ):
                for token in (None, "A" * 43):
                    answer = await at.post(f"/api/security-keys/{path}", body, token)
                    assert error_of(answer) == (401, "NOT_SIGNED_IN")

    async def test_nobody_sees_or_removes_anothers(self, tmp_path: Path) -> None:
        async with desk(tmp_path) as at:
            carol, bob = await at.token(), await at.token("bob", "auditor")
            await at.adds(carol, at.key())
            (listed,) = await at.listed(carol)
            assert await at.listed(bob) == []
            body = {"credential_id": listed["credential_id"]}
            answer = await at.post("/api/security-keys/remove", body, bob)
            assert error_of(answer) == (404, "UNKNOWN_SECURITY_KEY")
            assert len(await at.listed(carol)) == 1


class TestWhereKeysAreRequired:
    async def test_a_code_is_not_enough_for_whoever_has_a_key(self, tmp_path: Path) -> None:
        house = with_house(tmp_path).with_host_name()
        strict = house.settings.admin.model_copy(update={"security_key_required": True})
        house = replace(house, settings=house.settings.model_copy(update={"admin": strict}))
        async with running_bench(house) as bench:
            at = Desk(bench)
            key = await at.enrolled()
            assert error_of(await bench.post_admin_sign_in("carol", "operator")) == REFUSED
            assert (await at.signs_in(key.used(await at.to_use()))).status == 200
            assert (await bench.post_admin_sign_in("bob", "auditor")).status == 200
            assert "key_required" in await at.refusals()

    async def test_otherwise_it_is(self, tmp_path: Path) -> None:
        async with desk(tmp_path) as at:
            await at.enrolled()
            assert (await at.bench.post_admin_sign_in("carol", "operator")).status == 200


@pytest.mark.parametrize("path", ["/api/sign-in/challenge", "/api/security-keys/begin"])
async def test_a_page_that_has_an_address_offers_no_keys_and_says_so(tmp_path: Path, path: str) -> None:
    async with edge_bench(tmp_path) as bench:
        at = Desk(bench)
        me = await bench.http("GET", f"{bench.admin}/api/me")
        assert me.json["security_keys"] is False
        token = await at.token()
        assert error_of(await at.post(path, {}, token)) == (404, "SECURITY_KEYS_NOT_OFFERED")
        key = at.key(origin=bench.admin, rp_id="127.0.0.1")
        assert error_of(await at.signs_in(key.used({"challenge": "AAAA"}))) == REFUSED

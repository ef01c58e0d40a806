"""The admin listener with a real edge: signing in for one role, what each role sees, ending sessions, and the
policy from the console."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auth.ldif import LdifDirectory
from broker.client.administration import PolicyNotChanged, apply_policy, roll_back_policy
from broker.core.client_frames import ChatSend
from broker.shell.driver import Driver
from tests.edge.bench_house import NO_CHAT, POLICY
from tests.edge.bench_wire import Answer
from tests.edge.edge_bench import Bench, edge_bench
from tests.edge.test_policy_reload import NO_CALLS, revision, talking

OPERATOR, POLICY_ADMINISTRATOR, AUDITOR = "operator", "policy_administrator", "auditor"
WHO = {OPERATOR: "carol", POLICY_ADMINISTRATOR: "bob", AUDITOR: "bob"}
READ = {
    "/api/sessions": {OPERATOR, AUDITOR},
    "/api/bandwidth": {OPERATOR, POLICY_ADMINISTRATOR, AUDITOR},
    "/api/alarms": {OPERATOR, POLICY_ADMINISTRATOR, AUDITOR},
    "/api/emergency": {OPERATOR, POLICY_ADMINISTRATOR, AUDITOR},
    "/api/policy": {POLICY_ADMINISTRATOR, AUDITOR},
    "/api/policy/history": {POLICY_ADMINISTRATOR, AUDITOR},
}
ASKED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "/api/sessions/end": ({"session_id": "c-unknown"}, {OPERATOR}),
    "/api/policy/explain": (
        {"as": "alice", "to": "bob", "action": "chat.send"},
        {POLICY_ADMINISTRATOR, AUDITOR},
    ),
    "/api/policy/check": ({"text": POLICY}, {POLICY_ADMINISTRATOR}),
    "/api/policy/diff": ({"text": POLICY}, {POLICY_ADMINISTRATOR, AUDITOR}),
    "/api/policy/replay": ({"text": POLICY, "since_seconds": 60}, {POLICY_ADMINISTRATOR, AUDITOR}),
    "/api/policy/apply": ({"text": "revision = 0"}, {POLICY_ADMINISTRATOR}),
    "/api/policy/rollback": ({"revision": 99}, {POLICY_ADMINISTRATOR}),
}


class Desk:
    """Somebody at the admin listener, in one role."""

    def __init__(self, bench: Bench, token: str) -> None:
        self._bench = bench
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str) -> Answer:
        return await self._bench.http("GET", self._bench.admin + path, headers=self._headers)

    async def post(self, path: str, body: dict[str, Any]) -> Answer:
        return await self._bench.http("POST", self._bench.admin + path, body, headers=self._headers)


async def sign_in(bench: Bench, role: str, login: str | None = None) -> Answer:
    person = login or WHO[role]
    return await bench.post_admin_sign_in(person, role, bearer=True)


async def desk(bench: Bench, role: str) -> Desk:
    return Desk(bench, (await sign_in(bench, role)).json["token"])


async def test_each_role_sees_its_own_and_is_refused_the_rest_on_record(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        for role in WHO:
            here = await desk(bench, role)
            assert (await here.get("/api/me")).json["role"] == role
            for path, roles in READ.items():
                answer = await here.get(path)
                assert (answer.status == 200) is (role in roles), (role, path)
                if role not in roles:
                    assert (answer.status, answer.code) == (403, "POLICY_DEFAULT_DENY")
            for path, (body, roles) in ASKED.items():
                answer = await here.post(path, body)
                assert (answer.status == 403) is (role not in roles), (role, path, answer.status)
                assert answer.status != 500
        denied = [r["fields"]["decisions"][0] for r in bench.records("decision.denied")]
        assert {d["inputs"]["action"] for d in denied} == {"admin.operate", "admin.set_policy"}
        signed_in = [(r["fields"]["role"]) for r in bench.records("admin.signed_in")]
        assert signed_in == list(WHO)
        viewed = [(r["fields"]["role"], r["fields"]["what"]) for r in bench.records("admin.viewed")]
        assert (AUDITOR, "sessions") in viewed
        assert len(viewed) == len(set(viewed))


@pytest.mark.parametrize(("login", "role"), [("alice", OPERATOR), ("carol", AUDITOR), ("bob", OPERATOR)])
async def test_nobody_signs_in_for_a_role_that_their_groups_do_not_give(
    tmp_path: Path, login: str, role: str
) -> None:
    async with edge_bench(tmp_path) as bench:
        answer = await sign_in(bench, role, login)
        assert (answer.status, answer.code) == (403, "POLICY_DEFAULT_DENY")
        decision = (await bench.recorded("decision.denied"))[0]["fields"]["decisions"][0]
        assert decision["inputs"]["actor"]["party"] == await bench.party(login)


async def test_a_wrong_password_looks_like_an_unknown_login(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        answers = [await bench.post_admin_sign_in(login, OPERATOR, "wrong") for login in ("carol", "nobody")]
        assert answers[0].steady == answers[1].steady
        assert answers[0].status == 401


async def test_a_token_of_another_listener_is_worth_nothing_here_and_this_one_nothing_there(
    tmp_path: Path,
) -> None:
    async with edge_bench(tmp_path) as bench:
        inside = Desk(bench, await bench.token_of("carol"))
        assert (await inside.get("/api/sessions")).code == "NOT_SIGNED_IN"
        token = (await sign_in(bench, OPERATOR)).json["token"]
        headers = {"Authorization": f"Bearer {token}", "Sec-WebSocket-Protocol": "turngate.v1"}
        for origin in (bench.inside, bench.outside):
            assert (await bench.http("GET", f"{origin}/ws", headers=headers)).status == 401


async def test_leaving_the_group_ends_it_at_the_next_request(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        operator = await desk(bench, OPERATOR)
        assert (await operator.get("/api/sessions")).status == 200
        people = tmp_path / "people.ldif"
        kept = [
            line for line in people.read_text().splitlines(True) if not line.startswith("member: uid=carol,")
        ]
        people.write_text("".join(kept))
        directory = bench.edge.directory
        assert isinstance(directory, LdifDirectory)
        await directory.reload()
        assert (await operator.get("/api/sessions")).status == 403


async def test_signing_out_ends_it(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        operator = await desk(bench, OPERATOR)
        assert (await operator.post("/api/sign-out", {})).status == 204
        assert (await operator.get("/api/sessions")).code == "NOT_SIGNED_IN"
        assert (await bench.recorded("admin.signed_out"))[0]["fields"]["reason"] == "signed_out"


async def test_an_operator_sees_a_call_and_ends_it_and_both_sides_and_the_record_know(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.guest(alice) as guest,
    ):
        call_id = await talking(alice, guest)
        operator = await desk(bench, OPERATOR)
        rows = {row["id"]: row for row in (await operator.get("/api/sessions")).json["sessions"]}
        call = rows[call_id]
        assert (call["kind"], call["external"], call["rules"]) == ("call", True, ["guests"])
        assert [party["kind"] for party in call["parties"]] == ["insider", "guest"]
        assert call["parties"][0]["login"] == "alice"
        assert call["bytes"] is None
        assert {row["kind"] for row in rows.values()} == {"call", "visit", "connection"}
        connections = [row for row in rows.values() if row["kind"] == "connection"]
        assert all(row["bytes"]["a_to_b"] > 0 for row in connections)
        assert (await operator.post("/api/sessions/end", {"session_id": call_id})).status == 200
        for wire in (alice, guest):
            assert (await wire.until("call.ended", call_id=call_id))["reason"] == "operator"
        ended = (await bench.recorded("admin.session_ended"))[0]["fields"]
        assert (ended["session"], ended["user"]) == (call_id, await bench.party("carol"))
        gone = await operator.post("/api/sessions/end", {"session_id": call_id})
        assert (gone.status, gone.code) == (404, "UNKNOWN_SESSION")
        await operator.post("/api/sessions/end", {"session_id": guest.you})
        assert await guest.closed() == 4401


async def test_ending_waits_for_nothing_when_the_record_is_far_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        operator = await desk(bench, OPERATOR)
        rows = (await operator.get("/api/sessions")).json["sessions"]
        monkeypatch.setattr(Driver, "backlog_full", property(lambda driver: True))
        assert (await operator.get("/api/sessions")).status == 503
        assert (await operator.post("/api/sessions/end", {"session_id": rows[0]["id"]})).status == 200
        assert await alice.closed() == 4403


async def test_a_policy_is_explained_checked_replayed_applied_and_rolled_back_from_the_console(
    tmp_path: Path,
) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        await alice.send(ChatSend(ref="m", to=bob.you, text="hello"))
        await alice.until("chat.accepted")
        call_id = await talking(alice, bob)
        paul = await desk(bench, POLICY_ADMINISTRATOR)
        question = {
            "as": "alice",
            "to": "bob",
            "action": "chat.send",
            "source": "127.0.0.1",
            "to_source": "127.0.0.1",
        }
        explained = (await paul.post("/api/policy/explain", question)).json
        recorded = bench.records("chat.accepted")[0]["fields"]["decisions"][0]
        for name in ("code", "determining_rules", "policy_sha256"):
            assert explained["decision"][name] == recorded[name]
        unclear = await paul.post("/api/policy/explain", question | {"to": "\x1b[31mnobody"})
        assert (unclear.status, unclear.code) == (422, "QUESTION_INVALID")

        stricter = revision(2, POLICY + NO_CHAT + NO_CALLS)
        checked = (await paul.post("/api/policy/check", {"text": stricter})).json
        assert checked["errors"] == []
        stranger = stricter.replace('groups = ["external-communication"]', 'groups = ["nobody-is-in"]')
        found = (await paul.post("/api/policy/check", {"text": stranger})).json["findings"]
        assert [(one["kind"], one["rule_id"]) for one in found] == [("unknown-group", "guests")]
        compared = (await paul.post("/api/policy/diff", {"text": stricter})).json
        assert {one["action"] for one in compared["differences"]} == {"chat.send", "call.audio"}
        assert not compared["more"]
        replayed = (await paul.post("/api/policy/replay", {"text": stricter, "since_seconds": 600})).json
        assert {(c["action"], c["after_code"]) for c in replayed["changed"]} == {
            ("chat.send", "POLICY_DENIED"),
            ("call.audio", "POLICY_DENIED"),
        }
        broken = stricter.replace('"deny"', '"perhaps"', 1)
        for path in ("/api/policy/apply", "/api/policy/replay"):
            refused = await paul.post(
                path, {"text": broken, **({"since_seconds": 60} if "replay" in path else {})}
            )
            assert (refused.status, refused.code) == (422, "POLICY_INVALID")
            assert refused.json["errors"] == ["rules[3].effect: Input should be 'allow' or 'deny'"]
        assert (await paul.get("/api/policy")).json["revision"] == 1

        assert (await paul.post("/api/policy/apply", {"text": stricter})).json["revision"] == 2
        assert (await alice.until("call.ended", call_id=call_id))["code"] == "POLICY_DENIED"
        shown = (await paul.get("/api/policy")).json
        assert (shown["revision"], shown["how"], shown["applied_by"]) == (2, "console", "bob")
        assert (await paul.post("/api/policy/rollback", {"revision": 1})).json["revision"] == 1
        await bench.settled(alice)
        history = (await paul.get("/api/policy/history")).json["applied"]
        assert [(row["revision"], row["how"], row["by"]) for row in history] == [
            (1, "rollback", "bob"),
            (2, "console", "bob"),
            (1, "start", None),
        ]


async def test_an_administrator_is_let_past_no_rule(tmp_path: Path) -> None:
    """Whoever sets the policy is asked about like everybody else, and no rule makes them more."""
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice:
        paul = await desk(bench, POLICY_ADMINISTRATOR)
        himself = POLICY.replace('actions = ["edge.signin"]', 'actions = ["edge.signin", "admin.operate"]')
        refused = await paul.post("/api/policy/apply", {"text": revision(2, himself)})
        assert "administration is not given by rules" in refused.json["errors"][0]
        nobody = revision(2, POLICY + NO_CHAT.replace('["chat.send"]', '["chat.send", "call.audio"]'))
        assert (await paul.post("/api/policy/apply", {"text": nobody})).status == 200
        async with bench.insider("bob") as bob:
            await bob.send(ChatSend(ref="m", to=alice.you, text="past it"))
            assert (await bob.until("error"))["code"] == "POLICY_DENIED"


async def test_the_command_line_applies_and_rolls_back_in_an_administrators_name(
    tmp_path: Path,
) -> None:
    async with edge_bench(tmp_path) as bench:
        text = revision(2, POLICY + NO_CHAT)
        ca_file = bench.house.ca_file
        with pytest.raises(PolicyNotChanged, match="SIGN_IN_REFUSED"):
            await apply_policy(bench.admin, bench.credentials("bob", "wrong"), text, ca_file)
        with pytest.raises(PolicyNotChanged, match="POLICY_DEFAULT_DENY"):
            await apply_policy(bench.admin, bench.credentials("alice"), text, ca_file)
        with pytest.raises(PolicyNotChanged, match="rules"):
            await apply_policy(bench.admin, bench.credentials("bob"), text.replace("deny", "x"), ca_file)
        assert (await apply_policy(bench.admin, bench.credentials("bob"), text, ca_file)).revision == 2
        assert (await roll_back_policy(bench.admin, bench.credentials("bob"), 1, ca_file)).revision == 1
        by = [record["fields"]["by"] for record in await bench.recorded("policy.applied", 3)]
        assert by == [None, await bench.party("bob"), await bench.party("bob")]


async def test_without_groups_in_the_settings_nobody_has_a_role(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        bench.edge.driver._house.gate.administrators = {}
        bench.edge.driver._house.gate.policy = bench.edge.driver.policy
        for role in WHO:
            assert (await sign_in(bench, role)).status == 403

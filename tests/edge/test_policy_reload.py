"""The policy and the directory change under a running edge: what is open ends in time, what is broken changes
nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from broker.core.client_frames import CallAccept, CallInvite, ChatSend
from broker.shell.policy_file import PolicyFile
from config.policy.loading import PolicyErrors, load_policy
from tests.edge.bench_house import NO_CHAT, POLICY
from tests.edge.bench_wire import Wire
from tests.edge.edge_bench import Bench, edge_bench, until

NO_CALLS = NO_CHAT.replace("no-chat", "no-calls").replace('"chat.send"', '"call.audio"')
IN_TIME_SECONDS = 1.0


def revision(number: int, policy: str) -> str:
    return policy.replace("revision = 1\n", f"revision = {number}\n", 1)


async def talking(caller: Wire, callee: Wire) -> str:
    await caller.send(CallInvite(ref="c", to=callee.you, media=["audio"]))
    call_id = str((await callee.until("call.ring"))["call_id"])
    await callee.send(CallAccept(call_id=call_id))
    await caller.until("call.accepted")
    return call_id


def write(bench: Bench, policy: str) -> None:
    """As editors do it: the new file takes the old one's place."""
    beside = bench.house.folder / "policy.new"
    beside.write_text(policy)
    beside.replace(bench.house.folder / "policy.toml")


async def test_a_call_ends_within_a_second_of_its_rules_removal_on_both_sides(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.guest(alice) as guest,
    ):
        call_id = await talking(alice, guest)
        removed = time.monotonic()
        write(bench, revision(2, POLICY + NO_CALLS))
        inside = await alice.until("call.ended", call_id=call_id)
        outside = await guest.until("call.ended", call_id=call_id)
        assert time.monotonic() - removed < IN_TIME_SECONDS
        assert (inside["reason"], inside["code"]) == ("policy", "POLICY_DENIED")
        assert inside["message"] == "Your organisation's policy does not allow this."
        assert outside["message"] == "The organisation you are visiting does not allow this."
        denied = (await bench.recorded("decision.denied"))[-1]["fields"]["decisions"][0]
        assert denied["id"] == inside["decision_id"] == outside["decision_id"]
        assert (denied["determining_rules"], denied["policy_revision"]) == (["no-calls"], 2)
        applied = bench.records("policy.applied")
        assert [(r["fields"]["revision"], r["fields"]["how"]) for r in applied] == [(1, "start"), (2, "file")]


async def test_one_wrong_line_keeps_the_old_policy_raises_the_alarm_and_is_on_record(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        call_id = await talking(alice, bob)
        write(bench, revision(2, POLICY + NO_CALLS.replace("deny", "perhaps")))
        refused = (await bench.recorded("policy.refused"))[0]["fields"]
        assert refused["errors"] == ["rules[3].effect: Input should be 'allow' or 'deny'"]
        assert refused["revision"] == 1
        assert bench.edge.driver.policy_state[1] is not None
        assert b"turngate_policy_refused 1.0" in bench.edge.metrics.text()
        assert call_id in bench.edge.driver._house.calls
        await alice.send(ChatSend(ref="m", to=bob.you, text="still here"))
        await bob.until("chat.message")
        write(bench, revision(2, POLICY))
        await until(lambda: bench.edge.driver.policy.loaded.policy.revision == 2)
        assert bench.edge.driver.policy_state[1] is None


@pytest.mark.parametrize(
    ("number", "why"),
    [(5, "5 was in force with another text"), (4, "5 was in force already: raise it above that")],
)
async def test_a_revision_is_one_text_and_a_new_one_is_higher(tmp_path: Path, number: int, why: str) -> None:
    async with edge_bench(tmp_path, policy=revision(5, POLICY)) as bench:
        write(bench, revision(number, POLICY + NO_CALLS))
        refused = (await bench.recorded("policy.refused"))[0]["fields"]
        assert refused["errors"][0].startswith(f"revision: {why}")


async def test_an_administrator_applies_and_rolls_back_and_the_file_is_what_is_in_force(
    tmp_path: Path,
) -> None:
    async with edge_bench(tmp_path) as bench:
        paula = await bench.person("bob")
        loaded = bench.edge.driver.policy.loaded
        submit = bench.edge.driver.submit
        policy_file = PolicyFile(tmp_path / "policy.toml", tmp_path / "shelf", loaded, submit)
        try:
            stricter = revision(2, POLICY + NO_CALLS)
            await policy_file.apply(stricter.encode(), paula)
            assert (tmp_path / "policy.toml").read_text() == stricter
            with pytest.raises(PolicyErrors, match="was never in force"):
                await policy_file.roll_back(7, paula)
            with pytest.raises(PolicyErrors, match=r"should be 'allow' or 'deny'"):
                await policy_file.apply(stricter.replace("deny", "perhaps").encode(), paula)
            assert (tmp_path / "policy.toml").read_text() == stricter
            with pytest.raises(PolicyErrors, match="2 was in force with another text"):
                await policy_file.apply(stricter.replace("no-calls", "none").encode(), paula)
            await policy_file.roll_back(1, paula)
            with pytest.raises(PolicyErrors, match="2 was in force with another text"):
                await policy_file.apply(revision(2, POLICY).encode(), paula)
            assert load_policy((tmp_path / "policy.toml").read_bytes(), "p").policy.revision == 1
        finally:
            policy_file.close()
        records = [r["fields"] for r in await bench.recorded("policy.applied", 3)]
        assert [(r["revision"], r["how"], r["by"]) for r in records] == [
            (1, "start", None),
            (2, "console", paula.party),
            (1, "rollback", paula.party),
        ]


async def test_a_policy_file_that_is_gone_raises_the_alarm_until_it_is_back(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice, bench.insider("bob") as bob:
        (tmp_path / "policy.toml").unlink()
        refused = (await bench.recorded("policy.refused"))[0]["fields"]
        assert refused["errors"] == ["the file cannot be read: No such file or directory"]
        await alice.send(ChatSend(ref="m", to=bob.you, text="still here"))
        await bob.until("chat.message")
        write(bench, POLICY)
        await until(lambda: bench.edge.driver.policy_state[1] is None)


async def test_no_policy_is_taken_over_while_nobody_can_tell_what_was_in_force(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench, bench.insider("alice") as alice, bench.insider("bob") as bob:
        shelf = bench.edge.settings.data_directory / "policies"
        shelf.rename(tmp_path / "elsewhere")
        write(bench, revision(2, POLICY))
        refused = (await bench.recorded("policy.refused"))[0]["fields"]
        assert refused["errors"][0].startswith("revision: the texts that were in force cannot be read: ")
        await alice.send(ChatSend(ref="m", to=bob.you, text="still here"))
        await bob.until("chat.message")
        (tmp_path / "elsewhere").rename(shelf)
        write(bench, revision(2, POLICY) + "\n")
        await until(lambda: bench.edge.driver.policy.loaded.policy.revision == 2)


async def test_a_file_that_is_written_again_as_it_was_is_no_new_policy(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        write(bench, POLICY)
        write(bench, revision(2, POLICY).replace("deny", "perhaps") + "colour = 1\n")
        await bench.recorded("policy.refused")
        write(bench, POLICY)
        await until(lambda: bench.edge.driver.policy_state[1] is None)
        write(bench, revision(2, POLICY))
        applied = [record["fields"]["revision"] for record in await bench.recorded("policy.applied", 3)]
        assert applied == [1, 1, 2]


async def test_a_text_that_could_not_be_written_was_never_in_force(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        paula = await bench.person("bob")
        loaded, nowhere = bench.edge.driver.policy.loaded, tmp_path / "gone"
        nowhere.mkdir()
        (nowhere / "policy.toml").write_text(POLICY)
        told: list[object] = []
        policy_file = PolicyFile(nowhere / "policy.toml", tmp_path / "shelf", loaded, told.append)
        try:
            (nowhere / "policy.toml").unlink()
            nowhere.rmdir()
            with pytest.raises(OSError, match="gone"):
                await policy_file.apply(revision(2, POLICY).encode(), paula)
            with pytest.raises(PolicyErrors, match="never in force"):
                await policy_file.roll_back(2, paula)
        finally:
            policy_file.close()
        assert told == []


async def test_who_leaves_a_group_in_the_directory_loses_what_it_allowed_within_a_second(
    tmp_path: Path,
) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.guest(alice) as guest,
    ):
        call_id = await talking(alice, guest)
        people = tmp_path / "people.ldif"
        changed = "".join(
            line for line in people.read_text().splitlines(True) if not line.startswith("member: uid=alice,")
        )
        at = time.monotonic()
        (tmp_path / "people.new").write_text(changed)
        (tmp_path / "people.new").replace(people)
        ended = await alice.until("call.ended", call_id=call_id)
        assert time.monotonic() - at < IN_TIME_SECONDS
        assert ended["code"] == "POLICY_DEFAULT_DENY"
        assert await guest.closed() == 4403


async def test_a_directory_that_cannot_be_read_changes_nobody(tmp_path: Path) -> None:
    async with (
        edge_bench(tmp_path) as bench,
        bench.insider("alice") as alice,
        bench.insider("bob") as bob,
    ):
        await talking(alice, bob)
        (tmp_path / "people.new").write_text("dn: broken")
        (tmp_path / "people.new").replace(tmp_path / "people.ldif")
        write(bench, revision(2, POLICY))
        await until(lambda: bench.edge.driver.policy.loaded.policy.revision == 2)
        await alice.send(ChatSend(ref="m", to=bob.you, text="still here"))
        await bob.until("chat.message")

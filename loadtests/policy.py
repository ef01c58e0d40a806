"""Decisions a second on one core, and the replay of a long record.

    python -m loadtests.policy [--rounds N] [--results FILE]

`decide()` is asked at 10, 1,000 and 10,000 rules, each rule about a group of its own, so that nearly all of
them cannot match; rounds alternate between the sizes, the first is thrown away, the median counts. Its peer
in the same run is the same question read against every rule (`explained`), which is what a policy without an
index costs. The replay reads 100,000 recorded decisions from a database as `turngate policy replay` does."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId
from broker.audit.checkpoint import SigningKey
from broker.audit.decisions import recorded_decisions
from broker.audit.ledger import Ledger
from broker.audit.reading import read_only_engine
from broker.core.recording import draft
from broker.policy.decide import decide
from broker.policy.index import PolicyIndex
from broker.policy.question import Question, Subject
from broker.policy.replay import replay
from broker.shell.store import Entry, Store
from config.policy.action import Action
from config.policy.loading import load_policy
from loadtests import machine

SIZES = (10, 1_000, 10_000)
BAR_PER_SECOND = 20_000
QUESTIONS = 20_000
EXPLAINED = 50
RECORDED = 100_000
_BATCH = 500
_NOW = 1_800_000_000

_RULE = """
[[rules]]
id = "r{number}"
effect = "{effect}"
who = {{ groups = ["group-{number}"] }}
with = {{ kind = "guest" }}
direction = "both"
actions = ["call.audio", "chat.send"]
expires = 2999-12-31
owner = "load"
reason = "load"
"""


def policy_of(rules: int, effect: str = "allow") -> PolicyIndex:
    """So many rules, each about a group of its own."""
    text = "".join(_RULE.format(number=number, effect=effect) for number in range(rules))
    return PolicyIndex(load_policy("revision = 1\n" + text, "load"))


def questions() -> list[Question]:
    """Members of some of the groups, with guests of theirs."""
    asked = []
    for number in range(100):
        groups = frozenset({f"group-{number % 20}", *(f"other-{n}" for n in range(10))})
        party = PartyId(f"u-{number}")
        insider = Insider(party, Personal("l"), Personal("n"), groups, version="1")
        guest = Guest(PartyId(f"g-{number}"), Personal("n"), "i", party)
        action = (Action.CALL_AUDIO, Action.CHAT_SEND)[number % 2]
        asked.append(Question(action, Subject(insider, "10.1.2.3"), Subject(guest, "192.0.2.9"), _NOW))
    return asked


def per_second(policy: PolicyIndex, asked: list[Question], count: int, *, explained: bool = False) -> float:
    started = time.perf_counter()
    for number in range(count):
        decide(policy, asked[number % len(asked)], "d-load", explained=explained)
    return count / (time.perf_counter() - started)


def decisions(rounds: int) -> dict[str, Any]:
    policies = {size: policy_of(size) for size in SIZES}
    asked = questions()
    indexed: dict[int, list[float]] = {size: [] for size in SIZES}
    unindexed: dict[int, list[float]] = {size: [] for size in SIZES}
    for number in range(rounds + 1):
        for size, policy in policies.items():
            rates = per_second(policy, asked, QUESTIONS), per_second(policy, asked, EXPLAINED, explained=True)
            if number > 0:
                indexed[size].append(rates[0])
                unindexed[size].append(rates[1])
    return {
        str(size): {
            "decisions_per_second": statistics.median(indexed[size]),
            "every_rule_read_per_second": statistics.median(unindexed[size]),
            "of_the_rate_at_10_rules": statistics.median(indexed[size]) / statistics.median(indexed[10]),
        }
        for size in SIZES
    }


def replayed(folder: Path) -> dict[str, Any]:
    """A record of 100,000 decisions, and how long another policy takes to be asked all of them."""
    database = folder / "turngate.sqlite"
    key = SigningKey.load_or_create("load", folder / "key")
    store = Store(f"sqlite:///{database}", Ledger("load", key, lambda count: bytes(count)))
    policy, asked = policy_of(1_000), questions()
    for first in range(0, RECORDED, _BATCH):
        numbers = range(first, first + _BATCH)
        answers = [decide(policy, asked[n % len(asked)], f"d-{n}") for n in numbers]
        records = tuple(draft("decision.denied", basis=(answer,)) for answer in answers)
        store.commit([Entry(_NOW * 1000, records, ())])
    store.close()
    candidate = policy_of(10)
    started = time.perf_counter()
    with read_only_engine(str(database)).connect() as connection:
        outcome = replay(candidate, recorded_decisions(connection, 0))
    seconds = time.perf_counter() - started
    return {
        "recorded": RECORDED,
        "decided": outcome.decided,
        "changed": len(outcome.changed) + outcome.changed_omitted,
        "seconds": seconds,
        "per_second": outcome.decided / seconds,
    }


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--results", type=Path)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = {
            "machine": machine.described(),
            "rounds": chosen.rounds,
            "decisions": decisions(chosen.rounds),
            "replay": replayed(Path(folder)),
        }
    for size, row in results["decisions"].items():
        print(
            f"{size:>6} rules: {row['decisions_per_second']:>8.0f} decisions/s, "
            f"{row['of_the_rate_at_10_rules']:.2f} of the rate at 10; "
            f"every rule read: {row['every_rule_read_per_second']:.0f}/s"
        )
    at_thousand = results["decisions"]["1000"]["decisions_per_second"]
    print(f"bar {BAR_PER_SECOND}/s at 1,000 rules: {'kept' if at_thousand >= BAR_PER_SECOND else 'MISSED'}")
    print(
        "replay of {recorded}: {seconds:.1f} s, {per_second:.0f}/s, {changed} would change".format(
            **results["replay"]
        )
    )
    if chosen.results is not None:
        chosen.results.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

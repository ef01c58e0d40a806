"""What holds of every list of programs and whatever a program says of itself."""

from __future__ import annotations

import contextlib
import time

from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from broker.core.client_frames import ClientProgram
from broker.policy.client import judge_client
from config.policy.client import ClientEffect, Clients, ClientSide

LINK = "https://get.example/"
NAMES = ["turngate-web", "turngate-python", "x"]
RANGES = [None, "<1", ">=1.2,<2", "==1.*", "!=1.5", "~=1.4", "===1.5", ">=2.0a1", "==1!1.0"]
VERSIONS = ["1", "1.2", "1.5", "v1.5", "1.5+l", "1.9.dev1", "2.0rc1", "2.0", "1!1.0", "0", "1.x", "", "none"]

entries = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "side": st.sampled_from(ClientSide),
        "versions": st.sampled_from(RANGES),
        "effect": st.sampled_from(ClientEffect),
        "link": st.just(LINK),
    }
)
some_clients = st.builds(
    lambda programs, otherwise: Clients.model_validate(
        {"otherwise": otherwise, "otherwise_link": LINK, "programs": tuple(programs)}
    ),
    st.lists(entries, max_size=6),
    st.sampled_from(ClientEffect),
)
sides = st.sampled_from([ClientSide.INSIDER, ClientSide.GUEST])
versions = st.sampled_from(VERSIONS) | st.from_regex(r"\A[0-9ab.!+rcdevpost_-]{0,32}\Z")
hostile = st.text(max_size=32) | st.text(
    "0123456789.!+-_abcdeoprstv*= \n\x00\N{LATIN SMALL LETTER LONG S}\N{LATIN SMALL LETTER DOTLESS I}",
    max_size=32,
)


def naive(clients: Clients, side: ClientSide, name: str, version: str) -> ClientEffect:
    """As docs/policy.md says it, entry by entry."""
    found = set()
    for program in clients.programs:
        if program.name == name and program.side in {side, ClientSide.BOTH}:
            inside = program.versions is None
            if program.versions is not None:
                with contextlib.suppress(InvalidVersion):
                    inside = SpecifierSet(program.versions).contains(Version(version), prereleases=True)
            if inside:
                found.add(program.effect)
    for effect in (ClientEffect.REFUSE, ClientEffect.WARN, ClientEffect.ALLOW):
        if effect in found:
            return effect
    return clients.otherwise


@given(some_clients, sides, st.sampled_from([*NAMES, "other"]), versions)
def test_the_verdict_is_that_of_a_naive_reading(
    clients: Clients, side: ClientSide, name: str, version: str
) -> None:
    verdict = judge_client(clients, side, name, version)
    assert verdict.effect is naive(clients, side, name, version)
    told = verdict.effect is not ClientEffect.ALLOW
    assert (bool(verdict.link), bool(verdict.message)) == (told, told)


@given(some_clients, sides, st.sampled_from(NAMES) | st.text(max_size=64), hostile)
@example(Clients(otherwise=ClientEffect.ALLOW), ClientSide.GUEST, "x", "9" * 32)
@example(Clients(otherwise=ClientEffect.ALLOW), ClientSide.GUEST, "\ud800", "1\x00")
def test_nothing_that_a_program_says_of_itself_raises(
    clients: Clients, side: ClientSide, name: str, version: str
) -> None:
    assert judge_client(clients, side, name, version).effect in ClientEffect


EXCEPT = "".join(f",!={number}.*" for number in range(10, 37))
WIDEST = Clients.model_validate(
    {
        "otherwise": "refuse",
        "otherwise_link": LINK,
        "programs": [
            {"name": "x" * 64, "side": "both", "effect": "allow", "versions": f">=0.{number}{EXCEPT}"}
            for number in range(200)
        ],
    }
)
"""The most entries there may be, for one name, each with as long a range as there may be."""
CPU_SECONDS = 0.5


def longest(field: str) -> int:
    bounds = ClientProgram.model_fields[field].metadata
    return int(next(bound.max_length for bound in bounds if hasattr(bound, "max_length")))


@settings(max_examples=20)
@given(st.sampled_from([*"9a.!+-_ v", "1.", "0.", "1!", "1+a", "1a0", "1.0post", "1.dev", "1-", "+1."]))
def test_the_longest_of_what_it_may_say_costs_little_under_the_widest_policy(repeated: str) -> None:
    version = (repeated * 32)[: longest("version")]
    judge_client(WIDEST, ClientSide.GUEST, "x" * longest("name"), "1")
    before = time.process_time()
    judge_client(WIDEST, ClientSide.GUEST, "x" * longest("name"), version)
    assert time.process_time() - before < CPU_SECONDS

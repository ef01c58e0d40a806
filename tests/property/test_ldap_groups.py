"""Groups in groups, whatever graph they make: the same as a naive closure, each group read once."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from auth.ldap_groups import NAMES_PER_SEARCH, GroupGraph
from auth.ldap_link import LdapLink, LdapRecord
from auth.ldap_schema import ActiveDirectory, LdapSchema, OpenLdap

BASE = "ou=groups,dc=example"
SCHEMAS: tuple[LdapSchema, ...] = (OpenLdap(), ActiveDirectory())
Graph = Mapping[int, Sequence[int]]
"""Groups by number, each with those it is in; a number that is no key is no group below the base."""


def dn(number: int, *, shouted: bool = False) -> str:
    name = f"cn=group\\2c {number},{BASE}"
    return name.upper() if shouted else name


class FakeLink:
    """Answers searches for groups by name out of a graph."""

    def __init__(self, schema: LdapSchema, graph: Graph, *, slowly: bool = False) -> None:
        self._schema = schema
        self._graph = graph
        self._slowly = slowly
        self.asked: Counter[int] = Counter()
        self.searches = 0

    def search(self, base: str, filter_text: str, attributes: Sequence[str]) -> list[LdapRecord]:
        assert base == BASE
        assert set(attributes) == {self._schema.group_name_attribute, "memberOf"}
        self.searches += 1
        escaped = re.findall(rf"\({self._schema.dn_attribute}=([^)]*)\)", filter_text)
        names = [re.sub(r"\\(..)", lambda found: chr(int(found[1], 16)), text) for text in escaped]
        assert 0 < len(names) <= NAMES_PER_SEARCH
        numbers = [int(re.findall("[0-9]+", name.partition(" ")[2])[0]) for name in names]
        self.asked.update(numbers)
        if self._slowly:
            time.sleep(0.0005)
        return [self._record(number) for number in numbers if number in self._graph]

    def _record(self, number: int) -> LdapRecord:
        within = [dn(outer, shouted=outer % 3 == 0).encode() for outer in self._graph[number]]
        name = self._schema.group_name_attribute.lower()
        return LdapRecord(dn(number), {name: [f"group {number}".encode()], "memberof": within})


def closure(graph: Graph, numbers: Sequence[int], *, nested: bool) -> frozenset[str]:
    found: set[int] = {number for number in numbers if number in graph}
    while nested:
        more = found | {outer for number in found for outer in graph[number] if outer in graph}
        if more == found:
            break
        found = more
    return frozenset(f"group {number}" for number in found)


numbers = st.integers(0, 15)
graphs = st.dictionaries(numbers, st.lists(numbers, max_size=5), max_size=12)
people = st.lists(st.lists(numbers, max_size=5), min_size=1, max_size=5)


@given(graphs, people, st.booleans(), st.sampled_from(SCHEMAS))
def test_any_graph_gives_the_groups_of_a_naive_closure_and_each_group_is_read_once(
    graph: Graph, people: list[list[int]], nested: bool, schema: LdapSchema
) -> None:
    fake = FakeLink(schema, graph)
    groups = GroupGraph(schema, BASE, nested=nested)
    for direct in people:
        names = [dn(number) for number in direct]
        groups.read(cast("LdapLink", fake), names)
        assert groups.groups_of(names) == closure(graph, direct, nested=nested)
    # Twice only where two spellings lead to it.
    assert all(count == 1 or number % 3 == 0 for number, count in fake.asked.items())
    assert all(count <= 2 for count in fake.asked.values())


def test_a_level_is_read_with_few_searches_and_a_chain_with_one_for_each_group() -> None:
    wide = {number: [10_000] for number in range(3 * NAMES_PER_SEARCH)} | {10_000: []}
    deep = {number: [number + 1] for number in range(1, 101)}
    for graph, first, searches in ((wide, list(range(3 * NAMES_PER_SEARCH)), 4), (deep, [1], 101)):
        fake = FakeLink(OpenLdap(), graph)
        groups = GroupGraph(OpenLdap(), BASE, nested=True)
        groups.read(cast("LdapLink", fake), map(dn, first))
        assert fake.searches == searches
        assert groups.groups_of(list(map(dn, first))) == closure(graph, first, nested=True)


def test_two_names_that_we_hold_equal_and_the_server_does_not_stay_two_groups() -> None:
    """Full width letters are the same by RFC 4518; not every server prepares text as it says."""
    plain, wide = f"cn=staff,{BASE}", f"cn=\uff53taff,{BASE}"

    class Both:
        def search(self, *_: object) -> list[LdapRecord]:
            return [
                LdapRecord(plain, {"cn": [b"staff"]}),
                LdapRecord(wide, {"cn": [b"others"]}),
            ]

    groups = GroupGraph(OpenLdap(), BASE, nested=True)
    groups.read(cast("LdapLink", Both()), [plain, wide])
    assert groups.groups_of([plain]) == {"staff"}
    assert groups.groups_of([wide]) == {"others"}


@contextmanager
def threads_take_turns_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@settings(max_examples=40)
@given(graphs, st.lists(st.lists(numbers, max_size=5), min_size=4, max_size=4))
def test_threads_that_share_a_graph_find_the_same(graph: Graph, people: list[list[int]]) -> None:
    fake = FakeLink(OpenLdap(), graph, slowly=True)
    groups = GroupGraph(OpenLdap(), BASE, nested=True)

    def asked(direct: list[int]) -> frozenset[str]:
        names = [dn(number) for number in direct]
        groups.read(cast("LdapLink", fake), names)
        return groups.groups_of(names)

    with threads_take_turns_often(), ThreadPoolExecutor(4) as threads:
        found = list(threads.map(asked, people))
    assert found == [closure(graph, direct, nested=True) for direct in people]

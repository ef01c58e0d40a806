"""What acceptance tests share: one session across a DMZ, which takes seconds, looked at by many tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.dmz import Evidence, session_across_the_dmz


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    with session_across_the_dmz(tmp_path_factory.mktemp("dmz")) as seen:
        yield seen

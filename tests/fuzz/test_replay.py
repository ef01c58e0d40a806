"""Every input that fuzzing starts from, and every one that ever broke a law, keeps the laws."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from relay.planes import punt_queue, row
from relay.stun import attributes as a
from relay.stun.message import parse
from relay.turn import server as turn_server
from relay.turn.events import AllocationGone, Refused
from relay.turn.session import Session
from tests.contract.plane_harness import PLANES
from tests.fuzz.mutation import MUTATIONS
from tests.fuzz.run import FOLDER, SHARES
from tests.fuzz.scene import Scene
from tests.fuzz.script import Script, decode, encode
from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS

KEPT = sorted(path for kind in ("corpus", "crashers") for path in (FOLDER / kind).glob("*/*"))
MUTANTS_OF_A_SEED = 25


def replay(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def the_seeds(target: str) -> None:
    for path in KEPT:
        if path.parent.name == target:
            replay(path)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: "/".join(path.parts[-3:]))
def test_what_was_kept_keeps_the_laws(path: Path) -> None:
    replay(path)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_fuzzed_and_starts_from_seeds_as_they_are_written(target: str) -> None:
    kept = {path.name: path.read_bytes() for path in (FOLDER / "corpus" / target).iterdir()}
    assert target in SHARES
    assert SEEDS[target]
    assert SEEDS[target].items() <= kept.items()


@pytest.mark.parametrize("target", TARGETS)
def test_changed_seeds_keep_the_laws(target: str) -> None:
    random = Random(7)
    for seed in SEEDS[target].values():
        data = seed
        for _ in range(MUTANTS_OF_A_SEED):
            data = MUTATIONS[target](data, random)
            TARGETS[target](data)


@pytest.mark.parametrize("name", SEEDS["server"])
def test_a_script_is_written_as_it_was_read(name: str) -> None:
    seed = SEEDS["server"][name]
    assert encode(decode(seed)) == seed


def test_any_bytes_are_a_script() -> None:
    random = Random(7)
    for _ in range(500):
        script = decode(random.randbytes(random.randrange(200)))
        assert decode(encode(script)) == script
    assert decode(b"") == Script()


def test_the_seeds_get_behind_the_integrity_check_and_as_far_as_to_deliveries() -> None:
    codes: Counter[int | None] = Counter()
    reasons: set[str] = set()
    deliveries = 0
    for seed in SEEDS["server"].values():
        scene = Scene(decode(seed))
        scene.play(decode(seed))
        deliveries += len(scene.world.deliveries)
        codes.update(parse(reply.datagram).first(a.ERROR_CODE) for reply in scene.world.replies)
        notices = [one for one in scene.world.notices if isinstance(one, AllocationGone | Refused)]
        reasons |= {notice.reason.name for notice in notices}
    assert codes[None] > 50
    assert {300, 400, 401, 403, 405, 420, 437, 438, 440, 441, 508} <= codes.keys()
    assert {"CLOSED", "EXPIRED", "REVOKED", "SESSION_ENDED", "SESSION_EXPIRED", "STREAM_CLOSED"} <= reasons
    assert deliveries > 10


# --- the laws themselves ---------------------------------------------------------------------------------


def test_the_laws_find_an_answer_that_amplifies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_server, "MAX_AMPLIFICATION", 100)
    with pytest.raises(AssertionError):
        the_seeds("server")


def test_the_laws_find_two_that_meet_and_should_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "reachable", lambda session, _, peer: session.allocations.get(peer))
    with pytest.raises(AssertionError):
        the_seeds("server")


@pytest.mark.skipif("native" not in PLANES, reason="one plane only: no compiler")
@pytest.mark.parametrize(("module", "decides"), [(row, "_is_dtls"), (punt_queue, "_is_stun_request")])
def test_planes_that_decide_differently_are_found(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, decides: str
) -> None:
    monkeypatch.setattr(module, decides, lambda *_: True)
    with pytest.raises(AssertionError):
        the_seeds("planes")

"""One gate and record before effect, tried at every way in: whatever a client sends and whoever they are,
while the gate denies or the record fails, nothing opens.

Seen at four places: at `Effects.open`, on every client's wire, at the relay, and in what HTTP hands out. A
frame type or a route without a row fails the test.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import get_args

import pytest

from broker.core import client_frames as cf
from broker.core import frames as f
from tests.acceptance.gate_scene import FAULTS, ROLES, ROWS, Scene, Watch, scene, watched
from tests.edge.bench_house import POLICY, password_of, with_house
from tests.edge.bench_routes import origins, routes
from tests.edge.bench_wire import Answer
from tests.edge.edge_bench import edge_bench, running_bench
from tests.spec.software_key import SoftwareKey

ROOT = Path(__file__).parents[2]


def type_of(frame: type[f.Frame]) -> str:
    return str(frame.model_fields["type"].default)


OPENING_TYPES = {type_of(frame) for frame in f.OpeningFrame.__subclasses__()}


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return watched(monkeypatch)


# --- every frame --------------------------------------------------------------------------------------------


def test_every_frame_a_client_may_send_has_a_row() -> None:
    assert set(ROWS) == {type_of(frame) for frame in get_args(cf.ClientFrame)}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("frame_type", ROWS)
async def test_no_frame_opens_anything_for_anybody(
    tmp_path: Path, watch: Watch, frame_type: str, fault: str
) -> None:
    async with edge_bench(tmp_path) as bench:
        for role in ROLES:
            async with scene(bench) as at:
                frame = await ROWS[frame_type](at, role)
                assert frame.type == frame_type
                await at.settled()
                watch.forget()
                marks = {wire: len(wire.received) for wire in at.wires.values()}
                with FAULTS[fault](bench):
                    await at.trying(role).send(frame)
                    await at.settled()
                    assert watch.effects == [], role
                    assert watch.admissions == [], role
                    for wire, mark in marks.items():
                        assert not {f["type"] for f in wire.frames[mark:]} & OPENING_TYPES, role
            await at.recovered()


OPENS = {
    "insider": {
        *("hello", "chat.send", "invitation.create", "invitation.reissue", "lobby.admit", "lobby.admit_all"),
        *("call.invite", "call.accept", "call.share"),
    },
    "admitted guest": {"hello", "chat.send", "call.invite", "call.accept", "call.share"},
    "lobby guest": {"hello"},
}


@pytest.mark.parametrize("role", ROLES)
async def test_the_same_frames_do_open_when_nothing_hinders_them(
    tmp_path: Path, watch: Watch, role: str
) -> None:
    opened, admitted = set(), set()
    async with edge_bench(tmp_path) as bench:
        for frame_type, prepare in ROWS.items():
            async with scene(bench) as at:
                frame = await prepare(at, role)
                await at.settled()
                watch.forget()
                await at.trying(role).send(frame)
                await at.settled()
                if watch.effects:
                    opened.add(frame_type)
                if watch.admissions:
                    admitted.add(frame_type)
    assert opened == OPENS[role]
    assert admitted == OPENS[role] & {"call.invite"}


# --- every route --------------------------------------------------------------------------------------------


async def _get(at: Scene, origin: str, path: str, token: str) -> list[Answer]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return [await at.bench.http("GET", origin + path.replace("{path}", "none"), headers=headers)]


async def page(at: Scene, origin: str, path: str) -> list[Answer]:
    return await _get(at, origin, path, "")


async def me(at: Scene, origin: str, path: str) -> list[Answer]:
    role = "insider" if origin == at.bench.inside else "admitted guest"
    return await _get(at, origin, path, at.wires[role].token)


async def sign_in(at: Scene, _: str, __: str) -> list[Answer]:
    return [
        await at.bench.post_sign_in("carol", password_of("carol"), bearer=bearer) for bearer in (True, False)
    ]


ADMINISTRATORS = {"policy_administrator": "bob", "operator": "carol"}


async def desk_sign_in(at: Scene, _: str, __: str) -> list[Answer]:
    return [await at.bench.post_admin_sign_in("carol", "operator", bearer=bearer) for bearer in (True, False)]


async def desk(at: Scene, origin: str, path: str) -> list[Answer]:
    """As administrators who signed in before, each in their role: nothing but a refusal comes back, or that
    something was stopped, which waits for nothing."""
    asked = DESK_BODIES.get(path)
    answers = []
    for token in at.desks.values():
        headers = {"Authorization": f"Bearer {token}"}
        method = "GET" if asked is None else "POST"
        answers.append(await at.bench.http(method, origin + path, asked, headers=headers))
    if path not in ("/api/me", "/api/sign-out", "/api/emergency/stop"):
        assert not {answer.status for answer in answers} & {200, 204}, path
    return answers


async def key_challenge(at: Scene, origin: str, path: str) -> list[Answer]:
    """The same for everybody; it opens nothing."""
    return [await at.bench.http("POST", origin + path)]


async def key_made(at: Scene, origin: str, path: str) -> list[Answer]:
    """A key that was asked for before."""
    answers = []
    for role, token in at.desks.items():
        body = {"name": "blue", "key": SoftwareKey(origin, "localhost").made(at.to_enrol[role])}
        headers = {"Authorization": f"Bearer {token}"}
        answers.append(await at.bench.http("POST", origin + path, body, headers=headers))
    assert not {answer.status for answer in answers} - {403, 503}
    assert at.bench.edge.driver.security_keys_of(await at.bench.party("carol")) == []
    return answers


DESK_BODIES: dict[str, object] = {
    "/api/sign-out": {},
    "/api/security-keys/begin": {},
    "/api/security-keys/remove": {"credential_id": "none"},
    "/api/sessions/end": {"session_id": "c-none"},
    "/api/emergency/stop": {"scope": "modality:screen"},
    "/api/emergency/lift": {"scope": "modality:screen"},
    "/api/emergency/drill": {"scope": "all"},
    "/api/policy/explain": {"as": "alice", "to": "bob", "action": "chat.send"},
    "/api/policy/check": {"text": POLICY},
    "/api/policy/diff": {"text": POLICY},
    "/api/policy/replay": {"text": POLICY, "since_seconds": 60},
    "/api/policy/apply": {"text": POLICY.replace("revision = 1", "revision = 2", 1)},
    "/api/policy/rollback": {"revision": 1},
}


async def redeem(at: Scene, _: str, __: str) -> list[Answer]:
    return [await at.bench.redeem(at.secret, bearer=bearer) for bearer in (True, False)]


async def sign_out(at: Scene, origin: str, path: str) -> list[Answer]:
    role = "colleague" if origin == at.bench.inside else "admitted guest"
    headers = {"Authorization": f"Bearer {at.wires[role].token}"}
    return [await at.bench.http("POST", origin + path, headers=headers)]


async def socket(at: Scene, origin: str, _: str) -> list[Answer]:
    for role in ("insider",) if origin == at.bench.inside else ("lobby guest", "admitted guest"):
        wire = await at.newcomer(role)
        await wire.send(cf.Hello(client=cf.ClientProgram(name="test", version="1")))
        await wire.closed()
        assert not set(wire.types) & OPENING_TYPES
    return []


Ask = Callable[[Scene, str, str], Awaitable[list[Answer]]]
ROUTES: dict[tuple[str, str, str], Ask] = {
    ("inside", "GET", "/"): page,
    ("inside", "GET", "/assets/{path}"): page,
    ("inside", "GET", "/api/me"): me,
    ("inside", "POST", "/api/sign-in"): sign_in,
    ("inside", "POST", "/api/sign-out"): sign_out,
    ("inside", "GET", "/ws"): socket,
    ("outside", "GET", "/"): page,
    ("outside", "GET", "/assets/{path}"): page,
    ("outside", "GET", "/api/me"): me,
    ("outside", "GET", "/api/notice"): page,
    ("outside", "POST", "/api/redeem"): redeem,
    ("outside", "POST", "/api/leave"): sign_out,
    ("outside", "GET", "/ws"): socket,
    ("admin", "GET", "/healthz"): page,
    ("admin", "GET", "/metrics"): page,
    ("admin", "GET", "/"): page,
    ("admin", "GET", "/assets/{path}"): page,
    ("admin", "GET", "/api/me"): desk,
    ("admin", "POST", "/api/sign-in"): desk_sign_in,
    ("admin", "POST", "/api/sign-in/challenge"): key_challenge,
    ("admin", "POST", "/api/sign-out"): desk,
    ("admin", "GET", "/api/security-keys"): desk,
    ("admin", "POST", "/api/security-keys/begin"): desk,
    ("admin", "POST", "/api/security-keys/finish"): key_made,
    ("admin", "POST", "/api/security-keys/remove"): desk,
    ("admin", "GET", "/api/sessions"): desk,
    ("admin", "POST", "/api/sessions/end"): desk,
    ("admin", "GET", "/api/alarms"): desk,
    ("admin", "GET", "/api/bandwidth"): desk,
    ("admin", "GET", "/api/emergency"): desk,
    ("admin", "POST", "/api/emergency/stop"): desk,
    ("admin", "POST", "/api/emergency/lift"): desk,
    ("admin", "POST", "/api/emergency/drill"): desk,
    ("admin", "GET", "/api/policy"): desk,
    ("admin", "GET", "/api/policy/history"): desk,
    ("admin", "POST", "/api/policy/explain"): desk,
    ("admin", "POST", "/api/policy/check"): desk,
    ("admin", "POST", "/api/policy/diff"): desk,
    ("admin", "POST", "/api/policy/replay"): desk,
    ("admin", "POST", "/api/policy/apply"): desk,
    ("admin", "POST", "/api/policy/rollback"): desk,
}


REFUSED = {"the gate denies": (403, "POLICY_DENIED"), "the record fails": (503, "AUDIT_UNAVAILABLE")}


async def test_every_route_of_every_listener_has_a_row(tmp_path: Path) -> None:
    async with edge_bench(tmp_path) as bench:
        served = routes(bench)
    assert set(ROUTES) == {(listener, *route) for listener in served for route in served[listener]}


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_route_opens_anything_or_hands_anything_out(
    tmp_path: Path, watch: Watch, fault: str
) -> None:
    for (listener, method, path), ask in ROUTES.items():
        where = f"{listener} {method} {path}"
        folder = tmp_path / f"{listener}-{path.replace('/', '-')}-{method}"
        folder.mkdir()
        async with running_bench(with_house(folder).with_host_name()) as bench:
            async with scene(bench) as at:
                at.secret = await bench.invitation(at.host, redemptions=3)
                for role, login in ADMINISTRATORS.items():
                    signed_in = await bench.post_admin_sign_in(login, role, bearer=True)
                    at.desks[role] = signed_in.json["token"]
                    if ask is key_made:
                        headers = {"Authorization": f"Bearer {at.desks[role]}"}
                        begin = f"{bench.admin}/api/security-keys/begin"
                        begun = await bench.http("POST", begin, headers=headers)
                        at.to_enrol[role] = begun.json["options"]
                await at.settled()
                watch.forget()
                marks = {wire: len(wire.received) for wire in at.wires.values()}
                with FAULTS[fault](bench):
                    for answer in await ask(at, origins(bench)[listener], path):
                        assert all(cookie.split(";")[0].endswith('=""') for cookie in answer.cookies), where
                        if path in ("/api/sign-in", "/api/redeem"):
                            assert (answer.status, answer.code) == REFUSED[fault], where
                            assert "token" not in answer.json, where
                    await at.settled()
                    assert watch.effects == [], where
                    assert watch.admissions == [], where
                    for wire, mark in marks.items():
                        assert not {f["type"] for f in wire.frames[mark:]} & OPENING_TYPES, where
            await at.recovered()


# --- the type checker ---------------------------------------------------------------------------------------

BYPASS = """
from broker.core.commands import AdmitMedia, Answer, Narrowing, Note, Opening, ReplyGranted, Show, Tell
from broker.core.frames import ChatMessage, ContactGone
from broker.core.gate import Gate, Receipt, Recorded
from broker.shell.effects import Effects


def past_the_gate(
    effects: Effects, gate: Gate, opening: Opening, show: Show, admit: AdmitMedia, granted: ReplyGranted,
    message: ChatMessage, gone: ContactGone, receipt: Receipt, show_or_tell: Show | Tell,
) -> None:
    recorded = gate.recorded(opening, receipt)
    if recorded is not None:
        effects.open(recorded)
    effects.open(recorded)  # refused
    effects.open(opening)  # refused
    effects.open(show)  # refused
    effects.open((show,))  # refused
    effects.open(admit)  # refused
    effects.open(receipt)  # refused
    effects.plain(show)  # refused
    effects.plain(admit)  # refused
    effects.plain(granted)  # refused
    effects.plain(show_or_tell)  # refused
    effects.narrow(show)  # refused
    effects.narrow(admit)  # refused
    effects.plain(Tell(show.connection_id, gone))
    Tell(show.connection_id, message)  # refused
    Show(show.connection_id, gone)  # refused
    Answer((show,))  # refused
    Note((), (show,))  # refused
    Narrowing((), (show,))  # refused
    Recorded(receipt, (show,))  # refused
    gate.recorded(show, receipt)  # refused
"""


def test_the_type_checker_refuses_every_way_past_the_gate(tmp_path: Path) -> None:
    snippet = tmp_path / "bypass.py"
    snippet.write_text(BYPASS)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(snippet)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    found = {int(line.split(":")[1]) for line in checked.stdout.splitlines() if ": error: " in line}
    refused = {at for at, line in enumerate(BYPASS.splitlines(), 1) if line.endswith("# refused")}
    assert found == refused, checked.stdout + checked.stderr

"""The gate: one place that asks, one maker of openings, and nothing for what it denied."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from broker.core import client_frames as cf
from broker.core import frames as f
from broker.core.commands import Note, Opening
from broker.core.events import SignInProved
from broker.core.gate import BypassError, Gate, Receipt, Recorded
from broker.core.recording import draft
from broker.policy.decision import MAX_LOSING_RULES, MAX_RECORDED_GROUPS
from broker.policy.question import Subject
from config.policy.action import Action
from tests.spec.playbook import PROGRAM, Client, Playbook, allow_everything, deny_everything
from tests.spec.policies import SIGN_IN, rule

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for room in ("auth", "broker", "config", "relay") for path in (ROOT / room).rglob("*.py")]
COPIES = ("replace", "dataclasses.replace", "copy.copy", "copy.deepcopy")
RECORD = draft("node.started")


@cache
def nodes() -> list[tuple[str, ast.Call | ast.ImportFrom]]:
    """Every call and every import of names in the source, with the file it is in."""
    return [
        (str(path.relative_to(ROOT)), node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call | ast.ImportFrom)
    ]


def callers(name: str) -> set[str]:
    """The files that call something by this name."""
    return {
        path
        for path, node in nodes()
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name
    }


def imports(name: str) -> list[tuple[str, str | None, str | None]]:
    """Who imports this name: file, from where, and as what if by another name."""
    return [
        (path, node.module, alias.asname)
        for path, node in nodes()
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == name
    ]


@pytest.mark.parametrize("made", ["Opening", "Recorded"])
def test_only_the_gate_makes_openings_and_says_what_is_recorded(made: str) -> None:
    assert callers(made) == {"broker/core/gate.py"}


def test_only_the_driver_asks_the_gate_what_is_recorded() -> None:
    assert callers("recorded") == {"broker/shell/driver.py"}


TOOLS = ("explain", "diff", "replay")
"""Ask as the gate does, and nothing comes of it."""


def test_only_the_gate_asks_policy_and_only_policy_makes_decisions() -> None:
    assert callers("Decision") == {"broker/policy/decide.py"}
    asking = {path for path, module, _ in imports("decide") if module == "broker.policy.decide"}
    assert asking == {"broker/core/gate.py"} | {f"broker/policy/{tool}.py" for tool in TOOLS}


def test_nothing_that_acts_knows_the_tools_that_ask_policy_without_effect() -> None:
    knowing = {
        path
        for tool in TOOLS
        for name in (tool, tool.title(), "RecordedDecision", "Explanation", "Difference")
        for path, module, _ in imports(name)
        if module == f"broker.policy.{tool}"
    }
    assert knowing == {
        "broker/cli/policy.py",
        "broker/shell/gateway/admin_policy.py",
        "broker/audit/decisions.py",
    }


def test_only_the_gate_judges_programs() -> None:
    assert callers("judge_client") == {"broker/core/gate.py"}


@pytest.mark.parametrize("made", ["Opening", "Recorded", "Decision", "Grant"])
def test_there_is_no_other_name_for_what_the_gate_makes_and_no_way_around_its_constructor(made: str) -> None:
    assert [found for found in imports(made) if found[2] is not None] == []
    assert callers("__new__") == set()
    copied = [
        path
        for path, node in nodes()
        if isinstance(node, ast.Call) and ast.unparse(node.func) in COPIES
        if made.lower() in ast.unparse(node).lower()
    ]
    assert copied == []


def decided(decide_by: Any, *actions: Action) -> list[Any]:
    play = Playbook(decide_by=decide_by)
    ada, bob = play.insider("ada"), play.insider("bob")
    return [play.house.gate.ask(a, Subject(ada, None), Subject(bob, None), play.now) for a in actions]


def test_an_opening_needs_a_decision_and_every_one_must_allow() -> None:
    allowed, denied = decided(allow_everything, Action.CHAT_SEND), decided(deny_everything, Action.CHAT_SEND)
    assert Gate.opening("s", allowed, (RECORD,), ()).decisions == tuple(allowed)
    for basis in ([], denied, [*allowed, *denied]):
        with pytest.raises(BypassError):
            Gate.opening("s", basis, (RECORD,), ())


def test_an_opening_needs_a_record() -> None:
    with pytest.raises(BypassError):
        Gate.opening("s", decided(allow_everything, Action.CHAT_SEND), (), ())


def test_a_grant_is_made_of_decisions_that_allow() -> None:
    play = Playbook()
    parties = (play.insider("ada").party, play.insider("bob").party)
    actions = frozenset({Action.CALL_AUDIO})
    for nothing in ((), tuple(decided(deny_everything, Action.CALL_AUDIO))):
        with pytest.raises(BypassError):
            Gate.grant("c-1", parties, actions, 5, nothing)
    grant = Gate.grant(
        "c-1", parties, actions, play.now.wall_seconds + 5, tuple(decided(allow_everything, *actions))
    )
    assert grant.holds(parties[0], play.now)
    assert not grant.holds(play.insider("eve").party, play.now)
    play.wait(5)
    assert not grant.holds(parties[0], play.now)


def test_nobody_else_can_say_that_something_is_recorded() -> None:
    opening = Gate.opening("s", decided(allow_everything, Action.CHAT_SEND), (RECORD,), ())
    receipt = Receipt(1, 1)
    recorded = Playbook().house.gate.recorded(opening, receipt)
    assert recorded is not None
    assert recorded.effects == ()
    with pytest.raises(BypassError):
        Recorded(receipt, opening.effects, object())


# --- every frame there is, under a policy that denies -------------------------------------------------------

Scene = Callable[[Playbook], tuple[Client, cf.ClientFrame]]


def two(play: Playbook) -> tuple[Client, Client]:
    return play.person("ada"), play.person("bob")


def hello(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    client = play.connects(play.insider("ada"))
    play >> client.arrives()
    return client, cf.Hello(client=PROGRAM)


def presence_set(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    return two(play)[0], cf.PresenceSet(status="busy")


def chat_send(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    ada, bob = two(play)
    return ada, cf.ChatSend(ref="1", to=bob.party, text="x")


def chat_received(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    ada, bob = two(play)
    sent = play >> ada.says(cf.ChatSend(ref="1", to=bob.party, text="x"))
    return bob, cf.ChatReceived(message_id=sent.frame(f.ChatMessage).message_id)


def invitation_create(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    return two(play)[0], cf.InvitationCreate(ref="1", guest_name="Gus", purpose="A talk")


def invitation_reissue(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    ada, _ = two(play)
    return ada, cf.InvitationReissue(ref="1", invitation_id=play.invitation(ada))


def invitation_revoke(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    ada, _ = two(play)
    return ada, cf.InvitationRevoke(invitation_id=play.invitation(ada))


def lobby_admit(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    ada, _ = two(play)
    return ada, cf.LobbyAdmit(guest=play.waiting(ada).party)


def lobby_admit_all(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    ada, _ = two(play)
    return ada, cf.LobbyAdmitAll(guests=[play.waiting(ada).party])


def lobby_refuse(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    ada, _ = two(play)
    return ada, cf.LobbyRefuse(guest=play.waiting(ada).party)


def sign_ins(frame: cf.ClientFrame) -> Scene:
    def scene(play: Playbook) -> tuple[Client, cf.ClientFrame]:
        ada, _ = two(play)
        play.signs_in(ada.insider, "other")
        return ada, frame

    return scene


def call_invite(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    ada, bob = two(play)
    return ada, cf.CallInvite(ref="1", to=bob.party, media=["audio"])


def inside_a_call(frame: Callable[[str], cf.ClientFrame], sender: int, accepted: bool) -> Scene:
    def scene(play: Playbook) -> tuple[Client, cf.ClientFrame]:
        parties = two(play)
        call_id = play.talking(*parties) if accepted else play.ringing(*parties)
        return parties[sender], frame(call_id)

    return scene


def call_unshare(play: Playbook) -> tuple[Client, cf.ClientFrame]:
    ada, bob = two(play)
    call_id = play.talking(ada, bob)
    assert (play >> ada.says(cf.CallShare(call_id=call_id))).openings
    return ada, cf.CallUnshare(call_id=call_id)


SCENES: dict[type[f.Frame], Scene] = {
    cf.Hello: hello,
    cf.PresenceSet: presence_set,
    cf.ChatSend: chat_send,
    cf.ChatReceived: chat_received,
    cf.InvitationCreate: invitation_create,
    cf.InvitationReissue: invitation_reissue,
    cf.InvitationRevoke: invitation_revoke,
    cf.LobbyAdmit: lobby_admit,
    cf.LobbyAdmitAll: lobby_admit_all,
    cf.LobbyRefuse: lobby_refuse,
    cf.SignInsList: sign_ins(cf.SignInsList(ref="1")),
    cf.SignInRevoke: sign_ins(cf.SignInRevoke(ref="1", sign_in_id="s-other")),
    cf.SignInRevokeOthers: sign_ins(cf.SignInRevokeOthers(ref="1")),
    cf.CallInvite: call_invite,
    cf.CallAccept: inside_a_call(lambda call_id: cf.CallAccept(call_id=call_id), 1, accepted=False),
    cf.CallDecline: inside_a_call(lambda call_id: cf.CallDecline(call_id=call_id), 1, accepted=False),
    cf.CallCancel: inside_a_call(lambda call_id: cf.CallCancel(call_id=call_id), 0, accepted=False),
    cf.CallHangUp: inside_a_call(lambda call_id: cf.CallHangUp(call_id=call_id), 0, accepted=True),
    cf.CallShare: inside_a_call(lambda call_id: cf.CallShare(call_id=call_id), 1, accepted=True),
    cf.CallUnshare: call_unshare,
    cf.CallOffer: inside_a_call(lambda call_id: cf.CallOffer(call_id=call_id, sdp="v=0"), 0, accepted=True),
    cf.CallAnswer: inside_a_call(lambda call_id: cf.CallAnswer(call_id=call_id, sdp="v=0"), 1, accepted=True),
    cf.CallCandidate: inside_a_call(
        lambda call_id: cf.CallCandidate(call_id=call_id, candidate="", mid="0"), 0, accepted=True
    ),
}
"""For every frame a client may send, a scene in which it would do what it is for."""

ASKS = {
    cf.Hello: {Action.EDGE_SIGNIN},
    cf.ChatSend: {Action.CHAT_SEND},
    cf.InvitationCreate: {Action.GUEST_INVITE},
    cf.InvitationReissue: {Action.GUEST_INVITE},
    cf.CallAccept: {Action.CALL_AUDIO},
    cf.LobbyAdmit: {Action.GUEST_ADMIT},
    cf.LobbyAdmitAll: {Action.GUEST_ADMIT},
    cf.CallInvite: {Action.CALL_AUDIO},
    cf.CallShare: {Action.SCREEN_SHARE},
}
"""What each frame that opens asks about first. All others open nothing."""


def test_there_is_a_scene_for_every_frame_a_client_may_send() -> None:
    assert set(SCENES) == set(get_args(cf.ClientFrame))


@pytest.mark.parametrize("frame_type", SCENES, ids=lambda frame_type: frame_type.__name__)
def test_no_frame_opens_anything_that_was_denied(frame_type: type[f.Frame]) -> None:
    play = Playbook()
    client, frame = SCENES[frame_type](play)
    play.decide_by, asked = deny_everything, len(play.asked)
    outcome = play >> client.says(frame)
    questions = {question.action for question in play.asked[asked:]}
    assert questions == ASKS.get(frame_type, set())
    assert outcome.openings == []
    if frame_type in ASKS:
        assert "decision.denied" in outcome.record_types


@pytest.mark.parametrize("frame_type", SCENES, ids=lambda frame_type: frame_type.__name__)
def test_every_frame_does_something_in_its_scene_when_it_is_allowed(frame_type: type[f.Frame]) -> None:
    play = Playbook()
    client, frame = SCENES[frame_type](play)
    outcome = play >> client.says(frame)
    assert outcome.commands
    assert bool(outcome.openings) == (frame_type in ASKS)


@pytest.mark.parametrize("frame_type", SCENES, ids=lambda frame_type: frame_type.__name__)
def test_under_a_policy_that_says_nothing_no_frame_opens_anything(frame_type: type[f.Frame]) -> None:
    """Nobody could even get in; that they are in must not matter."""
    play = Playbook()
    client, frame = SCENES[frame_type](play)
    silent = Playbook("revision = 1")
    play.house.gate = silent.house.gate
    outcome = play >> client.says(frame)
    assert outcome.openings == []


@pytest.mark.parametrize("frame_type", SCENES, ids=lambda frame_type: frame_type.__name__)
def test_no_frame_before_hello_or_after_the_end_does_anything(frame_type: type[f.Frame]) -> None:
    play = Playbook()
    client, frame = SCENES[frame_type](play)
    if frame_type is not cf.Hello:
        silent = play.connects(client.principal)
        play >> silent.arrives()
        early = play >> silent.says(frame)
        assert [type(command) for command in early.commands if isinstance(command, Opening | Note)] == []
    play >> client.signs_out()
    assert (play >> client.says(frame)).commands == []


@pytest.mark.parametrize("frame_type", SCENES, ids=lambda frame_type: frame_type.__name__)
def test_a_guest_in_the_lobby_can_do_nothing_but_wait(frame_type: type[f.Frame]) -> None:
    play = Playbook()
    _, frame = SCENES[frame_type](play)
    host = play.joined(play.people[play.insider("ada").party])
    guest = play.waiting(host)
    if isinstance(frame, cf.ChatSend | cf.CallInvite):
        frame = frame.model_copy(update={"to": host.party})
    before = play.house.visits[guest.party].admitted, len(play.house.calls), len(play.house.invitations)
    outcome = play >> guest.says(frame)
    assert outcome.openings == []
    assert {each.connection_id for each in outcome.effects} <= {guest.connection_id}
    assert before == (False, len(play.house.calls), len(play.house.invitations))


def test_a_door_that_is_denied_opens_nothing() -> None:
    play = Playbook()
    ada = play.person("ada")
    invitation_id = play.invitation(ada)
    guest = play.connects(play.redeemed(play.invitation(ada), ada))
    play.decide_by = deny_everything
    proved = SignInProved("r-1", ada.insider, ada.source, "digest", ada.source)  # type: ignore[arg-type]
    late = play.connects(ada.principal)
    for event in (proved, play.redeems(invitation_id, ada.insider), late.arrives(), guest.arrives()):
        outcome = play >> event
        assert outcome.openings == []
        assert outcome.record_types == ["decision.denied"]


# --- how large a decision may be ----------------------------------------------------------------------------


def test_a_decision_about_people_in_very_many_groups_still_fits_its_record() -> None:
    groups = [f"{number:03}-{'g' * 500}" for number in range(MAX_RECORDED_GROUPS)]
    never = "".join(
        rule(f"never-{number}", "call.audio call.video", when='{ tz = "UTC", days = [] }')
        for number in range(MAX_LOSING_RULES)
    )
    always = "".join(rule(f"r{number:04}{'x' * 59}", "call.audio call.video") for number in range(500))
    play = Playbook(SIGN_IN + never + always)
    ada, bob = play.person("ada", *groups), play.person("bob", *groups)
    call = play >> ada.says(cf.CallInvite(ref="1", to=bob.party, media=["audio", "video"]))
    decisions: Any = call.record("call.opened").fields["decisions"]
    assert len(decisions) == 2
    for decision in decisions:
        assert decision["shortened"] is True
        assert decision["losing_rules_omitted"] == 2 * MAX_LOSING_RULES
        assert decision["inputs"]["actor"]["groups_omitted"] == MAX_RECORDED_GROUPS
        assert decision["code"] == "POLICY_ALLOWED"


def test_a_decision_that_fits_is_recorded_whole() -> None:
    play = Playbook()
    ada, bob = play.person("ada", "staff"), play.person("bob")
    call = play >> ada.says(cf.CallInvite(ref="1", to=bob.party, media=["audio"]))
    decisions: Any = call.record("call.opened").fields["decisions"]
    (decision,) = decisions
    assert decision == call.openings[0].decisions[0].to_json()
    assert "shortened" not in decision

"""Any sequence of events, forged and out of order as it may be, keeps the laws of `tests.spec.watch`.

Nothing here knows what should happen next. The watch looks at what came out, `consistent` at what is left in
the house, and whatever the core raises fails the test.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId
from broker.core import client_frames as cf
from broker.core import events as e
from broker.core.call import CallState
from broker.core.commands import Opening, RequestId, SaveMessage, WithdrawMedia
from broker.core.stored import StoredMessage
from broker.policy.decide import decide
from broker.policy.decision import Decision
from broker.policy.index import PolicyIndex
from broker.policy.question import Question
from broker.policy.stop import ALL, Scope, parse_scope
from config.policy.action import Action
from config.policy.loading import load_policy
from tests.spec.outcome import effects_of
from tests.spec.playbook import PROGRAM, Client, Playbook, allow_everything, deny_everything
from tests.spec.policies import EVERYTHING, OPEN_POLICY, SIGN_IN, rule, without
from tests.spec.test_negotiation import candidate, screen, sdp
from tests.spec.watch import PERSONAL_MARK

NAMES = ("ada", "bob", "cat")
MEDIA = (["audio"], ["video", "audio"], ["audio", "audio"])
TEXTS = ["x", "\ufffe", "\u202e\u200b", "e\u0301", f"secret {PERSONAL_MARK}"]
TEXTS += ["\U0001f600" * 80, "x" * 4000, "x" * 4001]
ADDRESSES = [("198.18.0.1", 50001), ("198.18.0.1", 50002), ("198.18.0.2", 50001)]
DESCRIPTIONS = [sdp(), sdp("active"), sdp(media="video", payload_type=96), "nonsense"]
SCREENS = [
    sdp() + screen("actpass", direction) for direction in ("sendrecv", "sendonly", "recvonly", "inactive")
]
ANSWERS = [sdp("active") + screen("active", direction) for direction in ("sendrecv", "sendonly", "recvonly")]
SCREENS += ANSWERS
DESCRIPTIONS += SCREENS + [sdp(extra=f"a={candidate(address)}\r\n") for address in ADDRESSES]
CANDIDATES = ["", "nonsense", candidate(("10.7.0.1", 9), "host"), *map(candidate, ADDRESSES)]


def moody(
    policy: PolicyIndex, question: Question, decision_id: str, stops: Collection[Scope] = ()
) -> Decision:
    """Allows and denies without a pattern."""
    allows = int(decision_id[-2:]) % 3 > 0
    return (decide if allows else deny_everything)(policy, question, decision_id, stops)


TIGHT = """
[[bandwidth]]
id = "tight"
of = "total"
from_inside_bits_per_second = 250_000
to_inside_bits_per_second = 300_000
owner = "o"
reason = "r"
"""
POLICIES = [
    PolicyIndex(load_policy(text, "sequence"))
    for text in (
        OPEN_POLICY,
        without(Action.CALL_VIDEO, Action.SCREEN_SHARE),
        OPEN_POLICY + TIGHT,
        without(Action.CHAT_SEND, Action.PRESENCE_SEE),
        SIGN_IN + rule("staff", EVERYTHING, who='{ groups = ["staff"] }', presence='"folded"'),
        "revision = 2",
    )
]
STOPS = [
    parse_scope(text)
    for text in ("all", "user:u-ada", "peer:a.example", "modality:call", "modality:guests", "zone:none")
]
MOODS = [decide] * 4 + [moody, allow_everything, deny_everything]


class World:
    """One house, and everything that anybody could name in it. Drawn numbers choose among that."""

    def __init__(self) -> None:
        self.play = Playbook()
        self.principals: list[Insider | Guest] = [self.play.insider(name) for name in NAMES]
        self.clients: list[Client] = []
        self.ids = ["unknown", *(str(principal.party) for principal in self.principals)]
        self.scopes = ["unknown"]
        self.messages: list[SaveMessage] = []
        self.stopped = False
        for principal in self.principals:
            self.connect(principal)
            self.run(self.clients[-1].hello())

    def run(self, event: e.Event) -> None:
        outcome = self.play >> event
        for command in outcome.commands:
            if isinstance(command, Opening):
                assert ALL not in self.play.house.gate.stops, "an opening while everything is stopped"
                self.learn(command)
            for each in effects_of(command):
                if isinstance(each, WithdrawMedia):
                    self.run(e.MediaWithdrawn(each.session_id, None))
        consistent(self.play)

    def learn(self, opening: Opening) -> None:
        self.scopes.append(opening.scope)
        self.ids.append(opening.scope)
        self.messages += [write for write in opening.writes if isinstance(write, SaveMessage)]
        known = {principal.party for principal in self.principals}
        self.principals += [v.guest for v in self.play.house.visits.values() if v.guest.party not in known]

    def connect(self, principal: Insider | Guest) -> None:
        client = self.play.connects(principal)
        if client.token not in self.play.house.sign_ins and isinstance(principal, Insider):
            client = self.play.connects(principal, token=f"t-{len(self.clients)}")
        self.clients.append(client)
        self.run(client.arrives())

    # --- one method for each kind of step; `a` and `b` are drawn numbers -----------------------------------

    def somebody_connects(self, a: int, b: int) -> None:
        if not self.stopped:
            self.connect(self.principals[a % len(self.principals)])
            if b % 4:
                self.run(self.clients[-1].hello())

    def somebody_leaves(self, a: int, b: int) -> None:
        client = self.clients[a % len(self.clients)]
        self.run(client.leaves() if b % 3 else client.signs_out())

    def somebody_speaks(self, a: int, b: int) -> None:
        client = self.clients[a % len(self.clients)]
        prefixes, make = FRAMES[b % len(FRAMES)]
        number = b // len(FRAMES)
        fitting = [name for name in self.ids if name.startswith(prefixes)] if number % 5 else self.ids
        # The latest are likelier: what has just been made is what is acted upon.
        name = fitting[-1 - number % min(len(fitting), 4)] if fitting else "unknown"
        self.run(client.says(make(name, number)))

    def host_opens(self, a: int, b: int) -> None:
        waiting = list(self.play.house.visits)
        if waiting:
            guest = waiting[b % len(waiting)]
            client = self.clients[a % len(self.clients)]
            self.run(client.says(cf.LobbyAdmit(guest=guest) if b % 5 else cf.LobbyRefuse(guest=guest)))

    def guest_redeems(self, a: int, b: int) -> None:
        invitation_id = self.ids[a % len(self.ids)]
        if b % 4 and self.play.house.invitations:
            invitation_id = list(self.play.house.invitations)[a % len(self.play.house.invitations)]
        made = self.play.house.invitations.get(invitation_id)
        inviter = self.play.people.get(made.invited_by if made else PartyId("u-ada"))
        issue = made.issue - (b % 11 == 0) if made else 1
        redeeming = self.play.redeems(invitation_id, inviter if b % 7 else None, issue)
        self.run(redeeming)
        if b % 3 and self.play.house.visits:
            self.somebody_connects(len(self.principals) - 1, 1)

    def relay_reports(self, a: int, b: int) -> None:
        calls = [name for name in self.ids if name.startswith("c-")] or ["unknown"]
        call_id = calls[-1 - a % min(len(calls), 2)]
        party = self.principals[b % len(self.principals)].party
        address = ADDRESSES[b % len(ADDRESSES)]
        count = e.MediaCount((party, party), (1, 2), (3, 4))
        reports: list[e.Event] = [
            e.MediaAllocated(call_id, party, Personal("10.7.0.1:5000"), address, "udp"),
            e.MediaAllocated(call_id, party, Personal("10.7.0.1:5000"), address, "udp"),
            e.MediaReleased(call_id, party, address, "expired"),
            e.MediaCounted(call_id, count),
        ]
        self.run(reports[b // 3 % len(reports)])

    def call_goes_on(self, a: int, b: int) -> None:
        """One of the parties of a live call says something about it, fitting or not."""
        calls = list(self.play.house.calls.values())
        if not calls:
            return
        call = calls[a % len(calls)]
        party = call.grant.parties[a // 2 % 2]
        address = ADDRESSES[b % len(ADDRESSES)]
        if b % 4 == 0 and address not in self.play.house.relayed:
            self.run(e.MediaAllocated(call.call_id, party, Personal("10.7.0.1:5000"), address, "udp"))
        speakers = [client for client in self.clients if client.party == party]
        about_calls = [make for prefixes, make in FRAMES if prefixes == CALLS]
        make = about_calls[b % len(about_calls)]
        for client in speakers:
            self.run(client.says(make(call.call_id, b // len(about_calls))))

    def two_begin_to_talk(self, a: int, b: int) -> None:
        """Where whoever is called is there and answers."""
        caller, callee = (f"u-{NAMES[number % len(NAMES)]}" for number in (a, a + 1 + b % 2))
        for client in [client for client in self.clients if client.party == caller]:
            self.run(
                client.says(cf.CallInvite.model_validate({"ref": "1", "to": callee, "media": MEDIA[b % 3]}))
            )
        for client in [client for client in self.clients if client.party == callee]:
            for call_id in list(self.play.house.calls):
                self.run(client.says(cf.CallAccept(call_id=call_id)))

    def screen_is_negotiated(self, a: int, b: int) -> None:
        """In a live call: perhaps somebody shares or stops, then one side offers and the other answers."""
        calls = [call for call in self.play.house.calls.values() if call.state is CallState.ACTIVE]
        if not calls:
            self.two_begin_to_talk(a, b)
            return
        call = calls[a % len(calls)]
        sides = [call.grant.parties[a >> 1 & 1], call.grant.parties[~a >> 1 & 1]]
        sharer = sides[a >> 2 & 1]
        said: list[tuple[PartyId, Any]] = [
            (sides[0], cf.CallOffer(call_id=call.call_id, sdp=SCREENS[b % 4])),
            (sides[1], cf.CallAnswer(call_id=call.call_id, sdp=ANSWERS[b // 4 % len(ANSWERS)])),
        ]
        if a >> 3 & 1:
            said.insert(b // 16 % 3, (sharer, cf.CallShare(call_id=call.call_id)))
        if a >> 4 & 1:
            said.insert(b // 48 % 4, (sharer, cf.CallUnshare(call_id=call.call_id)))
        for party, frame in said:
            for client in [client for client in self.clients if client.party == party]:
                self.run(client.says(frame))

    def time_passes(self, a: int, b: int) -> None:
        self.play.wait([0.5, 0.5, 5, 11, 46, 46, 3700, 8000, 15000][a % 9])
        self.run(e.Ticked())

    def policy_or_people_change(self, a: int, b: int) -> None:
        """Another policy, one that cannot be used, or the directory says something else of somebody."""
        somebody = next(p for p in self.principals if p.party == f"u-{NAMES[a % len(NAMES)]}")
        assert isinstance(somebody, Insider)
        changed = replace(somebody, groups=frozenset({"staff"} if b % 2 else ()))
        changes: list[e.Event] = [
            e.PolicyApplied(POLICIES[a % len(POLICIES)], "file"),
            e.PolicyRefused("0" * 64, ("rules[0].id: taken",)),
            e.PeopleRead(1, (changed,)),
            e.PeopleRead(1, vanished=(somebody.party,)),
        ]
        self.run(changes[3 if b % 13 == 0 else b % 3])

    def record_fails(self, a: int, b: int) -> None:
        scopes = tuple(self.scopes[-1 - (a + n) % min(len(self.scopes), 6)] for n in range(b % 3))
        self.run(e.RecordResumed(b) if b % 4 == 0 else e.CommitFailed(scopes, outage=b % 4 == 1))

    def policy_changes(self, a: int, b: int) -> None:
        self.play.decide_by = MOODS[a % len(MOODS)]

    def store_answers(self, a: int, b: int) -> None:
        client = self.clients[a % len(self.clients)]
        waiting = [m for m in self.messages if m.recipient == client.party]
        sender = self.principals[b % len(self.principals)] if b % 3 else None
        self.run(
            client.reads(
                *(StoredMessage(m.message_id, sender, m.sender, m.text, m.sent_at_ms) for m in waiting)
            )
        )

    def stranger_knocks(self, a: int, b: int) -> None:
        if b % 2:
            self.run(e.EntryRefused("auth.refused", "wrong", Personal(f"10.7.{a % 20}.0/24")))
        else:
            insider, source = self.play.insider(NAMES[a % len(NAMES)]), Personal("10.7.0.1")
            self.run(e.SignInProved(RequestId("r"), insider, source, f"d-{len(self.scopes)}", source))

    def somebody_is_deleted(self, a: int, b: int) -> None:
        party = PartyId(f"u-{NAMES[a % len(NAMES)]}")
        if party in self.play.people:
            del self.play.people[party]
        else:
            self.play.insider(NAMES[a % len(NAMES)])

    def button_is_pressed(self, a: int, b: int) -> None:
        """Or a stop is lifted, or its file disappears."""
        scope = STOPS[a % len(STOPS)]
        latched = scope in self.play.house.gate.stops
        if latched and b % 3:
            self.run(e.StopLifted(scope, removed=b % 3 == 1))
        elif latched:
            self.run(e.LatchMissing(scope))
        elif b % 4 == 0:
            self.run(e.LatchFound(scope, None, None))
            while self.play.house.to_end:
                self.run(e.Ticked())
        else:
            self.run(e.DrillFound(scope))

    def edge_stops(self, a: int, b: int) -> None:
        if b % 20 == 0 and not self.stopped:
            self.stopped = True
            self.run(e.Stopping())


PARTIES, GUESTS, CALLS, INVITATIONS, MESSAGES = ("u-", "g-"), ("g-",), ("c-",), ("i-",), ("m-",)
FRAMES: list[tuple[tuple[str, ...], Callable[[str, int], Any]]] = [
    ((), lambda name, n: cf.Hello(client=PROGRAM)),
    ((), lambda name, n: cf.PresenceSet.model_validate({"status": ["available", "away", "busy"][n % 3]})),
    (PARTIES, lambda name, n: cf.ChatSend(ref=str(n % 3), to=name, text=TEXTS[n % len(TEXTS)])),
    (PARTIES, lambda name, n: cf.ChatSend(ref=str(n % 3), to=f"u-{NAMES[n % 3]}", text="x")),
    (MESSAGES, lambda name, n: cf.ChatReceived(message_id=name)),
    ((), lambda name, n: cf.InvitationCreate(ref="1", guest_name=TEXTS[n % 5], purpose=TEXTS[n % 3])),
    ((), lambda name, n: cf.InvitationCreate(ref="1", guest_name="Gus", purpose="x", redemptions=1 + n % 6)),
    (INVITATIONS, lambda name, n: cf.InvitationRevoke(invitation_id=name)),
    (GUESTS, lambda name, n: cf.LobbyAdmit(guest=name)),
    (INVITATIONS, lambda name, n: cf.InvitationReissue(ref="1", invitation_id=name)),
    (GUESTS, lambda name, n: cf.LobbyAdmitAll(guests=[name, *[f"g-{i:06}" for i in range(n % 9)]])),
    (GUESTS, lambda name, n: cf.LobbyRefuse(guest=name)),
    ((), lambda name, n: cf.SignInRevoke(ref="1", sign_in_id=f"s-t-u-{NAMES[n % 3]}")),
    ((), lambda name, n: cf.SignInRevokeOthers(ref="1")),
    (PARTIES, lambda name, n: cf.CallInvite.model_validate({"ref": "1", "to": name, "media": MEDIA[n % 3]})),
    ((), lambda name, n: cf.CallInvite(ref="1", to=f"u-{NAMES[n % 3]}", media=["audio"])),
    *[(CALLS, lambda name, n: cf.CallAccept(call_id=name))] * 2,
    (CALLS, lambda name, n: cf.CallDecline(call_id=name)),
    (CALLS, lambda name, n: cf.CallCancel(call_id=name)),
    (CALLS, lambda name, n: cf.CallHangUp(call_id=name if n % 3 == 0 else "c-other")),
    *[(CALLS, lambda name, n: cf.CallShare(call_id=name))] * 2,
    (CALLS, lambda name, n: cf.CallUnshare(call_id=name)),
    (CALLS, lambda name, n: cf.CallOffer(call_id=name, sdp=SCREENS[n % len(SCREENS)])),
    (CALLS, lambda name, n: cf.CallAnswer(call_id=name, sdp=SCREENS[n % len(SCREENS)])),
    (CALLS, lambda name, n: cf.CallOffer(call_id=name, sdp=DESCRIPTIONS[n % len(DESCRIPTIONS)])),
    (CALLS, lambda name, n: cf.CallOffer(call_id=name, sdp=DESCRIPTIONS[0])),
    (CALLS, lambda name, n: cf.CallAnswer(call_id=name, sdp=DESCRIPTIONS[n % len(DESCRIPTIONS)])),
    (CALLS, lambda name, n: cf.CallAnswer(call_id=name, sdp=DESCRIPTIONS[1])),
    (
        CALLS,
        lambda name, n: cf.CallCandidate(call_id=name, candidate=CANDIDATES[n % len(CANDIDATES)], mid="0"),
    ),
]
"""What may be said, each with how the ids begin that it is about."""
STEPS = (
    [World.somebody_speaks] * 12
    + [World.call_goes_on] * 8
    + [World.screen_is_negotiated] * 4
    + [World.somebody_connects, World.guest_redeems, World.host_opens, World.relay_reports] * 3
    + [
        World.somebody_leaves,
        World.policy_or_people_change,
        World.time_passes,
        World.record_fails,
        World.policy_changes,
        World.store_answers,
        World.stranger_knocks,
        World.somebody_is_deleted,
        World.edge_stops,
        World.button_is_pressed,
    ]
)
STEP = st.tuples(st.sampled_from(STEPS), st.integers(0, 2000), st.integers(0, 2000))


def consistent(play: Playbook) -> None:
    """What the house holds fits together."""
    house = play.house
    if ALL in house.gate.stops and not house.to_end:
        assert not house.calls, "a call while everything is stopped"
        assert not house.visits, "a visit while everything is stopped"
        assert all(connection.closing for connection in house.connections.values())
    by_party = {(party, c) for party, held in house.by_party.items() for c in held}
    assert by_party == {(c.party, c.connection_id) for c in house.connections.values()}
    for connection in house.connections.values():
        if isinstance(connection.principal, Guest) and not connection.closing:
            assert connection.party in house.visits, "a guest without a visit is connected"
            assert connection.sees <= {connection.principal.invited_by}
    for call in house.calls.values():
        for party in call.grant.parties:
            assert any(house.of_party(party)), "a call with somebody who is not there"
            if party in house.visits:
                assert house.visits[party].admitted, "a call with somebody in the lobby"
            carrier = call.connection_of(party)
            assert carrier is None or not house.connections[carrier].closing
        assert (call.callee_connection is None) == (call.state is CallState.RINGING)
        if call.share is not None:
            assert call.share.party in call.grant.parties
            assert call.had_share
            assert call.state is CallState.ACTIVE, "a screen in a call that nobody has answered"
        else:
            assert call.screen_payload_types == frozenset()
        guests = [p.party for p in (call.caller, call.callee) if isinstance(p, Guest)]
        assert set(guests) <= set(house.visits), "a call with a guest whose visit is over"
    assert {session_id for session_id, _ in house.relayed.values()} <= set(house.calls)
    assert house.ending_calls == {} or set(house.ending_calls).isdisjoint(house.calls)
    assert all(0 <= i.redemptions_left <= i.redemptions for i in house.invitations.values())
    assert {v.guest.invitation_id for v in house.visits.values()} <= set(house.invitations)


@settings(max_examples=300)
@given(st.lists(STEP, min_size=20, max_size=80))
def test_no_sequence_of_events_breaks_a_law(steps: list[Any]) -> None:
    world = World()
    for step, a, b in steps:
        step(world, a, b)

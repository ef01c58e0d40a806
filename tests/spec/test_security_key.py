"""Security keys: whatever a key's answer claims is looked at; whose it is, whether its counter goes on, and
what a sign-in with one puts on record."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from auth.challenge import CHALLENGE_BYTES, LIFETIME_SECONDS, NONCE_BYTES, Challenges
from auth.personal import Personal
from auth.principal import Insider
from auth.security_key import (
    NewKey,
    RelyingParty,
    SecurityKeyError,
    enrolment_options,
    parse_enrolment,
    parse_use,
    use_options,
    verified_enrolment,
    verified_sign_count,
)
from broker.core.admin_events import (
    AdminSignInProved,
    KeyUse,
    SecurityKeyMade,
    SecurityKeyRemovalRequested,
)
from broker.core.commands import (
    Narrowing,
    RemoveSecurityKey,
    ReplyDone,
    ReplyGranted,
    ReplyRefused,
    RequestId,
    SaveSecurityKey,
)
from broker.core.events import Started
from broker.core.security_key import MAX_KEYS_PER_PERSON
from broker.core.stored import SecurityKey
from broker.policy.administration import Role
from tests.spec.outcome import Outcome
from tests.spec.playbook import Playbook
from tests.spec.software_key import PRESENT, VERIFIED, SoftwareKey
from tests.spec.test_administration import GROUPS, SOURCE, house

PAGE = RelyingParty("edge.example", "https://edge.example:7443")
CHALLENGE = bytes(range(CHALLENGE_BYTES))
ASKED = RequestId("r-asked")


def software_key(**claims: Any) -> SoftwareKey:
    return SoftwareKey(**{"origin": PAGE.origin, "rp_id": PAGE.id} | claims)


def to_enrol() -> dict[str, Any]:
    return enrolment_options(PAGE, CHALLENGE, bytes(32), "carol", ["AAEC"])


def enrolled(key: SoftwareKey, **claims: str) -> NewKey:
    return verified_enrolment(PAGE, parse_enrolment(key.made(to_enrol(), **claims)))


def used(key: SoftwareKey, public_key: bytes, **claims: str) -> int:
    return verified_sign_count(PAGE, parse_use(key.used(use_options(PAGE, CHALLENGE), **claims)), public_key)


class TestTheAnswerOfAKey:
    def test_a_key_is_enrolled_and_what_it_signs_is_its_own(self) -> None:
        key = software_key(sign_count=3)
        new = enrolled(key)
        assert new.sign_count == 3
        assert used(key, new.public_key) == 4
        use = parse_use(key.used(use_options(PAGE, CHALLENGE)))
        assert (use.credential_id, use.challenge) == (new.credential_id, CHALLENGE)

    def test_a_key_is_asked_to_know_its_person_and_nobody_is_named_when_it_is_used(self) -> None:
        asked = to_enrol()
        assert asked["authenticatorSelection"]["residentKey"] == "required"
        assert asked["authenticatorSelection"]["userVerification"] == "required"
        assert asked["attestation"] == "none"
        assert [one["id"] for one in asked["excludeCredentials"]] == ["AAEC"]
        told = use_options(PAGE, CHALLENGE)
        assert (told["allowCredentials"], told["userVerification"]) == ([], "required")

    @pytest.mark.parametrize(
        "forged",
        [
            {"origin": "https://edge.example.evil.example:7443"},
            {"origin": "https://edge.example"},
            {"origin": "http://edge.example:7443"},
            {"rp_id": "evil.example"},
            {"rp_id": "example"},
            {"flags": PRESENT},
            {"flags": VERIFIED},
            {"flags": 0},
        ],
        ids=str,
    )
    def test_nothing_that_was_made_for_another_page_or_without_its_person_counts(
        self, forged: dict[str, Any]
    ) -> None:
        honest = software_key()
        new = enrolled(honest)
        other = replace(honest, **forged)
        with pytest.raises(SecurityKeyError):
            enrolled(other)
        with pytest.raises(SecurityKeyError):
            used(other, new.public_key)

    @pytest.mark.parametrize("kind", ["webauthn.create", "webauthn.get", "payment.get", ""])
    def test_an_answer_to_another_question_is_none(self, kind: str) -> None:
        key = software_key()
        new = enrolled(key)
        if kind != "webauthn.create":
            with pytest.raises(SecurityKeyError):
                enrolled(key, type=kind)
        if kind != "webauthn.get":
            with pytest.raises(SecurityKeyError):
                used(key, new.public_key, type=kind)

    def test_another_keys_signature_and_a_changed_answer_are_none(self) -> None:
        key, other = software_key(), software_key()
        new = enrolled(key)
        with pytest.raises(SecurityKeyError):
            used(other, new.public_key)
        answer = json.loads(key.used(use_options(PAGE, CHALLENGE)))
        for changed in ("clientDataJSON", "authenticatorData"):
            another = json.loads(key.used(use_options(PAGE, bytes(CHALLENGE_BYTES))))
            mixed = answer | {"response": answer["response"] | {changed: another["response"][changed]}}
            with pytest.raises(SecurityKeyError):
                verified_sign_count(PAGE, parse_use(json.dumps(mixed)), new.public_key)

    def test_a_key_whose_id_is_too_long_is_not_enrolled(self) -> None:
        enrolled(software_key(credential_id=bytes(255)))
        with pytest.raises(SecurityKeyError):
            enrolled(software_key(credential_id=bytes(256)))


class TestChallenges:
    def test_one_holds_for_what_it_was_issued_for_and_for_its_time(self) -> None:
        challenges = Challenges(b"k" * 32)
        issued = challenges.issue("use", bytes(NONCE_BYTES), 1000.5)
        assert challenges.holds(issued, "use", 1000.5)
        assert challenges.holds(issued, "use", 1000.0 + LIFETIME_SECONDS - 1)
        assert not challenges.holds(issued, "use", 1000.0 + LIFETIME_SECONDS)
        assert not challenges.holds(issued, "enrolment by t", 1000.5)
        assert not Challenges(b"l" * 32).holds(issued, "use", 1000.5)

    def test_no_changed_one_holds(self) -> None:
        challenges = Challenges(b"k" * 32)
        issued = challenges.issue("use", bytes(NONCE_BYTES), 1000.0)
        for at in range(CHALLENGE_BYTES):
            changed = bytes([*issued[:at], issued[at] ^ 1, *issued[at + 1 :]])
            assert not challenges.holds(changed, "use", 1000.0), at
        for other in (b"", issued[:-1], issued + b"\0"):
            assert not challenges.holds(other, "use", 1000.0)

    def test_one_that_was_used_up_holds_no_more_and_is_forgotten_with_its_time(self) -> None:
        challenges = Challenges(b"k" * 32)
        first = challenges.issue("use", bytes(NONCE_BYTES), 1000.0)
        challenges.use_up(first, 1000.0)
        assert not challenges.holds(first, "use", 1000.0)
        second = challenges.issue("use", bytes([1] * NONCE_BYTES), 2000.0)
        assert challenges.holds(second, "use", 2000.0)
        challenges.use_up(second, 2000.0)
        assert list(challenges._used) == [second]


# --- in the core --------------------------------------------------------------------------------------------


def a_key(person: Insider, credential_id: str = "key-1", sign_count: int = 0) -> SecurityKey:
    return SecurityKey(credential_id, person.party, Personal("blue"), b"public", sign_count, 1)


def signs_in(
    play: Playbook,
    person: Insider,
    role: Role = Role.OPERATOR,
    *,
    step: int | None = None,
    use: KeyUse | None = None,
) -> Outcome:
    return play >> AdminSignInProved(
        RequestId("r-in"), person, SOURCE, f"t-{person.login.reveal()}", role, code_step=step, key_use=use
    )


def adds(play: Playbook, person: Insider, key: SecurityKey) -> Outcome:
    return play >> SecurityKeyMade(ASKED, f"t-{person.login.reveal()}", person, SOURCE, key)


def removes(play: Playbook, person: Insider, credential_id: str) -> Outcome:
    token = f"t-{person.login.reveal()}"
    return play >> SecurityKeyRemovalRequested(ASKED, token, person, SOURCE, credential_id)


def code_of(outcome: Outcome) -> str:
    (answer,) = outcome.effects
    assert isinstance(answer, ReplyRefused)
    return answer.error.code


class TestEnrolment:
    def test_a_key_counts_once_it_is_on_record(self) -> None:
        play = house()
        olga = play.insider("olga", "ops")
        signs_in(play, olga, step=100)
        outcome = adds(play, olga, a_key(olga))
        (opening,) = outcome.openings
        assert opening.effects == (ReplyGranted(ASKED),)
        assert opening.writes == (SaveSecurityKey(a_key(olga)),)
        record = outcome.record("admin.key_enrolled")
        assert (record.fields["user"], record.fields["key"]) == (olga.party, "key-1")
        assert record.personal["key.name"].reveal() == "blue"
        assert signs_in(play, olga, use=KeyUse("key-1", 1)).openings

    def test_a_key_whose_record_could_not_be_written_never_was(self) -> None:
        play = house()
        olga = play.insider("olga", "ops")
        signs_in(play, olga, step=100)
        play >> play.failed(adds(play, olga, a_key(olga)))
        assert code_of(signs_in(play, olga, use=KeyUse("key-1", 1))) == "SIGN_IN_REFUSED"

    def test_a_password_alone_makes_no_key_and_a_key_makes_another(self) -> None:
        play = house()
        safe, olga = play.insider("safe", "glass"), play.insider("olga", "ops")
        signs_in(play, safe, Role.BREAK_GLASS)
        assert code_of(adds(play, safe, a_key(safe))) == "SECOND_FACTOR_NEEDED"
        play >> Started((), (), (), security_keys=(a_key(olga),))
        signs_in(play, olga, use=KeyUse("key-1", 1))
        assert adds(play, olga, a_key(olga, "key-2")).openings

    def test_nobody_adds_a_key_for_another_or_one_that_another_has_or_more_than_eight(self) -> None:
        play = house()
        olga, otto = play.insider("olga", "ops"), play.insider("otto", "ops")
        for person in (olga, otto):
            signs_in(play, person, step=100)
        assert code_of(adds(play, olga, a_key(otto))) == "NOT_SIGNED_IN"
        assert adds(play, otto, a_key(otto)).openings
        assert code_of(adds(play, olga, a_key(olga))) == "SECURITY_KEY_REFUSED"
        for number in range(MAX_KEYS_PER_PERSON):
            assert adds(play, olga, a_key(olga, f"own-{number}")).openings
        assert code_of(adds(play, olga, a_key(olga, "own-more"))) == "TOO_MANY_SECURITY_KEYS"

    def test_who_has_left_the_group_and_who_only_stops_add_none(self) -> None:
        play = house()
        olga, rita = play.insider("olga", "ops"), play.insider("rita", "recovery")
        signs_in(play, olga, step=100)
        signs_in(play, rita, Role.RECOVERY, step=100)
        left = adds(play, replace(olga, groups=frozenset()), a_key(olga))
        assert left.record_types == ["decision.denied"]
        assert adds(play, rita, a_key(rita)).record_types == ["decision.denied"]
        assert play.house.security_keys == {}

    @pytest.mark.parametrize("role", [Role.OPERATOR, Role.POLICY_ADMINISTRATOR, Role.AUDITOR])
    def test_each_role_of_the_directory_may(self, role: Role) -> None:
        play = house()
        person = play.insider("one", GROUPS[role])
        signs_in(play, person, role, step=100)
        assert adds(play, person, a_key(person)).openings


class TestRemoval:
    def test_a_removed_key_is_worth_nothing_at_once_and_the_record_follows(self) -> None:
        play = house()
        olga = play.insider("olga", "ops")
        signs_in(play, olga, step=100)
        adds(play, olga, a_key(olga))
        outcome = removes(play, olga, "key-1")
        (narrowing,) = outcome.commands
        assert isinstance(narrowing, Narrowing)
        assert narrowing.writes == (RemoveSecurityKey("key-1"),)
        assert ReplyDone(ASKED) in outcome.effects
        assert outcome.record("admin.key_removed").fields["key"] == "key-1"
        assert code_of(signs_in(play, olga, use=KeyUse("key-1", 1))) == "SIGN_IN_REFUSED"

    def test_a_sign_in_that_is_not_on_record_yet_goes_with_its_key(self) -> None:
        play = house()
        olga = play.insider("olga", "ops")
        signs_in(play, olga, step=100)
        adds(play, olga, a_key(olga))
        (opening,) = signs_in(play, olga, use=KeyUse("key-1", 1)).openings
        assert set(removes(play, olga, "key-1").ended_scopes) & set(opening.within)

    def test_nobody_removes_anothers(self) -> None:
        play = house()
        olga, otto = play.insider("olga", "ops"), play.insider("otto", "ops")
        for person in (olga, otto):
            signs_in(play, person, step=100)
        adds(play, otto, a_key(otto))
        assert code_of(removes(play, olga, "key-1")) == "UNKNOWN_SECURITY_KEY"
        assert code_of(removes(play, olga, "no-key")) == "UNKNOWN_SECURITY_KEY"
        assert removes(play, replace(otto, groups=frozenset()), "key-1").record_types == ["decision.denied"]
        assert list(play.house.security_keys) == ["key-1"]


class TestSigningInWithAKey:
    def test_the_record_says_so_and_the_counter_is_stored_with_it(self) -> None:
        play = house()
        olga = play.insider("olga", "ops")
        play >> Started((), (), (), security_keys=(a_key(olga, sign_count=7),))
        outcome = signs_in(play, olga, use=KeyUse("key-1", 9))
        assert outcome.record("admin.signed_in").fields["method"] == "password and security key"
        (write,) = outcome.openings[0].writes
        assert isinstance(write, SaveSecurityKey)
        assert (write.key.sign_count, write.key.used_at_unix_seconds) == (9, play.now.wall_seconds)

    @pytest.mark.parametrize("count", [8, 7, 0])
    def test_a_counter_that_does_not_go_on_is_refused_and_on_record(self, count: int) -> None:
        play = house()
        olga = play.insider("olga", "ops")
        play >> Started((), (), (), security_keys=(a_key(olga, sign_count=7),))
        assert signs_in(play, olga, use=KeyUse("key-1", 8)).openings
        outcome = signs_in(play, olga, use=KeyUse("key-1", count))
        assert code_of(outcome) == "SIGN_IN_REFUSED"
        fields = outcome.record("admin.key_refused").fields
        assert (fields["sign_count"], fields["last_sign_count"]) == (count, 8)
        assert signs_in(play, olga, use=KeyUse("key-1", 9)).openings

    def test_a_key_that_does_not_count_goes_on_being_used(self) -> None:
        play = house()
        olga = play.insider("olga", "ops")
        play >> Started((), (), (), security_keys=(a_key(olga),))
        for _ in range(2):
            assert signs_in(play, olga, use=KeyUse("key-1", 0)).openings

    def test_anothers_key_and_one_that_nobody_has_are_refused_without_a_record(self) -> None:
        play = house()
        olga, otto = play.insider("olga", "ops"), play.insider("otto", "ops")
        play >> Started((), (), (), security_keys=(a_key(otto),))
        for use in (KeyUse("key-1", 1), KeyUse("no-key", 1)):
            outcome = signs_in(play, olga, use=use)
            assert code_of(outcome) == "SIGN_IN_REFUSED"
            assert outcome.record_types == []
        assert signs_in(play, otto, use=KeyUse("key-1", 1)).openings

    def test_a_use_is_used_up_also_where_the_gate_denies(self) -> None:
        play = house()
        olga = play.insider("olga", "ops")
        play >> Started((), (), (), security_keys=(a_key(olga),))
        denied = signs_in(play, olga, Role.AUDITOR, use=KeyUse("key-1", 1))
        assert denied.record_types == ["decision.denied"]
        assert code_of(signs_in(play, olga, use=KeyUse("key-1", 1))) == "SIGN_IN_REFUSED"

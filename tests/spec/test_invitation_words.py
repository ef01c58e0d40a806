"""What an inviter writes of a guest: the address that policy compares, a name and a purpose."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from auth.personal import Personal
from broker.core.client_frames import CallInvite, InvitationCreate
from broker.core.errors import EMAIL_INVALID, TEXT_INVALID
from broker.core.events import Started
from broker.core.stored import StoredVisit
from tests.spec.outcome import Outcome
from tests.spec.playbook import START_WALL_SECONDS, Client, Playbook
from tests.spec.policies import EVERYTHING, SIGN_IN, rule


def create(play: Playbook, host: Client, **words: Any) -> Outcome:
    asked = {"ref": "1", "guest_name": "Eve", "purpose": "A talk", **words}
    return play >> host.says(InvitationCreate.model_validate(asked))


class TestTheGuestsAddress:
    PARTNERS_ONLY = (
        SIGN_IN
        + rule("partners", EVERYTHING, **{"with": '{ kind = "guest", peers = ["p"] }'})
        + '[[peers]]\nid = "p"\nmode = "allow"\ndomains = ["p.example"]\nverified = "invitation-link"\n'
    )

    def test_only_a_guest_of_the_named_peer_can_be_invited(self) -> None:
        play = Playbook(self.PARTNERS_ONLY)
        ada = play.person("ada")
        for email in (None, "eve@q.example"):
            assert create(play, ada, guest_email=email) << ada.refused("POLICY_DEFAULT_DENY", ref="1")
        assert play.invitation(ada, guest_email="eve@p.example")

    def test_the_address_stays_with_the_guest_and_is_personal(self) -> None:
        play = Playbook(self.PARTNERS_ONLY)
        ada = play.person("ada")
        guest = play.redeemed(play.invitation(ada, guest_email="eve@p.example"), ada)
        assert guest.domain == "p.example"
        again = Playbook(self.PARTNERS_ONLY)
        visit = StoredVisit(guest, "t-1", True, START_WALL_SECONDS + 100)
        again >> Started((), (visit,), ())
        host = again.person("ada")
        asked = again >> host.says(CallInvite(ref="c", to=guest.party, media=["audio"]))
        assert asked << host.refused("PEER_UNREACHABLE")
        assert asked.record("call.refused").personal["callee.email"].reveal() == "eve@p.example"

    @pytest.mark.parametrize("email", ["eve@localhost", "eve@p.example\x00", "eve@\u0440.example", "eve"])
    def test_what_is_no_address_is_answered_so_and_nothing_is_made(self, email: str) -> None:
        play = Playbook()
        ada = play.person("ada")
        assert create(play, ada, guest_email=email) << ada.refused(EMAIL_INVALID, ref="1")
        assert play.house.invitations == {}

    def test_a_domain_is_compared_as_dns_compares_it(self) -> None:
        play = Playbook(self.PARTNERS_ONLY)
        ada = play.person("ada")
        guest = play.redeemed(play.invitation(ada, guest_email="Eve@P.Example"), ada)
        assert (guest.domain, guest.email) == ("p.example", Personal("Eve@p.example"))


class TestTheWords:
    @pytest.mark.parametrize("words", [{"guest_name": "Grace\u202e"}, {"purpose": "\n"}, {"purpose": "..."}])
    def test_what_does_not_show_is_answered_so_and_nothing_is_made(self, words: dict[str, str]) -> None:
        play = Playbook()
        ada = play.person("ada")
        assert create(play, ada, **words) << ada.refused(TEXT_INVALID, ref="1")
        assert play.house.invitations == {}

    def test_an_invitation_without_a_purpose_is_no_frame(self) -> None:
        with pytest.raises(ValidationError):
            InvitationCreate.model_validate({"ref": "1", "guest_name": "Gus"})

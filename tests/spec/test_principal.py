"""Who is at the other end of a connection."""

from auth.personal import Personal
from auth.principal import Guest, Insider, PartyId

ADA = Insider(PartyId("u-1"), Personal("ada"), Personal("Ada Lovelace"), frozenset({"staff"}))
VISITOR = Guest(PartyId("g-1"), Personal("Charles Babbage"), "i-1", ADA.party)


def test_principals_print_without_the_names_of_people() -> None:
    shown = f"{ADA} {VISITOR!r}"
    assert "Lovelace" not in shown
    assert "ada" not in shown
    assert "Babbage" not in shown


def test_a_guest_is_verified_by_no_more_than_the_invitation_link_unless_said_otherwise() -> None:
    assert VISITOR.verified_by == "invitation-link"

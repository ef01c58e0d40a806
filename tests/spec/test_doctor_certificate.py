"""Doctor: what certificates are told to be, in plain words."""

from __future__ import annotations

import pytest

from broker.shell.doctor.certificate import CertificateFacts, is_for, judge_dates, judge_server
from broker.shell.doctor.finding import Finding, Verdict
from broker.shell.doctor.listeners_certificate import ChainFacts, Origin, judge_chain

DAY = 86_400
NOW = 1_800_000_000.0
EXPIRED, WRONG_HOST, UNKNOWN_AUTHORITY, ITSELF, WEAK = 10, 62, 20, 18, 66


def certificate(
    *hosts: str, days: float = 100, begins: float = -1, subject: str = "CN=dc1", issuer: str = "CN=authority"
) -> CertificateFacts:
    return CertificateFacts(subject, issuer, hosts, NOW + begins * DAY, NOW + days * DAY)


def server(fault: int | None, shown: CertificateFacts | None, host: str = "dc1.example") -> list[Finding]:
    return list(judge_server("check", host, shown, fault, "EE key too small", NOW, 14))


class TestOfAServerOfTheDirectory:
    def test_a_good_one_says_for_how_long(self) -> None:
        (found,) = server(None, certificate("dc1.example"))
        assert found == Finding(
            "check", Verdict.WELL, "It is good for 100 days more, until 2027-04-25 08:00 UTC."
        )

    def test_one_that_ends_soon_is_to_be_looked_at(self) -> None:
        (found,) = server(None, certificate("dc1.example", days=1.5))
        assert found.verdict is Verdict.LOOK
        assert found.found.startswith("It is good for 1 day more, ")

    def test_an_expired_one_is_ill_and_says_since_when(self) -> None:
        (found,) = server(EXPIRED, certificate("dc1.example", days=-1))
        assert found.verdict is Verdict.ILL
        assert found.found == "It expired at 2027-01-14 08:00 UTC."

    def test_one_of_the_future_points_at_the_clock_of_this_machine_too(self) -> None:
        (found,) = server(9, certificate("dc1.example", begins=1))
        assert found.verdict is Verdict.ILL
        assert found.found == "It is not valid before 2027-01-16 08:00 UTC."
        assert found.change.startswith("Look at this machine's clock; if that is right: have the ")

    def test_one_for_another_host_names_both(self) -> None:
        (found,) = server(WRONG_HOST, certificate("dc2.example", "10.0.0.2"))
        assert found.verdict is Verdict.ILL
        assert found.found.startswith("It is for dc2.example, 10.0.0.2, and not for dc1.example, ")

    @pytest.mark.parametrize("fault", [2, UNKNOWN_AUTHORITY, 21])
    def test_one_of_an_unknown_authority_names_it_and_the_setting(self, fault: int) -> None:
        (found,) = server(fault, certificate("dc1.example"))
        assert found.verdict is Verdict.ILL
        assert "signed by CN=authority" in found.found
        assert "ldap.ca_file" in found.change

    def test_one_that_signed_itself_is_called_so(self) -> None:
        (found,) = server(ITSELF, certificate("dc1.example", subject="CN=self", issuer="CN=self"))
        assert "signed by itself" in found.found

    def test_all_that_is_wrong_is_told_at_once(self) -> None:
        found = server(UNKNOWN_AUTHORITY, certificate("dc2.example", days=-1))
        assert [one.found.split()[1] for one in found] == ["expired", "is", "is"]
        assert {one.verdict for one in found} == {Verdict.ILL}

    def test_what_has_no_words_of_its_own_is_told_in_those_of_the_library(self) -> None:
        (found,) = server(WEAK, certificate("dc1.example"))
        assert (found.verdict, found.found) == (Verdict.ILL, "It is not accepted: EE key too small.")

    def test_one_that_nobody_can_read_is_ill(self) -> None:
        (found,) = server(UNKNOWN_AUTHORITY, None)
        assert found.verdict is Verdict.ILL

    def test_what_the_library_accepts_is_not_doubted(self) -> None:
        (found,) = server(None, certificate(days=100))
        assert found.verdict is Verdict.WELL


@pytest.mark.parametrize(
    ("host", "hosts", "answer"),
    [
        ("dc1.example", ["dc1.example"], True),
        ("DC1.example", ["dc1.example"], True),
        ("dc1.example", ["*.example"], True),
        ("a.dc1.example", ["*.example"], False),
        ("example", ["*.example"], False),
        ("example", ["*."], False),
        ("10.0.0.1", ["10.0.0.1"], True),
        ("10.0.0.1", ["*.0.0.1"], False),
        ("2001:db8:0::1", ["2001:db8::1"], True),
    ],
)
def test_a_certificate_is_for_the_names_in_it_and_a_wildcard_is_one_label(
    host: str, hosts: list[str], answer: bool
) -> None:
    assert is_for(certificate(*hosts), host) is answer


def chain(
    *certificates: CertificateFacts, broken: int | None = None, key: bool = True, fault: int | None = None
) -> dict[str, Finding]:
    origins = [Origin("inside", "edge.example"), Origin("outside", "meet.example")]
    shown = ChainFacts(certificates, broken, key, fault)
    return {found.check: found for found in judge_chain(shown, origins, NOW, 14)}


LEAF = certificate("edge.example", "meet.example")
BETWEEN = certificate(subject="CN=authority", issuer="CN=root")


class TestOfTheListeners:
    def test_a_complete_chain_of_a_known_authority_is_well(self) -> None:
        found = chain(LEAF, BETWEEN)
        assert {one.verdict for one in found.values()} == {Verdict.WELL}
        assert found["certificate: chain"].found == (
            "It is complete (2 certificates): this system trusts who signed it."
        )

    def test_a_key_of_another_certificate_is_all_that_is_told(self) -> None:
        found = chain(LEAF, key=False)
        assert [(one.check, one.verdict) for one in found.values()] == [("certificate: key", Verdict.ILL)]

    def test_an_origin_that_it_is_not_for_is_named_with_its_setting(self) -> None:
        found = chain(certificate("edge.example"))["certificate: name"]
        assert found.verdict is Verdict.ILL
        assert found.found == "It is not for meet.example, the host of outside.origin: browsers refuse it."

    def test_certificates_out_of_order_are_ill(self) -> None:
        found = chain(LEAF, LEAF, BETWEEN, broken=1, fault=UNKNOWN_AUTHORITY)["certificate: chain"]
        assert found.verdict is Verdict.ILL
        assert found.found == "Certificate 2 in the file did not sign certificate 1."

    def test_a_leaf_alone_of_an_authority_in_between_may_lack_it(self) -> None:
        found = chain(LEAF, fault=UNKNOWN_AUTHORITY)["certificate: chain"]
        assert found.verdict is Verdict.LOOK
        assert found.found.startswith("It ends with one that CN=authority has signed, ")

    def test_one_that_signed_itself_is_to_be_looked_at(self) -> None:
        itself = certificate("edge.example", "meet.example", subject="CN=x", issuer="CN=x")
        assert chain(itself, fault=ITSELF)["certificate: chain"].verdict is Verdict.LOOK

    def test_an_expired_one_is_ill_and_its_chain_is_not_guessed_at(self) -> None:
        found = chain(certificate("edge.example", "meet.example", days=-1), BETWEEN, fault=EXPIRED)
        assert found["certificate: dates"].verdict is Verdict.ILL
        assert "certificate: chain" not in found

    def test_an_expired_one_in_between_is_told_by_its_number(self) -> None:
        found = chain(LEAF, certificate(subject="CN=authority", days=-2), fault=EXPIRED)
        assert found["certificate: dates of number 2"].verdict is Verdict.ILL


def test_the_last_second_of_a_certificate_is_over_when_it_begins() -> None:
    last = certificate(days=0)
    assert judge_dates("check", last, NOW, 14, "").verdict is Verdict.ILL
    assert judge_dates("check", last, NOW - 1, 14, "").verdict is Verdict.LOOK

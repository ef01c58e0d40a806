"""E-mail addresses: what is taken, and that the domain is what policy compares."""

from __future__ import annotations

import pytest

from auth.email_address import EmailAddressError, email_address

LONGEST_DOMAIN = ".".join(["d" * 63, "d" * 63, "d" * 57, "ex"])


@pytest.mark.parametrize(
    "text",
    [
        "eve@p.example",
        "E.v-e+x@deep.a-b.example",
        "o'brien_{x}@p.example",
        "x@xn--bcher-kva.example",
        "x@4.example",
        "x" * 64 + "@" + LONGEST_DOMAIN,
    ],
)
def test_an_address_is_taken_as_it_is(text: str) -> None:
    assert email_address(text) == text


def test_the_domain_is_in_lower_case_and_the_rest_is_the_mail_servers_business() -> None:
    assert email_address("Eve.X@P.Example") == "Eve.X@p.example"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "eve",
        "@p.example",
        "eve@",
        "eve@localhost",
        "eve@127.0.0.1",
        "eve@[127.0.0.1]",
        "eve@p.example.",
        "eve@p.example..",
        "eve@p.example\n",
        "\neve@p.example",
        "eve@p.example\x00",
        "eve@p.exa\tmple",
        "eve@p.example\x1b[2J",
        "e v@p.example",
        " eve@p.example",
        "eve@-p.example",
        "eve@p-.example",
        "eve@p..example",
        "eve@p_q.example",
        "<b>@p.example",
        "Eve <eve@p.example>",
        "eve@foe.example@p.example",
        "eve@p.example,eve@foe.example",
        '"e@v"@p.example',
        ".eve@p.example",
        "eve.@p.example",
        "e..ve@p.example",
        "x" * 65 + "@p.example",
        "eve@" + "a" * 64 + ".example",
        "xy@" + "a." * 125 + "example",
        "x" * 65 + "@" + LONGEST_DOMAIN,
    ],
)
def test_anything_else_is_the_one_error(text: str) -> None:
    with pytest.raises(EmailAddressError) as refused:
        email_address(text)
    assert text == "" or text not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "eve\u202e@p.example",
        "eve@\u202ep.example",
        "eve@p\u200b.example",
        "eve@p\u00ad.example",
        "eve@\u0440.example",
        "eve@\u212aey.example",
        "eve@\uff50.example",
        "eve@p\u3002example",
        "eve\uff20p.example",
        "eve@b\u00fccher.example",
    ],
    ids=[
        "right to left",
        "right to left in the domain",
        "zero width",
        "soft hyphen",
        "cyrillic",
        "kelvin sign, a k in lower case",
        "full width",
        "ideographic full stop",
        "full width at",
        "not as an a-label",
    ],
)
def test_what_only_looks_like_a_domain_is_refused(text: str) -> None:
    with pytest.raises(EmailAddressError):
        email_address(text)

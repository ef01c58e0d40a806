"""Any text is an e-mail address or the one error, and a line that shows or the one error."""

from __future__ import annotations

import string
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from auth.email_address import EmailAddressError, email_address
from auth.shown_text import ShownTextError, shown_text
from config.policy.peer import domain_name

ANY = st.text(st.characters(codec=None), max_size=300)
NEARLY = st.text(string.ascii_letters + string.digits + "@.-_+\u200b\u212a\u0131 \n", max_size=80)
LOCALS = st.text(string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-", min_size=1, max_size=64)
LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=2, max_size=5).map(".".join)


@given(ANY | NEARLY)
@example("eve@\u212aey.example")
def test_any_text_is_an_address_or_the_one_error(text: str) -> None:
    try:
        address = email_address(text)
    except EmailAddressError:
        return
    assert address.isascii()
    assert address.isprintable()
    assert address.count("@") == 1
    assert address.lower() == text.lower()
    assert email_address(address) == address
    domain = address.partition("@")[2]
    assert domain_name(domain) == domain


@given(LOCALS, DOMAINS)
def test_every_plain_address_is_taken(local: str, domain: str) -> None:
    assert email_address(f"{local}@{domain}") == f"{local}@{domain}"


@given(LOCALS, DOMAINS, st.characters(exclude_characters=string.printable), st.data())
def test_one_character_beyond_ascii_anywhere_is_refused(
    local: str, domain: str, foreign: str, data: st.DataObject
) -> None:
    text = f"{local}@{domain}"
    at = data.draw(st.integers(0, len(text)))
    try:
        email_address(text[:at] + foreign + text[at:])
    except EmailAddressError:
        return
    raise AssertionError("taken")


@given(ANY)
def test_any_text_is_one_line_that_shows_or_the_one_error(text: str) -> None:
    try:
        line = shown_text(text)
    except ShownTextError:
        return
    assert shown_text(line) == line
    assert len(line.splitlines()) == 1
    assert not any(unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "RLI", "LRI") for c in line)
    assert line.encode()

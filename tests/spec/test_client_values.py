"""Small values of the Python client: links, origins, remembered message ids, errors, import borders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.client.chat import SeenMessages
from broker.client.errors import CallOver, EdgeClosed, EdgeError, EdgeRefused
from broker.client.http import checked_origin
from broker.client.invitations import split_link


def test_a_link_splits_into_the_outside_origin_and_the_secret() -> None:
    assert split_link("https://meet.example.org/#s3cr-et_") == ("https://meet.example.org", "s3cr-et_")
    assert split_link("https://192.0.2.1:8443#t") == ("https://192.0.2.1:8443", "t")


@pytest.mark.parametrize(
    "link", ["http://a/#t", "https://a/", "https://a/x#t", "https://a/?q#t", "https:///#t", "not a link", ""]
)
def test_what_is_not_an_invitation_link_is_refused(link: str) -> None:
    with pytest.raises(ValueError, match="link"):
        split_link(link)


@given(st.text())
def test_any_text_is_a_link_or_a_value_error(text: str) -> None:
    try:
        origin, secret = split_link(text)
    except ValueError:
        return
    assert origin.startswith("https://")
    assert secret


@given(st.text())
def test_any_text_is_an_https_origin_or_a_value_error(text: str) -> None:
    try:
        assert checked_origin(text) == text
    except ValueError:
        return
    assert text.startswith("https://")


def test_message_ids_are_remembered_up_to_the_limit_and_the_oldest_are_forgotten() -> None:
    seen = SeenMessages(limit=2)
    for message_id in ("a", "b", "b", "c"):
        seen.add(message_id)
    assert "a" not in seen
    assert "b" in seen
    assert "c" in seen


def test_errors_say_what_happened_and_share_one_type() -> None:
    refused = EdgeRefused("USER_BUSY", "This person is in another call.", None, True)
    assert str(refused) == "USER_BUSY: This person is in another call."
    assert str(EdgeClosed(4401, refused)) == "closed with 4401: USER_BUSY"
    assert str(EdgeClosed(None)) == "closed with None"
    assert str(CallOver("declined")) == "declined"
    assert isinstance(refused, EdgeError)

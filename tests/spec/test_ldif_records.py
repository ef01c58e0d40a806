"""LDIF content records, RFC 2849."""

import pytest

from auth.control_characters import has_control_characters
from auth.ldif_records import MAX_FILE_BYTES, MAX_LINE_BYTES, LdifError, parse_ldif


def _read(text: str) -> list[tuple[int, str, list[tuple[int, str, bytes]]]]:
    return [
        (record.line_number, record.dn, [(v.line_number, v.name, v.value) for v in record.values])
        for record in parse_ldif(text.encode())
    ]


def _mistake(data: bytes) -> tuple[int, str]:
    with pytest.raises(LdifError) as refusal:
        parse_ldif(data)
    return refusal.value.line_number, refusal.value.message


def test_a_record_is_its_dn_and_its_attributes_in_order_with_their_lines() -> None:
    assert _read("version: 1\ndn: cn=a\ncn: a\nsn:b\n\n\ndn: cn=c\ncn:   c d\n") == [
        (2, "cn=a", [(3, "cn", b"a"), (4, "sn", b"b")]),
        (7, "cn=c", [(8, "cn", b"c d")]),
    ]


def test_the_version_line_the_last_line_feed_and_a_byte_order_mark_are_optional() -> None:
    expected = [(1, "cn=a", [(2, "cn", b"a")])]
    assert _read("dn: cn=a\ncn: a") == expected
    assert _read("\ufeffdn: cn=a\ncn: a\n\n") == expected
    assert _read("dn: cn=a\r\ncn: a\r\n") == expected


def test_a_file_without_entries_is_empty() -> None:
    assert _read("") == _read("\n\n") == _read("version: 1\n") == _read("# nothing\n") == []


def test_a_folded_line_is_one_line_at_the_number_of_its_beginning() -> None:
    assert _read("dn: cn=\n a\ncn: a\n  b\n \n c\nsn: d\n") == [
        (1, "cn=a", [(3, "cn", b"a bc"), (7, "sn", b"d")])
    ]


def test_comments_are_skipped_also_folded_and_within_a_record() -> None:
    assert _read("# one\n two\nversion: 1\n# three\ndn: cn=a\n# four\n five: six\ncn: a\n#\n") == [
        (5, "cn=a", [(8, "cn", b"a")])
    ]


def test_base64_is_decoded_also_folded_and_may_be_any_bytes() -> None:
    assert _read("dn:: Y249w6Q=\ncn:: w6\n Q=\njpegPhoto:: AP8=\nsn::\n") == [
        (1, "cn=ä", [(2, "cn", "ä".encode()), (4, "jpegPhoto", b"\x00\xff"), (5, "sn", b"")])
    ]


def test_text_may_be_written_as_utf8() -> None:
    assert _read("dn: cn=ä\ncn: ä\n") == [(1, "cn=ä", [(2, "cn", "ä".encode())])]


def test_attribute_names_keep_their_spelling_and_options() -> None:
    assert _read("DN: cn=a\nCN;lang-de: a\n2.5.4.4: b\n") == [
        (1, "cn=a", [(2, "CN;lang-de", b"a"), (3, "2.5.4.4", b"b")])
    ]


@pytest.mark.parametrize(
    ("text", "line_number", "message"),
    [
        ("version: 2\n", 1, "only version 1"),
        ("cn: a\ndn: cn=a\n", 1, "begins with its dn"),
        ("dn: cn=a\ncn: a\n\ncn: b\n", 4, "begins with its dn"),
        ("dn: cn=a\ncn: a\n\nversion: 1\n", 4, "begins with its dn"),
        ("dn: cn=a\n", 1, "needs attributes"),
        ("dn: cn=a\ncn: a\ndn: cn=b\ncn: b\n", 3, "second dn"),
        ("dn: cn=a\nchangetype: add\ncn: a\n", 2, "change records"),
        ("dn: cn=a\nChangeType: delete\n", 2, "change records"),
        ("dn: cn=a\ncontrol: 1.2.3\nchangetype: delete\n", 2, "change records"),
        ("dn: cn=a\ncn: a\n-\n", 3, "no colon"),
        ("dn: cn=a\nsecret\n", 2, "no colon"),
        ("dn: cn=a\njpegPhoto:< file:///etc/secret\n", 2, "by URL"),
        ("dn: cn=a\ncn: :secret\n", 2, "only base64 may begin with"),
        ("dn: cn=a\ncn: <secret\n", 2, "only base64 may begin with"),
        ("dn: cn=a\ncn: secret \n", 2, "ends in a space"),
        ("dn: cn=a\ncn:: secret!\n", 2, "not base64"),
        ("dn: cn=a\ncn:: YQ\n", 2, "not base64"),
        ("dn: cn=a\ncn:: YQ==YQ==\n", 2, "not base64"),
        ("dn: cn=a\nc n: secret\n", 2, "not an attribute's name"),
        ("dn: cn=a\n: secret\n", 2, "not an attribute's name"),
        ("dn: cn=a\nä: secret\n", 2, "not an attribute's name"),
        ("dn: cn=a\ncn;: secret\n", 2, "not an attribute's name"),
        ("dn: cn=a\n" + "c" * 257 + ": secret\n", 2, "not an attribute's name"),
        (" dn: cn=a\n", 1, "continues none"),
        ("dn: cn=a\ncn: a\n\n secret\n", 4, "continues none"),
        ("dn: cn=a\ncn: sec\rret\n", 2, "carriage return or NUL"),
        ("dn: cn=a\ncn: sec\x00ret\n", 2, "carriage return or NUL"),
        ("dn:: Y249YQo=\ncn: a\n", 1, "control characters"),
        ("dn:: /w==\ncn: a\n", 1, "not UTF-8"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_without_the_value(
    text: str, line_number: int, message: str
) -> None:
    number, told = _mistake(text.encode())
    assert number == line_number
    assert message in told
    assert "secret" not in told


def test_bytes_that_are_no_utf8_must_be_written_as_base64() -> None:
    assert _mistake(b"dn: cn=a\ncn: \xe4\n") == (2, "cn is not UTF-8 text")


def test_a_line_beyond_the_bound_is_refused_also_when_folded() -> None:
    fits = b"dn: cn=a\ncn: " + b"a" * (MAX_LINE_BYTES - 4)
    assert len(parse_ldif(fits)[0].values[0].value) == MAX_LINE_BYTES - 4
    assert _mistake(fits + b"a") == (2, "the line has more than 65536 bytes")
    assert _mistake(fits + b"\n a") == (2, "the line has more than 65536 bytes")


def test_a_file_beyond_the_bound_is_refused_as_a_whole() -> None:
    with pytest.raises(LdifError) as refusal:
        parse_ldif(bytes(MAX_FILE_BYTES + 1))
    assert refusal.value.line_number == 0
    assert str(refusal.value) == "the file has more than 33554432 bytes"


def test_records_print_without_their_values() -> None:
    assert "secret" not in repr(parse_ldif(b"dn: cn=a\nuserPassword: secret\n"))


@pytest.mark.parametrize(
    ("text", "holds"),
    [("a b\u00a0\u200d\U0001f600", False)]
    + [(f"a{char}b", True) for char in "\x00\t\n\x1b\x1f\x7f\x85\x9f\u2028\u2029"],
)
def test_what_would_start_a_line_or_drive_a_terminal_is_a_control_character(text: str, holds: bool) -> None:
    assert has_control_characters(text) is holds

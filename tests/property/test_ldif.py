"""The LDIF reader against whatever bytes a file may hold."""

from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st

from auth.distinguished_name import DistinguishedNameError, distinguished_name_key
from auth.ldif_people import LdifContent, read_people
from auth.ldif_records import LdifError, parse_ldif

names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}(;[a-z-]{1,4})?", fullmatch=True).filter(
    lambda name: name.lower() not in {"dn", "version", "changetype", "control"}
)
records = st.lists(
    st.tuples(
        st.text(max_size=20), st.lists(st.tuples(names, st.binary(max_size=60)), min_size=1, max_size=6)
    ),
    max_size=5,
)
fragments = st.sampled_from(
    [
        "dn: uid=a",
        "dn: cn=g",
        "dn",
        ":",
        "::",
        ":<",
        " ",
        "\n",
        "\r\n",
        "\n\n",
        "#",
        "version: 1",
        "uid: a",
        "cn: g",
        "objectClass: inetOrgPerson",
        "objectClass: groupOfNames",
        "objectClass: domain",
        "member: uid=a",
        "member: cn=g",
        "entryUUID: 00000000-0000-4000-8000-00000000000a",
        "userPassword: ",
        "loginDisabled: TRUE",
        "YQ==",
        "\x00",
        "\\",
    ]
)


def _write(name: str, value: bytes, as_base64: bool, width: int) -> bytes:
    """One attribute as any writer of LDIF may put it: plain where the RFC permits, folded anywhere."""
    printable = all(0x20 <= byte < 0x7F for byte in value)
    plain = printable and not value.startswith((b" ", b":", b"<")) and not value.endswith(b" ")
    line = name.encode() + (b": " + value if plain and not as_base64 else b":: " + b64encode(value))
    return b"\n ".join(line[at : at + width] for at in range(0, len(line), width)) + b"\n"


@given(records, st.booleans(), st.integers(1, 80), st.booleans())
def test_what_any_writer_wrote_is_read_back(
    records: list[tuple[str, list[tuple[str, bytes]]]], as_base64: bool, width: int, carriage_returns: bool
) -> None:
    written, expected = b"version: 1\n", []
    for dn, values in records:
        dn = "".join(char for char in dn if char.isprintable())
        written += b"\n# an entry\n" + _write("dn", dn.encode(), as_base64, width)
        written += b"".join(_write(name, value, as_base64, width) for name, value in values)
        expected.append((dn, values))
    if carriage_returns:
        written = written.replace(b"\n", b"\r\n")
    assert [(r.dn, [(v.name, v.value) for v in r.values]) for r in parse_ldif(written)] == expected


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_refused_with_a_line_of_the_file(data: bytes) -> None:
    try:
        read_people(data)
    except LdifError as error:
        assert 1 <= error.line_number <= data.count(b"\n") + 1


@given(st.lists(fragments | st.text(max_size=3), max_size=60), st.sampled_from(["", "\n"]))
def test_nearly_right_files_are_read_or_refused(parts: list[str], glue: str) -> None:
    try:
        assert isinstance(read_people(glue.join(parts).encode("utf-8", "replace")), LdifContent)
    except LdifError as error:
        assert error.line_number >= 1


@given(st.text(max_size=60) | st.text('cn=ad,+\\ 2c#"', max_size=30))
def test_arbitrary_text_is_a_distinguished_name_or_refused(text: str) -> None:
    try:
        key = distinguished_name_key(text)
    except DistinguishedNameError:
        return
    assert all(value for level in key for _, value in level)


@given(
    st.lists(
        st.text(min_size=1, max_size=8).filter(lambda value: value.strip() != ""), min_size=1, max_size=4
    )
)
def test_a_name_written_with_every_byte_escaped_compares_equal_to_its_plain_form(values: list[str]) -> None:
    values = ["".join(char for char in value if char.isalnum()) or "x" for value in values]
    plain = ",".join(f"cn={value}" for value in values)
    escaped = ", ".join("CN=" + "".join(f"\\{byte:02X}" for byte in value.encode()) for value in values)
    assert distinguished_name_key(plain) == distinguished_name_key(escaped)

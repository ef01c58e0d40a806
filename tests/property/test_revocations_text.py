"""Whatever an administrator's list of revocations holds, it is a value or one RevocationsError that repeats
nothing of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.credentials import ClaimedName
from relay.revocations import MAX_BYTES, NOBODY, Revocations, RevocationsError, read_revocations

KINDS = ("credential", "session", "user")
WRONG = ("alice", "user", "user ", "user a b", "Session s1", "users x", "user\tx", "user " + "x" * 301)
SENTENCE = re.compile(
    rf"it is larger than {MAX_BYTES} bytes|it is not ASCII text"
    r"|line [1-9][0-9]* is not `credential`, `session` or `user` and a name"
)

names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=300)
names |= st.sampled_from("!~x").map(lambda character: character * 300)
entries = st.tuples(st.sampled_from(KINDS), names)
blanks = st.text(" \t", max_size=3)
ends = st.sampled_from(["\n", "\r\n"])
comments = st.builds(
    "#{}".format, st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
)
asides = comments | st.just("")
almost = st.builds(
    "{}{}{}{}".format,
    st.sampled_from([*KINDS, "User", "users", "#user", "name", ""]),
    st.sampled_from([" ", "  ", "\t", ":", ""]),
    names | st.text(max_size=8),
    st.sampled_from(["", " ", " x", "\x00", "\x7f", "é"]),
)


def written(kind: str, name: str) -> str:
    return f"{kind} {name}"


def everyone_of(revocations: Revocations) -> set[tuple[str, str]]:
    return {
        (kind, name)
        for kind, names in zip(
            KINDS, (revocations.credentials, revocations.sessions, revocations.users), strict=True
        )
        for name in names
    }


def refusal_of(content: bytes) -> str:
    with pytest.raises(RevocationsError) as refused:
        read_revocations(content)
    return str(refused.value)


def read_or_refused(content: bytes) -> Revocations | None:
    try:
        return read_revocations(content)
    except RevocationsError as error:
        # One of these sentences to the letter, so that nothing of the content can be in it.
        assert SENTENCE.fullmatch(str(error))
        return None


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xef\xbb\xbfuser alice")
@example(b"user alice\x00")
def test_any_bytes_are_a_list_or_an_error_that_repeats_nothing_of_them(content: bytes) -> None:
    read_or_refused(content)


@given(st.lists(almost | asides, max_size=6).map("\n".join))
def test_what_is_almost_a_list_is_one_or_an_error_that_repeats_nothing_of_it(text: str) -> None:
    found = read_or_refused(text.encode())
    if found is not None:
        for _, name in everyone_of(found):
            assert re.fullmatch(r"[!-~]{1,300}", name)
            assert name in text


@given(st.lists(st.tuples(blanks, entries | asides, blanks, ends), max_size=12), st.booleans())
def test_every_line_is_found_whatever_stands_around_it(
    lines: list[tuple[str, tuple[str, str] | str, str, str]], ended: bool
) -> None:
    text = "".join(
        f"{before}{line if isinstance(line, str) else written(*line)}{after}{end}"
        for before, line, after, end in lines
    )
    found = read_revocations((text if ended else text.rstrip("\r\n")).encode())
    assert everyone_of(found) == {line for _, line, _, _ in lines if not isinstance(line, str)}


@given(st.lists(entries.map(lambda entry: written(*entry)) | asides, max_size=8), st.data())
def test_the_error_names_the_line_that_is_wrong(lines: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(lines)))
    wrong = data.draw(st.sampled_from(WRONG))
    lines.insert(at, wrong)
    assert refusal_of("\n".join(lines).encode()).startswith(f"line {at + 1} ")


@given(comments, st.sampled_from("\x0b\x0c\x1c\x1d\x1e"), entries)
def test_a_comment_goes_on_to_the_end_of_its_line(comment: str, control: str, entry: tuple[str, str]) -> None:
    """Only a line break ends a line: what an editor shows as one is one."""
    assert read_revocations(f"{comment}{control}{written(*entry)}\n".encode()) == NOBODY


@given(entries, entries, st.integers(0, 2**40))
def test_a_revocation_covers_whom_it_names_and_nobody_else(
    entry: tuple[str, str], other: tuple[str, str], expiry: int
) -> None:
    (kind, name), (_, stranger) = entry, other
    revocations = read_revocations(written(kind, name).encode())
    claims = {
        "credential": (name.encode(), ClaimedName(expiry, "", "")),
        "session": (f"{expiry}:{name}:".encode(), ClaimedName(expiry, name, "")),
        "user": (f"{expiry}::{name}".encode(), ClaimedName(expiry, "", name)),
    }
    for claimed, (username, claim) in claims.items():
        assert revocations.cover(username, claim) == (claimed == kind)
    if stranger != name:
        apart = {
            "credential": (stranger.encode(), ClaimedName(expiry, name, name)),
            "session": (name.encode(), ClaimedName(expiry, stranger, name)),
            "user": (name.encode(), ClaimedName(expiry, name, stranger)),
        }
        assert not revocations.cover(*apart[kind])


def test_a_list_may_be_of_the_largest_size_and_not_one_byte_larger() -> None:
    line = b"user alice\n"
    content = b"#" * (MAX_BYTES - len(line) - 1) + b"\n" + line
    assert read_revocations(content).users == {"alice"}
    assert refusal_of(content + b"\n") == f"it is larger than {MAX_BYTES} bytes"

"""What is fuzzed: functions that take any bytes, and raise when a law is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from itertools import pairwise
from typing import Final

from auth.challenge import Challenges
from auth.control_characters import has_control_characters
from auth.directory import EntryState
from auth.email_address import EmailAddressError, email_address
from auth.invitation import InvitationSigner, InvitationTokenError
from auth.ldap_link import LdapRecord
from auth.ldap_people import LdapPeople
from auth.ldap_schema import ActiveDirectory, LdapSchema, OpenLdap
from auth.second_factor import SecondFactorError, account_line, parse_account
from auth.security_key import (
    RelyingParty,
    SecurityKeyError,
    parse_enrolment,
    parse_use,
    verified_enrolment,
    verified_sign_count,
)
from auth.shown_text import ShownTextError, shown_text
from broker.policy.check import findings
from broker.policy.index import PolicyIndex
from broker.policy.stop import parse_scope
from broker.shell.latches import latch_name, note_of, scope_of
from config.policy.loading import PolicyError, PolicyErrors, load_policy
from relay.stun import attributes as a
from relay.stun import channel_data
from relay.stun.framing import MAX_MESSAGE_BYTES, StreamFraming, padded
from relay.stun.malformed import MalformedError
from relay.stun.message import HEADER_LENGTH, parse
from tests.fuzz.plane_pair import PlanePair, split
from tests.fuzz.scene import Scene
from tests.fuzz.script import decode

Target = Callable[[bytes], None]
INVITATIONS = InvitationSigner([b"fuzzed" * 8])


def stun(data: bytes) -> None:
    """A message or MalformedError, and so is each of its attributes.

    They fill it up to its integrity, and what is read of them writes back to the same.
    """
    try:
        message = parse(data)
    except MalformedError:
        return
    assert message.raw == data
    covered = HEADER_LENGTH + sum(4 + (len(value) + 3 & ~3) for _, value in message.attributes)
    places = [at for at in (message.integrity_at, message.sha256_at) if at is not None]
    assert covered == (places[0] if places else len(data) - 8 * message.has_fingerprint)
    assert places == sorted(places)
    assert message.verifies(b"key") in (True, False)
    assert message.has_integrity or not message.verifies(b"key")
    for number, attribute in a.KNOWN.items():
        stands = [value for kind, value in message.attributes if kind == number]
        try:
            values = message.every(attribute)
        except MalformedError:
            assert stands
            continue
        assert len(values) == len(stands)
        for value in values:
            again = attribute.pack(value, message.transaction_id)
            assert attribute.unpack(again, message.transaction_id) == value
    assert set(message.unknown()).isdisjoint(a.KNOWN)


def channel(data: bytes) -> None:
    """ChannelData or MalformedError; what is read writes back to the same, and a stream carries it."""
    try:
        number, payload = channel_data.parse(data)
    except MalformedError:
        return
    framed = channel_data.build(number, payload)
    assert data.startswith(framed)
    assert StreamFraming().feed(padded(framed)) == [framed]


def framing(data: bytes) -> None:
    """The same messages or MalformedError however a stream is cut.

    The first bytes say how: the longest message, the most at once, how many cuts and where.
    """
    if len(data) < 4:
        return
    limit = int.from_bytes(data[:2], "big")
    count = data[2] & 15
    cuts, stream = data[3 : 3 + count], data[3 + count :]
    places = sorted(place * len(stream) // 256 for place in cuts)
    pieces = [stream[start:end] for start, end in pairwise([0, *places, len(stream)])]
    bytewise = [bytes((byte,)) for byte in stream]
    found, ended = _feed(pieces, limit, data[2] >> 4 or MAX_MESSAGE_BYTES)
    expected, ends = _feed(bytewise, limit, MAX_MESSAGE_BYTES)
    assert ended == ends
    assert found == expected[: len(found)]
    assert ends or found == expected


def _feed(pieces: list[bytes], limit: int, most: int) -> tuple[list[bytes], bool]:
    """The messages, at most so many with a call, and whether the stream ended in an error."""
    stream = StreamFraming(limit)
    found: list[bytes] = []
    for piece in pieces:
        try:
            messages = stream.feed(piece, most)
            found += messages
            while len(messages) == most:
                messages = stream.feed(b"", most)
                found += messages
        except MalformedError:
            return found, True
        assert len(stream._rest) < max(limit, 1)
    for message in found:
        assert len(padded(message)) <= limit
        length = int.from_bytes(message[2:4], "big")
        is_stun = message[0] <= 3
        assert len(message) == length + (HEADER_LENGTH if is_stun else channel_data.HEADER_LENGTH)
        assert not is_stun or length % 4 == 0
    return found, False


def server(data: bytes) -> None:
    """A TURN server keeps the laws of `tests.fuzz.laws` whatever comes to it."""
    script = decode(data)
    Scene(script).play(script)


def planes(data: bytes) -> None:
    """Every plane decides alike: what comes out of one, or goes to control, does so at the other."""
    first, *others = _plane_pair().outcomes(split(data))
    assert others == [first] * len(others)


def policy(data: bytes) -> None:
    """A policy that can be asked, or its errors, which a terminal can show."""
    index, errors = _read(data)
    assert all(str(error).isprintable() for error in errors)
    if index is None:
        assert errors
        return
    at_unix_seconds = 1_763_900_000
    assert index.next_change(at_unix_seconds) > at_unix_seconds
    findings(index, at_unix_seconds)


def latch(data: bytes) -> None:
    """A file of the emergency directory, the first line its name: a stop whose name leads back to it, or no
    stop; and whatever else it holds is a note."""
    name, _, content = data.partition(b"\n")
    scope = scope_of(name.decode(errors="replace"))
    assert (scope is not None) is name.lower().startswith(b"stop")
    if scope is not None:
        assert scope_of(latch_name(scope)) == scope
        assert parse_scope(str(scope)) == scope
    note = note_of(content)
    assert all(said is None or len(said) <= 1000 for said in (note.by, note.reason))


def second_factor(data: bytes) -> None:
    """The line of a settings file: a login that a terminal can show and at least 112 bits, or no account."""
    try:
        login, codes = parse_account(data.decode(errors="replace"))
    except SecondFactorError:
        return
    assert login.isprintable()
    assert len(codes.byte_secret()) >= 14
    assert parse_account(account_line(login, codes.secret))[0] == login


def security_key(data: bytes) -> None:
    """What a browser says that a key made, or signed: it is that or one error, and none of it is good for
    another page or by another key."""
    text = data.decode(errors="replace")
    page, other = RelyingParty("localhost", "https://localhost"), RelyingParty("other", "https://other")
    challenges = Challenges(b"fuzzed" * 8)
    with suppress(SecurityKeyError):
        enrolment = parse_enrolment(text)
        assert not challenges.holds(enrolment.challenge, "", 0)
        with suppress(SecurityKeyError):
            verified_enrolment(other, enrolment)
            raise AssertionError("made for another page")
        made = verified_enrolment(page, enrolment)
        assert made.credential_id.isascii()
        assert 0 <= made.sign_count < 2**32
    with suppress(SecurityKeyError):
        use = parse_use(text)
        assert not challenges.holds(use.challenge, "", 0)
        verified_sign_count(page, use, data[:80])
        raise AssertionError("signed by a key that nobody has")


def guest(data: bytes) -> None:
    """Whom somebody invites, and with what somebody comes: an e-mail address, a line of text and a token, one
    a line; each is taken as what it says, or is its one error."""
    address, line, token = (*data.split(b"\n", 2), b"", b"")[:3]
    with suppress(EmailAddressError):
        taken = email_address(address.decode(errors="replace"))
        assert email_address(taken) == taken
        assert taken.isascii()
        assert taken.isprintable()
        assert taken.count("@") == 1
    with suppress(ShownTextError):
        shown = shown_text(line.decode(errors="surrogateescape"))
        assert shown_text(shown) == shown
        assert len(shown.splitlines()) == 1
    with suppress(InvitationTokenError):
        claim = INVITATIONS.verify(token.decode(errors="replace"), 0.0)
        assert claim.invitation_id.isascii()


def entry(data: bytes) -> None:
    """An entry of an LDAP directory, in lines `attribute=value` after one of its kind and the time: a person
    whose texts can be shown, or nobody.

    Nobody is active in a directory whose server says that the account is disabled.
    """
    kind, *lines = data.split(b"\n")
    held: dict[str, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b"=")
        held.setdefault(name.decode("latin-1").lower(), []).append(value)
    record = LdapRecord("cn=somebody", held)
    schema: LdapSchema = ActiveDirectory() if kind.startswith(b"a") else OpenLdap(len(kind))
    people = LdapPeople(schema, "dc=x", "(x=y)", schema.login_attribute, "displayName", ("title", "ou"))
    now = float(int.from_bytes(kind[1:6], "big"))
    person = people.person(record, frozenset({"staff"}), now)
    state = schema.state(record, now)
    if kind.startswith(b"a") and record.first("userAccountControl") == b"514":
        assert state is EntryState.DISABLED
    if person is None:
        return
    assert person.state is state
    assert person.stable_id == schema.stable_id(record)
    assert people.goes_by(record, person.login.reveal())
    shown = [person.login.reveal(), person.name.reveal(), *(value for _, value in person.attributes)]
    assert not any(has_control_characters(text) for text in shown)
    assert all(shown[:2])
    assert people.person(record, frozenset({"staff"}), now) == person
    assert people.person(record, frozenset(), now) != person


def _read(data: bytes) -> tuple[PolicyIndex | None, Sequence[PolicyError]]:
    try:
        return PolicyIndex(load_policy(data, "fuzzed")), ()
    except PolicyErrors as refused:
        return None, refused.errors


@cache
def _plane_pair() -> PlanePair:
    return PlanePair()


TARGETS: Final[dict[str, Target]] = {
    "stun": stun,
    "channel": channel,
    "framing": framing,
    "server": server,
    "planes": planes,
    "policy": policy,
    "latch": latch,
    "second_factor": second_factor,
    "security_key": security_key,
    "guest": guest,
    "entry": entry,
}

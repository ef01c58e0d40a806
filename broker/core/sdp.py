"""Session descriptions (RFC 8866) rebuilt from an allow-list: they reveal no address and tunnel nothing.

None of the sender's text is passed on: what is known is read into values and printed anew, in one order, with
neutral connection lines; everything else vanishes. Rebuilding what was rebuilt changes nothing.

A description has one section for each medium of its call, and at most one more of video: the screen. Its
direction is not the sender's to choose beyond what `rebuild` is told.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from broker.core import sdp_attributes as read
from broker.core.sdp_candidate import MAX_CANDIDATE_CHARACTERS, read_candidate
from broker.core.sdp_section import OF_MEDIA, OF_SESSION, PROTOCOL, MalformedSdp, Section, media_lines

MAX_SDP_BYTES = 49_152
MAX_SDP_LINES = 1000
_UNLIMITED: Mapping[str, int] = MappingProxyType({})
"""Browsers' offers have under 300. More are refused before any line is looked at."""
MAX_CANDIDATES = 64
MAX_FORMATS = 64

TransportAddress = tuple[str, int]
"""Address in its canonical spelling (as `str(ipaddress.ip_address(...))` gives it) and port."""


ScreenDirection = Literal["sendonly", "recvonly", "inactive"]
"""The most that the sender of a description may do with its screen section."""


class SdpCode(StrEnum):
    MALFORMED = "SDP_MALFORMED"
    TOO_LARGE = "SDP_TOO_LARGE"
    MEDIA_NOT_ALLOWED = "SDP_MEDIA_NOT_ALLOWED"
    FOREIGN_CANDIDATE = "SDP_FOREIGN_CANDIDATE"


_ROLES = {"audio": ("audio",), "video": ("video", "screen")}
"""What a section of a kind can be in its call: the first of these that no earlier section is."""


class SdpError(Exception):
    """The description or candidate is refused; `code` says why. Nothing of its text is kept."""

    def __init__(self, code: SdpCode) -> None:
        super().__init__(code.value)
        self.code = code


@dataclass(frozen=True, slots=True)
class Medium:
    """What one section says its sender does; nothing where it is rejected or inactive."""

    role: str
    """`audio`, `video` or `screen`."""
    sends: bool
    receives: bool
    payload_types: frozenset[int]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    text: str
    media: tuple[Medium, ...]
    """One for each section, in order."""
    removed_candidates: int


def rebuild(
    text: str,
    kind: Literal["offer", "answer"],
    own_relayed: Collection[TransportAddress],
    foreign_relayed: Container[TransportAddress],
    allowed_media: frozenset[str],
    screen: ScreenDirection | None = None,
    max_bytes: int = MAX_SDP_BYTES,
    limits: Mapping[str, int] = _UNLIMITED,
) -> Rebuilt:
    """Rebuild a description.

    `own_relayed` are the sender's relayed addresses in this session, `foreign_relayed` those of everyone else
    (asked `in` only). Without a `screen` there must be no section for one. `limits` are bits per second, by
    role, of what its reader may send (`b=TIAS`). Raises SdpError, and nothing else, for any text.
    """
    if len(text) > max_bytes or len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise SdpError(SdpCode.TOO_LARGE)
    if text.count("\n") > MAX_SDP_LINES:
        raise SdpError(SdpCode.TOO_LARGE)
    try:
        roles = allowed_media if screen is None else allowed_media | {"screen"}
        session, sections, removed = _parse(text.split("\n"), roles, own_relayed, foreign_relayed)
        for section in sections:
            section.rejected = section.port == 0 and not (section.bundle_only and kind == "offer")
        lines = [*_session_lines(_origin(text), _complete(session, sections, kind))]
    except MalformedSdp:
        raise SdpError(SdpCode.MALFORMED) from None
    for section in sections:
        if section.role == "screen":
            section.direction = _narrowed(section.direction, screen)
        if section.role in limits:
            asked = section.bits_per_second
            section.bits_per_second = min(limits[section.role], asked or limits[section.role])
        lines += media_lines(section)
    return Rebuilt(
        text="".join(f"{line}\r\n" for line in lines),
        media=tuple(map(_medium, sections)),
        removed_candidates=removed,
    )


def _narrowed(direction: str | None, most: str | None) -> str:
    """No more than `most`: what the sender does not do by itself stays undone."""
    return most if most is not None and direction in ("sendrecv", most) else "inactive"


def _medium(section: Section) -> Medium:
    sends = not section.rejected and section.direction in ("sendrecv", "sendonly")
    receives = not section.rejected and section.direction in ("sendrecv", "recvonly")
    kept = section.formats if sends or receives else ()
    return Medium(section.role, sends, receives, frozenset(kept))


def rebuild_candidate(
    text: str, own_relayed: Collection[TransportAddress], foreign_relayed: Container[TransportAddress]
) -> str | None:
    """Rebuild one trickled candidate, with or without `a=`; the result has none.

    Empty text, which marks the end of candidates, stays empty. None: the candidate is removed, count it.
    Raises SdpError, and nothing else, for any text.
    """
    if len(text) > MAX_CANDIDATE_CHARACTERS:
        raise SdpError(SdpCode.TOO_LARGE)
    line = text.strip("\r\n").removeprefix("a=")
    if line in ("", "end-of-candidates"):
        return ""
    return _own_candidate(line, own_relayed, foreign_relayed)


def _own_candidate(
    line: str, own_relayed: Collection[TransportAddress], foreign_relayed: Container[TransportAddress]
) -> str | None:
    candidate = read_candidate(line)
    if candidate is None:
        return None
    if candidate.transport_address in foreign_relayed:
        raise SdpError(SdpCode.FOREIGN_CANDIDATE)
    return str(candidate) if candidate.relayed and candidate.transport_address in own_relayed else None


def _parse(
    lines: list[str],
    roles: frozenset[str],
    own_relayed: Collection[TransportAddress],
    foreign_relayed: Container[TransportAddress],
) -> tuple[Section, list[Section], int]:
    session = current = Section()
    sections: list[Section] = []
    removed = seen = 0
    for raw in lines:
        line = raw.removesuffix("\r")
        if line.startswith("m="):
            current, seen = _open_section(line[2:], roles, sections), 0
            sections.append(current)
        elif line.startswith("a=candidate:"):
            seen += 1
            if seen > MAX_CANDIDATES:
                raise MalformedSdp
            candidate = _own_candidate(line[2:], own_relayed, foreign_relayed)
            if candidate is None or current is session:
                removed += 1
            elif candidate not in current.candidates:
                current.candidates.append(candidate)
        elif line.startswith(("a=", "b=TIAS:")):
            name, _, value = line.removeprefix("a=").partition(":")
            reader = (OF_SESSION if current is session else OF_MEDIA).get(name)
            if reader is not None:
                reader(current, value)
    return session, sections, removed


def _open_section(value: str, roles: frozenset[str], earlier: list[Section]) -> Section:
    kind, *rest = value.split(" ")
    free = roles - {section.role for section in earlier}
    role = next((role for role in _ROLES.get(kind, ()) if role in free), None)
    if role is None:
        raise SdpError(SdpCode.MEDIA_NOT_ALLOWED)
    if len(rest) < 3 or len(rest) > 2 + MAX_FORMATS:
        raise MalformedSdp
    port = read.number(rest[0], 65535)
    if rest[1] != PROTOCOL:
        raise SdpError(SdpCode.MEDIA_NOT_ALLOWED)
    formats = [read.payload_type(text) for text in rest[2:]]
    known = [number for number in formats if number is not None]
    if port is None or len(set(known)) != len(formats):
        raise MalformedSdp
    return Section(kind=kind, role=role, port=port, formats=known)


def _origin(text: str) -> str:
    """The neutral o= line. Session id and version tell one description from the next."""
    version, _, rest = text.partition("\n")
    fields = rest.partition("\n")[0].removesuffix("\r").split(" ")
    if version.removesuffix("\r") != "v=0" or len(fields) != 6 or not fields[0].startswith("o="):
        raise MalformedSdp
    numbers = [read.number(text, 2**64 - 1) for text in fields[1:3]]
    if None in numbers:
        raise MalformedSdp
    return f"o=- {numbers[0]} {numbers[1]} IN IP4 0.0.0.0"


def _complete(session: Section, sections: list[Section], kind: str) -> list[str]:
    """Fill in what sections inherit and check what they need; the result is the BUNDLE group."""
    mids = [section.mid for section in sections]
    if not sections or None in mids or len(set(mids)) != len(mids):
        raise MalformedSdp
    bundle = [mid for mid in dict.fromkeys(session.bundle) if mid in mids]
    carrier = next((s for mid in bundle for s in sections if s.mid == mid and not s.rejected), None)
    for section in ([carrier] if carrier is not None else []) + sections:
        _inherit(section, session)
        if carrier is not None and (section.rejected or section.mid in bundle):
            _inherit(section, carrier)
            section.mux |= carrier.mux
        section.direction = section.direction or session.direction or "sendrecv"
        _keep_known_formats(section)
        if not section.rejected:
            _require(section, kind)
    return bundle


def _inherit(section: Section, source: Section) -> None:
    if section.ufrag is None and section.password is None:
        section.ufrag, section.password = source.ufrag, source.password
    section.setup = section.setup or source.setup
    section.fingerprints = section.fingerprints or source.fingerprints
    section.trickle |= source.trickle


def _require(section: Section, kind: str) -> None:
    identified = section.ufrag is not None and section.password is not None and bool(section.fingerprints)
    settled = section.setup is not None and (kind == "offer" or section.setup != "actpass")
    if not (identified and settled and section.mux and section.formats):
        raise MalformedSdp


def _keep_known_formats(section: Section) -> None:
    static = read.STATIC_PAYLOAD_TYPES[section.kind]
    media = {n for n in section.formats if n in static or section.codecs.get(n, ("rtx",))[0] != "rtx"}
    repaired = {f"apt={n}" for n in media}
    kept = [
        n
        for n in section.formats
        if n in media or (n in section.codecs and section.parameters.get(n) in repaired)
    ]
    section.formats = kept or (section.formats if section.rejected else [])


def _session_lines(origin: str, bundle: list[str]) -> Iterator[str]:
    yield from ("v=0", origin, "s=-", "t=0 0")
    if bundle:
        yield f"a=group:BUNDLE {' '.join(bundle)}"
    yield "a=msid-semantic: WMS *"

"""A section of a session description: what may stand in it, read by attribute and printed in one order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from broker.core import sdp_attributes as read

MAX_SOURCES = 32
MAX_MSIDS = 4
MAX_BITS_PER_SECOND = 1_000_000_000
PROTOCOL = "UDP/TLS/RTP/SAVPF"

_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


class MalformedSdp(ValueError):  # noqa: N818 - internal: named after the answer it becomes
    """Internal to these files; `rebuild` answers with its SdpError."""


@dataclass(slots=True)
class Section:
    """One media section, or the session's part with what media inherit from it."""

    kind: str = ""
    role: str = ""
    """`audio`, `video` or, for a video section beyond the call's own, `screen`."""
    rejected: bool = False
    port: int = 9
    formats: list[int] = field(default_factory=list)
    mid: str | None = None
    direction: str | None = None
    ufrag: str | None = None
    password: str | None = None
    trickle: bool = False
    fingerprints: dict[str, str] = field(default_factory=dict)
    setup: str | None = None
    mux: bool = False
    reduced_size: bool = False
    bundle_only: bool = False
    bits_per_second: int | None = None
    bundle: list[str] = field(default_factory=list)
    msids: list[str] = field(default_factory=list)
    codecs: dict[int, tuple[str, str]] = field(default_factory=dict)
    parameters: dict[int, str] = field(default_factory=dict)
    feedback: dict[str, list[str]] = field(default_factory=dict)
    extensions: dict[int, str] = field(default_factory=dict)
    sources: dict[int, list[str]] = field(default_factory=dict)
    source_groups: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    complete: bool = False


def media_lines(section: Section) -> Iterator[str]:
    port = 0 if section.port == 0 else 9
    yield f"m={section.kind} {port} {PROTOCOL} {' '.join(map(str, section.formats))}"
    yield "c=IN IP4 0.0.0.0"
    if section.bits_per_second is not None:
        yield f"b=TIAS:{section.bits_per_second}"
    yield "a=rtcp:9 IN IP4 0.0.0.0"
    if not section.rejected:
        yield from (f"a={candidate}" for candidate in section.candidates)
        if section.complete:
            yield "a=end-of-candidates"
        if section.port == 0:
            yield "a=bundle-only"
    yield from _transport_lines(section)
    yield f"a=mid:{section.mid}"
    yield f"a={section.direction}"
    yield from (f"a=extmap:{text}" for text in section.extensions.values())
    yield from (f"a=msid:{text}" for text in section.msids)
    yield from _format_lines(section)
    for semantics, sources in section.source_groups:
        yield f"a=ssrc-group:{semantics} {' '.join(map(str, sources))}"
    for source, msids in section.sources.items():
        yield f"a=ssrc:{source} cname:-"
        yield from (f"a=ssrc:{source} msid:{text}" for text in msids)


def _transport_lines(section: Section) -> Iterator[str]:
    if section.ufrag is not None and section.password is not None:
        yield f"a=ice-ufrag:{section.ufrag}"
        yield f"a=ice-pwd:{section.password}"
    if section.trickle:
        yield "a=ice-options:trickle"
    yield from (f"a=fingerprint:{function} {text}" for function, text in section.fingerprints.items())
    if section.setup is not None:
        yield f"a=setup:{section.setup}"
    if section.mux:
        yield "a=rtcp-mux"
    if section.reduced_size:
        yield "a=rtcp-rsize"


def _format_lines(section: Section) -> Iterator[str]:
    yield from (f"a=rtcp-fb:* {text}" for text in section.feedback.get("*", ()))
    for kind in section.formats:
        if kind in section.codecs:
            yield f"a=rtpmap:{kind} {section.codecs[kind][1]}"
        yield from (f"a=rtcp-fb:{kind} {text}" for text in section.feedback.get(str(kind), ()))
        if kind in section.parameters:
            yield f"a=fmtp:{kind} {section.parameters[kind]}"


def _once(section: Section, name: str, value: str | None) -> None:
    """Set what a section has once; a second, different value would leave the reader to choose."""
    if value is None or getattr(section, name) not in (None, value):
        raise MalformedSdp
    setattr(section, name, value)


def _add_fingerprint(section: Section, value: str) -> None:
    parsed = read.fingerprint(value)
    if parsed is not None:
        section.fingerprints.setdefault(*parsed)


def _add_bundle(section: Section, value: str) -> None:
    semantics, *mids = value.split(" ")
    if semantics == "BUNDLE" and not section.bundle:
        section.bundle = [mid for mid in mids if read.mid(mid) is not None]


def _add_msid(section: Section, value: str) -> None:
    parsed = read.msid(value)
    if parsed is not None and parsed not in section.msids and len(section.msids) < MAX_MSIDS:
        section.msids.append(parsed)


def _add_rtpmap(section: Section, value: str) -> None:
    parsed = read.rtpmap(value)
    if parsed is not None:
        section.codecs.setdefault(parsed[0], parsed[1:])


def _add_fmtp(section: Section, value: str) -> None:
    parsed = read.fmtp(value)
    if parsed is not None:
        section.parameters.setdefault(*parsed)


def _add_feedback(section: Section, value: str) -> None:
    parsed = read.feedback(value)
    if parsed is not None and parsed[1] not in section.feedback.setdefault(parsed[0], []):
        section.feedback[parsed[0]].append(parsed[1])


def _add_extension(section: Section, value: str) -> None:
    parsed = read.extmap(value)
    if parsed is not None:
        section.extensions.setdefault(*parsed)


def _add_source(section: Section, value: str) -> None:
    parsed = read.ssrc(value)
    if parsed is None:
        return
    source, msid = parsed
    msids = section.sources.setdefault(source, [])
    if msid is not None and not msids:
        msids.append(msid)
    if len(section.sources) > MAX_SOURCES:
        raise MalformedSdp


def _add_source_group(section: Section, value: str) -> None:
    parsed = read.ssrc_group(value)
    if parsed is not None and parsed not in section.source_groups:
        section.source_groups.append(parsed)
    if len(section.source_groups) > MAX_SOURCES:
        raise MalformedSdp


def _set_trickle(section: Section, value: str) -> None:
    section.trickle |= "trickle" in value.split(" ")


def _set_setup(section: Section, value: str) -> None:
    _once(section, "setup", value if value in ("actpass", "active", "passive") else None)


Reader = Callable[[Section, str], None]


def _set_bits_per_second(section: Section, value: str) -> None:
    section.bits_per_second = read.number(value, MAX_BITS_PER_SECOND)


def _flag(name: str) -> Reader:
    return lambda section, _: setattr(section, name, True)


def _direction(direction: str) -> Reader:
    return lambda section, _: _once(section, "direction", direction)


_INHERITED: dict[str, Reader] = {
    "ice-ufrag": lambda section, value: _once(section, "ufrag", read.ufrag(value)),
    "ice-pwd": lambda section, value: _once(section, "password", read.password(value)),
    "ice-options": _set_trickle,
    "fingerprint": _add_fingerprint,
    "setup": _set_setup,
    **{direction: _direction(direction) for direction in _DIRECTIONS},
}
OF_SESSION = _INHERITED | {"group": _add_bundle}
OF_MEDIA = _INHERITED | {
    "mid": lambda section, value: _once(section, "mid", read.mid(value)),
    "rtcp-mux": _flag("mux"),
    "rtcp-rsize": _flag("reduced_size"),
    "bundle-only": _flag("bundle_only"),
    "end-of-candidates": _flag("complete"),
    "b=TIAS": _set_bits_per_second,
    "msid": _add_msid,
    "rtpmap": _add_rtpmap,
    "fmtp": _add_fmtp,
    "rtcp-fb": _add_feedback,
    "extmap": _add_extension,
    "ssrc": _add_source,
    "ssrc-group": _add_source_group,
}

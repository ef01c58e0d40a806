"""The attributes of a media description that may pass, each read into values and printed anew from them.

Every function takes what stands right of the attribute's colon and returns canonical text, or None where it
is not exactly of the known form. Outside closed lists, no class of characters admits a dot or an @, and none
but fingerprints a colon: no address, host name or mail address passes.
"""

from __future__ import annotations

import re

MAX_PAYLOAD_TYPE = 127
_RTCP_RANGE = range(64, 96)
"""With rtcp-mux these payload types cannot be told from RTCP (RFC 5761 section 4)."""

_CODECS = {
    name.lower(): name
    for name in (
        *("opus", "red", "G722", "PCMU", "PCMA", "CN", "telephone-event"),
        *("VP8", "VP9", "AV1", "H264", "H265", "rtx", "ulpfec", "flexfec-03"),
    )
}
STATIC_PAYLOAD_TYPES = {"audio": frozenset({0, 8, 9, 13}), "video": frozenset[int]()}
"""Those of the codecs above that need no rtpmap (RFC 3551 section 6)."""

_FORMAT_PARAMETERS = frozenset(
    (
        *("minptime", "maxptime", "ptime", "useinbandfec", "usedtx", "stereo", "sprop-stereo", "cbr"),
        *("maxplaybackrate", "sprop-maxcapturerate", "maxaveragebitrate"),
        *("apt", "rtx-time", "repair-window"),
        *("level-asymmetry-allowed", "packetization-mode", "profile-level-id", "max-fr", "max-fs"),
        *("profile-id", "profile", "level-idx", "tier", "level-id", "tier-flag", "tx-mode"),
    )
)
_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "ccm tmmbr", "goog-remb", "transport-cc"})
_EXTENSIONS = frozenset(
    {
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "urn:ietf:params:rtp-hdrext:sdes:mid",
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
        "urn:ietf:params:rtp-hdrext:toffset",
        "urn:3gpp:video-orientation",
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
        "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00",
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
    }
)
_HASH_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""SHA-1 and MD5 fingerprints do not pass: they do not bind a certificate."""
_GROUP_SIZES = {"FID": range(2, 3), "FEC-FR": range(2, 3), "SIM": range(2, 5)}

_ICE = "[A-Za-z0-9+/]"
_UFRAG = re.compile(f"{_ICE}{{4,64}}")
_PASSWORD = re.compile(f"{_ICE}{{22,128}}")
_MID = re.compile("[A-Za-z0-9]{1,16}")
_ID = "[A-Za-z0-9{}_-]{1,64}"
_MSID = re.compile(f"{_ID}(?: {_ID})?")
_FINGERPRINT = re.compile("([A-Za-z0-9-]{1,16}) ([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,63})")
_RTPMAP = re.compile("([0-9]{1,3}) ([A-Za-z0-9-]{1,32})/([0-9]{1,6})(?:/([1-9]))?")
_PARAMETER = re.compile("([a-z-]{1,32})=([A-Za-z0-9]{1,16})")
_NUMBERS = re.compile("[0-9]{1,3}(?:[-/,][0-9]{1,3}){0,15}")
_EXTMAP = re.compile("([0-9]{1,2})(/sendrecv|/sendonly|/recvonly|/inactive)? ([!-~]{1,128})")
_SSRC = re.compile("([0-9]{1,10}) (?:cname:[ -~]{0,255}|(msid:[ -~]{1,255}))")


def number(text: str, highest: int) -> int | None:
    """A decimal number from 0 to `highest`, of at most twenty digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        return None
    value = int(text)
    return value if value <= highest else None


def payload_type(text: str) -> int | None:
    value = number(text, MAX_PAYLOAD_TYPE)
    return None if value is None or value in _RTCP_RANGE else value


def ufrag(value: str) -> str | None:
    return value if _UFRAG.fullmatch(value) else None


def password(value: str) -> str | None:
    return value if _PASSWORD.fullmatch(value) else None


def mid(value: str) -> str | None:
    return value if _MID.fullmatch(value) else None


def msid(value: str) -> str | None:
    """Ids of stream and track."""
    return value if _MSID.fullmatch(value) else None


def fingerprint(value: str) -> tuple[str, str] | None:
    """(hash function, the fingerprint in upper case)."""
    match = _FINGERPRINT.fullmatch(value)
    if match is None or len(match[2]) != _HASH_BYTES.get(match[1].lower(), 0) * 3 - 1:
        return None
    return match[1].lower(), match[2].upper()


def rtpmap(value: str) -> tuple[int, str, str] | None:
    """(payload type, codec, `codec/clock rate[/channels]`)."""
    match = _RTPMAP.fullmatch(value)
    if match is None:
        return None
    kind, codec = payload_type(match[1]), _CODECS.get(match[2].lower())
    if kind is None or codec is None:
        return None
    channels = f"/{match[4]}" if match[4] else ""
    return kind, codec, f"{codec}/{int(match[3])}{channels}"


def fmtp(value: str) -> tuple[int, str] | None:
    """(payload type, its parameters): known names with letters and digits, or numbers as in RED and DTMF."""
    head, _, rest = value.partition(" ")
    kind = payload_type(head)
    if kind is None or len(rest) > 512:
        return None
    if _NUMBERS.fullmatch(rest):
        return kind, re.sub("[0-9]+", lambda digits: str(int(digits[0])), rest)
    kept: dict[str, str] = {}
    for parameter in rest.split(";"):
        match = _PARAMETER.fullmatch(parameter.strip(" "))
        if match is not None and match[1] in _FORMAT_PARAMETERS:
            kept.setdefault(match[1], match[2])
    return (kind, ";".join(f"{name}={text}" for name, text in kept.items())) if kept else None


def feedback(value: str) -> tuple[str, str] | None:
    """(payload type or `*`, feedback message)."""
    head, _, rest = value.partition(" ")
    kind = payload_type(head)
    if rest not in _FEEDBACK or (kind is None and head != "*"):
        return None
    return ("*" if kind is None else str(kind)), rest


def extmap(value: str) -> tuple[int, str] | None:
    """(id, `id[/direction] URI`). Ids above 14 need two-byte headers, which are not offered on."""
    match = _EXTMAP.fullmatch(value)
    if match is None or not 1 <= int(match[1]) <= 14 or match[3] not in _EXTENSIONS:
        return None
    return int(match[1]), f"{int(match[1])}{match[2] or ''} {match[3]}"


def ssrc(value: str) -> tuple[int, str | None] | None:
    """(source, its msid). The cname is dropped here and printed neutral: clients put host names into it."""
    match = _SSRC.fullmatch(value)
    source = number(match[1], 2**32 - 1) if match is not None else None
    if match is None or source is None:
        return None
    return source, msid(match[2].removeprefix("msid:")) if match[2] else None


def ssrc_group(value: str) -> tuple[str, tuple[int, ...]] | None:
    """(semantics, sources)."""
    semantics, *texts = value.split(" ")
    if len(texts) not in _GROUP_SIZES.get(semantics, ()):
        return None
    sources = [number(text, 2**32 - 1) for text in texts]
    known = tuple(source for source in sources if source is not None)
    return (semantics, known) if len(known) == len(texts) else None

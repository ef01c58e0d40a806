"""What holds of every description: captured ones, broken ones, and ones made to get something past."""

from __future__ import annotations

import re
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.sdp import Rebuilt, ScreenDirection, SdpError, rebuild, rebuild_candidate

SAMPLES = [
    path.read_bytes().decode()
    for path in sorted((Path(__file__).parents[1] / "wire" / "sdp").glob("*.sdp"))
    if "data" not in path.name
]
Kind = Literal["offer", "answer"]
kinds: st.SearchStrategy[Kind] = st.sampled_from(["offer", "answer"])
OWN = {("198.18.0.1", 61000), ("198.18.0.1", 61001), ("2001:db8::1", 61000)}
FOREIGN = {("198.18.0.2", 61000)}
BOTH = frozenset({"audio", "video"})
MOST = {"sendonly": (True, False), "recvonly": (False, True), "inactive": (False, False)}
screens: st.SearchStrategy[ScreenDirection | None] = st.sampled_from(
    [None, "sendonly", "recvonly", "inactive"]
)

LINE = re.compile(
    r"v=0|o=- [0-9]{1,20} [0-9]{1,20} IN IP4 0\.0\.0\.0|s=-|t=0 0|c=IN IP4 0\.0\.0\.0|b=TIAS:[0-9]{1,10}"
    r"|m=(audio|video) [09] UDP/TLS/RTP/SAVPF( [0-9]{1,3}){1,64}"
    r"|a=group:BUNDLE( [A-Za-z0-9]{1,16})+|a=msid-semantic: WMS \*|a=mid:[A-Za-z0-9]{1,16}"
    r"|a=rtcp:9 IN IP4 0\.0\.0\.0|a=(end-of-candidates|bundle-only|rtcp-mux|rtcp-rsize)"
    r"|a=candidate:[0-9a-f]+p[0-9a-f]+ 1 udp [0-9]{1,10} [0-9a-f.:]+ [0-9]{1,5} typ relay"
    r" raddr 0\.0\.0\.0 rport 9( ufrag [A-Za-z0-9+/]{4,64})?"
    r"|a=(sendrecv|sendonly|recvonly|inactive)|a=setup:(actpass|active|passive)|a=ice-options:trickle"
    r"|a=ice-(ufrag|pwd):[A-Za-z0-9+/]{4,128}"
    r"|a=fingerprint:sha-(256|384|512) [0-9A-F]{2}(:[0-9A-F]{2}){31,63}"
    r"|a=extmap:[0-9]{1,2}(/[a-z]+)? (urn:|http)[!-~]+|a=msid:[A-Za-z0-9{}_-]+( [A-Za-z0-9{}_-]+)?"
    r"|a=rtpmap:[0-9]{1,3} [A-Za-z0-9-]+/[0-9]{1,6}(/[1-9])?|a=fmtp:[0-9]{1,3} [A-Za-z0-9=;,/-]+"
    r"|a=rtcp-fb:([0-9]{1,3}|\*) [a-z -]+|a=ssrc-group:(FID|SIM|FEC-FR)( [0-9]{1,10})+"
    r"|a=ssrc:[0-9]{1,10} (cname:-|msid:[A-Za-z0-9{}_-]+( [A-Za-z0-9{}_-]+)?)"
)
DOTTED = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")


def attempt(text: str, kind: Kind, screen: ScreenDirection | None = None) -> Rebuilt | None:
    """The result, or None when refused; any other exception fails the test."""
    try:
        return rebuild(text, kind, OWN, FOREIGN, BOTH, screen)
    except SdpError:
        return None


def assert_safe(rebuilt: Rebuilt, kind: Kind, screen: ScreenDirection | None) -> None:
    lines = rebuilt.text.split("\r\n")
    assert lines.pop() == ""
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    own_texts = {address for address, _ in OWN}
    for line in lines:
        if line.startswith("a=candidate:"):
            fields = line.split(" ")
            assert (fields[4], int(fields[5])) in OWN
        assert set(DOTTED.findall(line)) <= own_texts | {"0.0.0.0"}
        for word in re.split(r"[ =;,/]", line):
            if ":" in word and is_address(word):
                assert word in own_texts
    roles = [medium.role for medium in rebuilt.media]
    assert len(roles) == len(set(roles)) == rebuilt.text.count("\r\nm=")
    assert set(roles) <= BOTH | ({"screen"} if screen else set())
    for medium in rebuilt.media:
        assert all(0 <= number <= 127 and not 64 <= number <= 95 for number in medium.payload_types)
        assert medium.sends or medium.receives or not medium.payload_types
        sends, receives = MOST[screen] if screen and medium.role == "screen" else (True, True)
        assert medium.sends <= sends
        assert medium.receives <= receives
    fixed = rebuild(rebuilt.text, kind, OWN, FOREIGN, BOTH, screen)
    assert fixed.text == rebuilt.text
    assert fixed.removed_candidates == 0
    assert fixed.media == rebuilt.media


def is_address(word: str) -> bool:
    try:
        ip_address(word)
    except ValueError:
        return False
    return True


def check(text: str, kind: Kind, screen: ScreenDirection | None = None) -> Rebuilt | None:
    rebuilt = attempt(text, kind, screen)
    if rebuilt is not None:
        assert_safe(rebuilt, kind, screen)
    return rebuilt


@given(st.text(), kinds)
def test_arbitrary_text_is_refused_or_safe(text: str, kind: Kind) -> None:
    check(text, kind)


@given(st.sampled_from(SAMPLES), kinds, st.data())
def test_a_real_description_with_mutated_characters_is_refused_or_safe(
    text: str, kind: Kind, data: st.DataObject
) -> None:
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        length = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.text(max_size=8)) + text[at + length :]
    check(text, kind)


NAMES = [
    *(
        "mid",
        "msid",
        "label",
        "cname",
        "rtcp",
        "rtpmap",
        "fmtp",
        "rtcp-fb",
        "extmap",
        "ssrc",
        "ssrc-group",
        "setup",
    ),
    *(
        "fingerprint",
        "ice-ufrag",
        "ice-pwd",
        "ice-options",
        "group",
        "candidate",
        "rtcp-mux",
        "sctp-port",
        "crypto",
    ),
    *("x-new", "sendonly", "inactive", "bundle-only", "end-of-candidates"),
]
HOSTS = ["10.1.2.3", "198.18.0.1", "198.18.0.2", "::1", "2001:db8::1", "fe80::1%eth0", "ws17.corp.example"]
addresses = st.one_of(
    st.sampled_from(
        ["10.1.2.3", "198.18.0.1", "198.18.0.2", "::1", "2001:db8::1", "fe80::1%eth0", "ws17.corp.example"]
    ),
    st.ip_addresses().map(str),
)
secrets = st.one_of(addresses, st.sampled_from(["ada@example.org", "ws17", "\u0661", "-", "0", "{x}", ""]))
ports = st.sampled_from([0, 9, 61000, 61001, 65535, 65536])
numbers = st.one_of(st.integers(0, 130), st.integers(0, 2**70))


@st.composite
def hostile_lines(draw: st.DrawFn) -> str:
    secret, address, port, number = draw(secrets), draw(addresses), draw(ports), draw(numbers)
    return draw(
        st.sampled_from(
            [
                f"a=candidate:{secret or 1} 1 udp 7 {address} {port} typ relay raddr {address} rport 9",
                f"a=candidate:1 1 udp {number} 198.18.0.1 61000 typ relay ufrag {secret}",
                f"a=candidate:1 {number} tcp 1 {address} {port} typ host tcptype active",
                f"c=IN IP4 {address}",
                f"a=rtcp:{port} IN IP4 {address}",
                f"a=msid:{secret} {secret}",
                f"a=ssrc:{number} cname:{secret}",
                f"a=ssrc:{number} msid:{secret} {address}",
                f"a=ssrc-group:FID {number} {secret}",
                f"a=fmtp:{number} minptime={secret};x-host={address}",
                f"a=fmtp:111 profile-id={secret};{secret}",
                f"a=rtpmap:{number} {secret}/8000",
                f"a=rtpmap:{number} VP8/{number}",
                f"a=extmap:{number} http://{address}/",
                f"a=extmap:3/{secret} urn:ietf:params:rtp-hdrext:sdes:mid",
                f"m=audio {port} UDP/TLS/RTP/SAVPF {number}",
                f"m=video {port} UDP/TLS/RTP/SAVPF 96 {number}",
                f"m=application {port} UDP/DTLS/SCTP webrtc-datachannel",
                f"a={draw(st.sampled_from(NAMES))}:{secret} {address}",
                f"a={draw(st.sampled_from(NAMES))}:{secret}",
                f"a={draw(st.sampled_from(NAMES))}",
                f"b=TIAS:{number}",
                f"i={secret}",
                f"\ra=candidate:1 1 udp 1 {address} 9 typ host",
            ]
        )
    )


@given(
    st.sampled_from(SAMPLES),
    kinds,
    screens,
    st.lists(st.tuples(st.integers(0, 400), hostile_lines()), max_size=6),
)
def test_a_real_description_with_hostile_lines_in_it_is_refused_or_safe(
    text: str, kind: Kind, screen: ScreenDirection | None, inserted: list[tuple[int, str]]
) -> None:
    lines = text.split("\r\n")
    for at, line in inserted:
        lines.insert(1 + at % len(lines), line)
    check("\r\n".join(lines), kind, screen)


with_screen = st.lists(
    st.one_of(hostile_lines(), st.sampled_from(["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"])),
    max_size=4,
)


@given(st.sampled_from(SAMPLES), kinds, screens, st.sampled_from([0, 9]), with_screen)
def test_a_real_description_with_a_screen_in_it_is_refused_or_safe(
    text: str, kind: Kind, screen: ScreenDirection | None, port: int, lines: list[str]
) -> None:
    section = [
        *(f"m=video {port} UDP/TLS/RTP/SAVPF 96", "a=mid:screen", "a=rtpmap:96 VP8/90000", "a=rtcp-mux"),
        *("a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv", "a=setup:active"),
        *(f"a=fingerprint:SHA-256 {':'.join(['ab'] * 32)}", *lines),
    ]
    check(text + "".join(f"{line}\r\n" for line in section), kind, screen)


@given(kinds, st.lists(hostile_lines(), max_size=12), st.lists(hostile_lines(), max_size=12), st.booleans())
def test_a_description_written_by_grammar_is_refused_or_safe(
    kind: Kind, of_session: list[str], of_media: list[str], bundled: bool
) -> None:
    lines = [
        *("v=0", "o=ada 1 2 IN IP4 10.1.2.3", "s=Ada", "t=0 0", *of_session),
        *(["a=group:BUNDLE a"] if bundled else []),
        *("m=audio 9 UDP/TLS/RTP/SAVPF 111 0", "a=mid:a", "a=rtpmap:111 OPUS/48000/2"),
        *("a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv", "a=rtcp-mux", "a=setup:active"),
        *(f"a=fingerprint:SHA-256 {':'.join(['ab'] * 32)}", *of_media),
    ]
    check("\n".join(lines), kind)


def test_every_captured_description_passes_as_what_it_is() -> None:
    assert len(SAMPLES) == 11
    passed = [check(text, "answer" if "a=setup:active" in text else "offer") for text in SAMPLES]
    assert None not in passed


@given(st.one_of(st.text(), hostile_lines().map(lambda line: line.removeprefix("a="))))
def test_a_trickled_candidate_is_refused_removed_or_safe(text: str) -> None:
    try:
        rebuilt = rebuild_candidate(text, OWN, FOREIGN)
    except SdpError:
        return
    if rebuilt:
        assert LINE.fullmatch(f"a={rebuilt}")
        assert (rebuilt.split(" ")[4], int(rebuilt.split(" ")[5])) in OWN
        assert rebuild_candidate(rebuilt, OWN, FOREIGN) == rebuilt


@pytest.mark.parametrize(
    "line",
    [
        "a=fmtp:111 " + "x=1;" * 20,
        "a=rtcp-fb:111 nack",
        "a=ssrc:1 cname:x",
        "a=msid:a b",
        "a=group:BUNDLE a",
        "a=ice-options:trickle",
        "a=x",
        "",
    ],
)
def test_work_grows_with_the_text_and_no_faster(line: str) -> None:
    small, large = (calls_for(SAMPLES[0] + f"{line}\r\n" * count) for count in (100, 400))
    assert large <= small * 4


def calls_for(text: str) -> int:
    """Function calls, the interpreter's own included, that rebuilding takes: the same in every run."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        attempt(text, "offer")
    finally:
        sys.setprofile(None)
    return calls

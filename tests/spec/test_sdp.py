"""Session descriptions: what passes, what vanishes, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from broker.core.errors import TABLE
from broker.core.sdp import MAX_SDP_LINES, Rebuilt, SdpCode, SdpError, rebuild, rebuild_candidate

SAMPLES = Path(__file__).parents[1] / "wire" / "sdp"
BOTH = frozenset({"audio", "video"})
OWN = ("198.18.0.1", 61000)
FOREIGN = ("198.18.0.2", 61001)
RELAY = (
    "candidate:1432586431 1 udp 58597631 198.18.0.1 61000 typ relay raddr 10.1.2.3 rport 40001 generation 0"
)
REBUILT_RELAY = "candidate:c6120001pee48 1 udp 58597631 198.18.0.1 61000 typ relay raddr 0.0.0.0 rport 9"


def sample(name: str) -> str:
    return (SAMPLES / f"{name}.sdp").read_bytes().decode()


def audio(*lines: str, session: tuple[str, ...] = (), formats: str = "111") -> str:
    """A minimal audio offer with more lines in it."""
    always = (
        *("v=0", "o=- 7 2 IN IP4 127.0.0.1", "s=-", "t=0 0", *session),
        *(f"m=audio 9 UDP/TLS/RTP/SAVPF {formats}", "c=IN IP4 0.0.0.0", "a=ice-ufrag:abcd"),
        *(
            "a=ice-pwd:abcdefghijklmnopqrstuv",
            f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}",
            "a=setup:actpass",
        ),
        *("a=mid:0", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2", *lines),
    )
    return "".join(f"{line}\r\n" for line in always)


def again(
    text: str,
    kind: Literal["offer", "answer"] = "offer",
    media: frozenset[str] = BOTH,
    max_bytes: int = 49_152,
    screen: Literal["sendonly", "recvonly", "inactive"] | None = None,
) -> Rebuilt:
    return rebuild(text, kind, {OWN}, {FOREIGN}, media, screen, max_bytes)


def carried(rebuilt: Rebuilt) -> tuple[str, ...]:
    """The media of which anything passes, in order."""
    return tuple(medium.role for medium in rebuilt.media if medium.sends or medium.receives)


def payload_types(rebuilt: Rebuilt, *roles: str) -> frozenset[int]:
    media = (medium for medium in rebuilt.media if not roles or medium.role in roles)
    return frozenset(number for medium in media for number in medium.payload_types)


def refusal(text: str, kind: Literal["offer", "answer"] = "offer", media: frozenset[str] = BOTH) -> SdpCode:
    with pytest.raises(SdpError) as caught:
        again(text, kind, media)
    return caught.value.code


def test_a_minimal_offer_is_rebuilt_line_by_line() -> None:
    rebuilt = again(
        audio(f"a={RELAY}", "b=TIAS:64000", "a=end-of-candidates", "a=ssrc:5 cname:ada@example.org")
    )
    assert rebuilt.text.split("\r\n") == [
        "v=0",
        "o=- 7 2 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=msid-semantic: WMS *",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "b=TIAS:64000",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a={REBUILT_RELAY}",
        "a=end-of-candidates",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuv",
        f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}",
        "a=setup:actpass",
        "a=rtcp-mux",
        "a=mid:0",
        "a=sendrecv",
        "a=rtpmap:111 opus/48000/2",
        "a=ssrc:5 cname:-",
        "",
    ]
    assert payload_types(rebuilt) == payload_types(rebuilt, "audio") == frozenset({111})
    assert (carried(rebuilt), rebuilt.removed_candidates) == (("audio",), 0)


def test_every_code_has_a_row_in_the_table_of_errors() -> None:
    assert {code for code in SdpCode if code not in TABLE} == set()


class TestCandidates:
    def test_only_the_senders_own_relayed_address_survives(self) -> None:
        lines = [
            f"a={RELAY}",
            "a=candidate:1 1 udp 2122194687 10.1.2.3 50988 typ host generation 0 network-id 1",
            "a=candidate:2 1 udp 2122265343 fd00::2 47787 typ host",
            "a=candidate:3 1 tcp 1518214911 10.1.2.3 9 typ host tcptype active",
            "a=candidate:4 1 udp 1685987071 203.0.113.9 50988 typ srflx raddr 10.1.2.3 rport 50988",
            "a=candidate:5 1 udp 2122194687 0f2d1c7e-9f0d-4a6e-9f0e-0c1b2a3d4e5f.local 50988 typ host",
            "a=candidate:6 1 udp 58597631 198.18.0.9 61000 typ relay raddr 0.0.0.0 rport 0",
            "a=candidate:7 2 udp 58597630 198.18.0.1 61000 typ relay raddr 0.0.0.0 rport 0",
            "a=candidate:8 1 udp 58597630 198.18.0.1 61000 typ host",
            "a=candidate:9 1 tcp 58597630 198.18.0.1 61000 typ relay raddr 0.0.0.0 rport 0",
            "a=candidate:nonsense",
        ]
        rebuilt = again(audio(*lines))
        assert rebuilt.removed_candidates == 10
        assert [line for line in rebuilt.text.split("\r\n") if "candidate" in line] == [f"a={REBUILT_RELAY}"]

    @pytest.mark.parametrize("kind", ["host", "srflx", "relay"])
    @pytest.mark.parametrize("address", ["198.18.0.2", "::ffff:198.18.0.2", "::FFFF:C612:2"])
    def test_naming_someone_elses_relayed_address_is_refused(self, kind: str, address: str) -> None:
        line = f"candidate:1 1 udp 1 {address} 61001 typ {kind}"
        assert refusal(audio(f"a={line}")) is SdpCode.FOREIGN_CANDIDATE
        assert refusal(audio(session=(f"a={line}",))) is SdpCode.FOREIGN_CANDIDATE
        with pytest.raises(SdpError, match="SDP_FOREIGN_CANDIDATE"):
            rebuild_candidate(line, {OWN}, {FOREIGN})

    def test_an_ipv6_relayed_address_passes_in_its_canonical_spelling(self) -> None:
        line = "candidate:1 1 UDP 5 2001:DB8:0:0::1 61000 typ relay raddr ::1 rport 5"
        assert rebuild_candidate(line, {("2001:db8::1", 61000)}, set()) == (
            "candidate:1pee48 1 udp 5 2001:db8::1 61000 typ relay raddr 0.0.0.0 rport 9"
        )

    def test_candidates_before_the_first_media_are_removed(self) -> None:
        rebuilt = again(audio(session=(f"a={RELAY}",)))
        assert (rebuilt.removed_candidates, "typ relay" in rebuilt.text) == (1, False)

    def test_a_trickled_candidate_keeps_its_ice_generation_and_nothing_else(self) -> None:
        line = f"{RELAY} ufrag dGeY network-id 1 network-cost 50 x-host ws17.corp.example"
        assert rebuild_candidate(line, {OWN}, set()) == f"{REBUILT_RELAY} ufrag dGeY"
        assert rebuild_candidate(f"a={line}\r\n", {OWN}, set()) == f"{REBUILT_RELAY} ufrag dGeY"

    @pytest.mark.parametrize("end", ["", "a=end-of-candidates", "end-of-candidates"])
    def test_the_end_of_candidates_passes(self, end: str) -> None:
        assert rebuild_candidate(end, {OWN}, set()) == ""

    @pytest.mark.parametrize(
        "line",
        [
            "candidate:1 1 udp 1 10.0.0.1 9 typ host",
            f"{RELAY}\r\na=candidate:1 1 udp 1 10.0.0.1 9 typ host",
            RELAY.replace("61000", "61001"),
            RELAY.replace("61000", "99999"),
            RELAY.replace("198.18.0.1", "198.18.0.01"),
            RELAY.replace("58597631", "0"),
            RELAY.replace(" udp", "  udp"),
            "fe80::1%eth0",
            "nonsense",
        ],
    )
    def test_any_other_trickled_candidate_is_removed(self, line: str) -> None:
        assert rebuild_candidate(line, {OWN}, {FOREIGN}) is None

    def test_a_long_candidate_and_very_many_are_refused(self) -> None:
        with pytest.raises(SdpError, match="SDP_TOO_LARGE"):
            rebuild_candidate("candidate:" + "1" * 600, {OWN}, set())
        assert refusal(audio(*[f"a={RELAY}"] * 65)) is SdpCode.MALFORMED
        assert again(audio(*[f"a={RELAY}"] * 64)).text.count("typ relay") == 1


class TestMedia:
    @pytest.mark.parametrize("name", ["chromium-data-offer", "aiortc-data-offer"])
    def test_data_channels_never_pass(self, name: str) -> None:
        assert refusal(sample(name)) is SdpCode.MEDIA_NOT_ALLOWED
        assert refusal(sample(name), "answer") is SdpCode.MEDIA_NOT_ALLOWED

    def test_a_rejected_data_channel_does_not_pass_either(self) -> None:
        text = audio("m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:1")
        assert refusal(text, "answer") is SdpCode.MEDIA_NOT_ALLOWED

    def test_media_beyond_what_was_granted_is_refused(self) -> None:
        assert refusal(sample("chromium-offer"), media=frozenset({"audio"})) is SdpCode.MEDIA_NOT_ALLOWED
        assert carried(again(sample("chromium-audio-offer"), media=frozenset({"audio"}))) == ("audio",)
        assert refusal(sample("chromium-audio-offer"), media=frozenset()) is SdpCode.MEDIA_NOT_ALLOWED

    def test_two_media_of_one_kind_are_refused(self) -> None:
        twice = audio() + audio()[audio().index("m=") :].replace("mid:0", "mid:1")
        assert refusal(twice) is SdpCode.MEDIA_NOT_ALLOWED

    @pytest.mark.parametrize(
        "protocol", ["RTP/AVP", "RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "UDP/DTLS/SCTP", "udp"]
    )
    def test_only_dtls_srtp_over_udp_passes(self, protocol: str) -> None:
        assert refusal(audio().replace("UDP/TLS/RTP/SAVPF", protocol)) is SdpCode.MEDIA_NOT_ALLOWED

    @pytest.mark.parametrize("kind", ["text", "message", "image", "x-mine", "AUDIO", ""])
    def test_no_other_kind_of_media_passes(self, kind: str) -> None:
        assert refusal(audio().replace("m=audio", f"m={kind}")) is SdpCode.MEDIA_NOT_ALLOWED

    def test_an_answer_may_reject_media_whose_payload_types_then_do_not_count(self) -> None:
        rebuilt = again(sample("chromium-stopped-answer"), "answer")
        assert carried(rebuilt) == ("audio",)
        assert payload_types(rebuilt) == payload_types(rebuilt, "audio") == {0, 8, 9, 13, 63, 110, 111, 126}
        assert "\r\nm=video 0 UDP/TLS/RTP/SAVPF 96 " in rebuilt.text

    def test_bundle_only_media_of_an_offer_are_not_rejected(self) -> None:
        text = audio("a=bundle-only").replace("m=audio 9", "m=audio 0")
        assert carried(again(text)) == ("audio",)
        assert "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\n" in again(text).text
        assert "\r\na=bundle-only\r\n" in again(text).text
        assert carried(again(text, "answer")) == ()


class TestWhatIsNeeded:
    @pytest.mark.parametrize(
        "missing",
        ["v=0", "o=", "m=", "a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup", "a=mid", "a=rtcp-mux"],
    )
    def test_a_description_without_it_is_malformed(self, missing: str) -> None:
        lines = [line for line in audio().split("\r\n") if not line.startswith(missing)]
        assert refusal("\r\n".join(lines)) is SdpCode.MALFORMED

    @pytest.mark.parametrize(
        ("good", "bad"),
        [
            ("v=0", "v=1"),
            ("o=- 7", "o=- x"),
            ("o=- 7", "o=- 99999999999999999999"),
            ("m=audio 9", "m=audio 65536"),
            ("m=audio 9", "m=audio 9/2"),
            ("SAVPF 111", "SAVPF 111 128"),
            ("SAVPF 111", "SAVPF 111 111"),
            ("SAVPF 111", "SAVPF 111 72"),
            ("SAVPF 111", "SAVPF"),
            ("SAVPF 111", "SAVPF \u0661\u0661\u0661"),
            ("SAVPF 111", "SAVPF " + " ".join(str(n) for n in [*range(64), 96])),
            ("opus/48000/2", "x-tunnel/48000/2"),
            ("ufrag:abcd", "ufrag:abc"),
            ("ufrag:abcd", "ufrag:ab.cd"),
            ("pwd:abcdefghijklmnopqrstuv", "pwd:short"),
            ("sha-256", "sha-1"),
            ("sha-256 AB:", "sha-256 "),
            ("setup:actpass", "setup:holdconn"),
            ("mid:0", "mid:a.b"),
            ("mid:0", "mid:0\r\na=mid:1"),
        ],
    )
    def test_a_description_with_something_else_instead_is_malformed(self, good: str, bad: str) -> None:
        assert good in audio()
        assert refusal(audio().replace(good, bad)) is SdpCode.MALFORMED

    def test_an_answer_settles_who_opens_dtls(self) -> None:
        assert refusal(audio(), "answer") is SdpCode.MALFORMED
        for role in ("active", "passive"):
            assert f"a=setup:{role}" in again(audio().replace("actpass", role), "answer").text

    def test_lines_are_counted_before_any_is_looked_at(self) -> None:
        most = audio() + "\r\n" * (MAX_SDP_LINES - audio().count("\n"))
        assert carried(again(most)) == ("audio",)
        assert refusal(most + "\n") is SdpCode.TOO_LARGE
        assert refusal("m=application\n" + "\n" * 49_000) is SdpCode.TOO_LARGE

    def test_size_is_bounded_in_bytes(self) -> None:
        size = len(audio())
        again(audio(), max_bytes=size)
        for text in (audio() + "x", audio()[:-2] + "\u00e9\r"):
            with pytest.raises(SdpError, match="SDP_TOO_LARGE"):
                again(text, max_bytes=size)

    def test_too_many_sources_are_malformed(self) -> None:
        assert refusal(audio(*[f"a=ssrc:{n} cname:x" for n in range(33)])) is SdpCode.MALFORMED

    def test_what_the_session_says_holds_for_media_that_do_not_say_it(self) -> None:
        moved = ("a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv", "a=setup:actpass", "a=recvonly")
        text = audio(session=moved)
        body = text.index("m=")
        for line in moved:
            text = text[:body] + text[body:].replace(f"{line}\r\n", "")
        assert again(text).text == again(audio("a=recvonly")).text

    def test_bundled_media_share_the_transport_of_the_first(self) -> None:
        second = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:v\r\na=rtpmap:96 VP8/90000\r\n"
        assert refusal(audio() + second) is SdpCode.MALFORMED
        rebuilt = again(audio(session=("a=group:BUNDLE 0 v",)) + second)
        assert rebuilt.text.count("a=ice-ufrag:abcd") == rebuilt.text.count("a=rtcp-mux") == 2


class TestWhatVanishes:
    @pytest.mark.parametrize(
        "line",
        [
            "i=call Ada at 10.1.2.3",
            "a=x-unknown:10.1.2.3",
            "a=rtcp:50988 IN IP4 10.1.2.3",
            "c=IN IP4 10.1.2.3",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            "a=sctp-port:5000",
            "a=ice-lite",
            "a=rid:q send",
            "a=simulcast:send q;h",
            "a=label:ada@example.org",
            "a=identity:abc",
            "a=msid:ws17.corp.example track",
            "a=msid:ada@example.org",
            "a=extmap:3 http://10.1.2.3/mine",
            "a=extmap:15 urn:ietf:params:rtp-hdrext:sdes:mid",
            "a=rtpmap:112 x-tunnel/8000",
            "a=rtpmap:64 opus/48000",
            "a=fmtp:111 x-host=ws17",
            "a=fmtp:111 minptime=ws17.corp.example",
            "a=fmtp:200 minptime=10",
            "a=rtcp-fb:111 x-tell ws17",
            "a=ssrc-group:FID 1 2 3",
            "a=ssrc-group:MINE 1 2",
            "a=ssrc:4294967296 cname:x",
            "a=ice-options:renomination",
            "b=AS:5",
            "b=TIAS:99999999999",
            "a=mid",
            "\u00e4",
        ],
    )
    def test_a_line_that_is_not_on_the_list_leaves_no_trace(self, line: str) -> None:
        if line == "a=mid":
            assert refusal(audio(line)) is SdpCode.MALFORMED
        else:
            assert again(audio(line)).text == again(audio()).text

    def test_a_lone_carriage_return_or_other_separator_opens_no_second_line(self) -> None:
        for separator in ("\r", "\x0b", "\x85", "\u2028", "\0"):
            assert again(audio(f"a=ptime:20{separator}a={RELAY}")).text == again(audio()).text

    def test_known_parameters_of_a_format_stay_and_the_rest_goes(self) -> None:
        text = again(audio("a=fmtp:111 minptime=010; x-host=ws17 ;useinbandfec=1;junk")).text
        assert "a=fmtp:111 minptime=010;useinbandfec=1\r\n" in text

    def test_a_retransmission_format_goes_with_the_codec_it_repairs(self) -> None:
        lines = ("a=rtpmap:96 x-mine/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96")
        rebuilt = again(audio(*lines, formats="111 96 97"))
        assert payload_types(rebuilt) == {111}

    def test_a_bundle_names_only_media_that_exist(self) -> None:
        text = again(audio(session=("a=group:LS 0", "a=group:BUNDLE 0 ws17 0", "a=group:BUNDLE 1"))).text
        assert "a=group:BUNDLE 0\r\n" in text
        assert text.count("a=group") == 1


@pytest.mark.parametrize(
    ("name", "kind", "removed"),
    [
        ("chromium-offer", "offer", 0),
        ("chromium-answer", "answer", 0),
        ("chromium-audio-offer", "offer", 0),
        ("chromium-host-offer", "offer", 4),
        ("chromium-relay-offer", "offer", 2),
        ("chromium-restart-offer", "offer", 2),
        ("chromium-simulcast-offer", "offer", 0),
        ("chromium-stopped-offer", "offer", 2),
        ("chromium-stopped-answer", "answer", 2),
        ("aiortc-offer", "offer", 4),
        ("aiortc-answer", "answer", 4),
    ],
)
def test_real_descriptions_lose_addresses_and_keep_every_format(
    name: str, kind: Literal["offer", "answer"], removed: int
) -> None:
    text = sample(name)
    rebuilt = again(text, kind)
    assert rebuilt.removed_candidates == removed
    for address in ("192.0.2.2", "fd00::2", "127.0.0.1"):
        assert address not in rebuilt.text
    for prefix in (
        "a=rtpmap:",
        "a=fmtp:",
        "a=rtcp-fb:",
        "a=extmap:",
        "a=ssrc-group:",
        "a=mid:",
        "a=group:",
        "a=msid:",
    ):
        before = [line for line in text.split("\r\n") if line.startswith(prefix)]
        after = [line for line in rebuilt.text.split("\r\n") if line.startswith(prefix)]
        assert sorted(after) == sorted(before), prefix


def test_chromiums_own_relayed_candidates_survive() -> None:
    own = {("127.0.0.1", 65461), ("127.0.0.1", 55886)}
    rebuilt = rebuild(sample("chromium-relay-offer"), "offer", own, set(), BOTH)
    assert rebuilt.removed_candidates == 0
    assert rebuilt.text.count("typ relay raddr 0.0.0.0 rport 9") == 2

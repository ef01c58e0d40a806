"""Session descriptions with a screen: one more video section, whose direction the edge decides."""

from __future__ import annotations

import pytest

from broker.core.sdp import Medium, ScreenDirection, SdpCode, SdpError
from tests.spec.test_sdp import BOTH, again, audio, carried, refusal


def video(mid: str, *lines: str, port: int = 9) -> str:
    """One more section, of VP8, to be put behind others."""
    always = (f"m=video {port} UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", "a=ice-ufrag:abcd")
    secrets = ("a=ice-pwd:abcdefghijklmnopqrstuv", f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}")
    rest = ("a=setup:actpass", f"a=mid:{mid}", "a=rtcp-mux", "a=rtpmap:96 VP8/90000", *lines)
    return "".join(f"{line}\r\n" for line in (*always, *secrets, *rest))


AUDIO = frozenset({"audio"})


class TestScreen:
    @pytest.mark.parametrize("screen", ["sendonly", "recvonly", "inactive"])
    def test_it_is_the_first_video_beyond_those_of_the_call(self, screen: ScreenDirection) -> None:
        in_audio_call = again(audio() + video("s"), media=AUDIO, screen=screen)
        assert [medium.role for medium in in_audio_call.media] == ["audio", "screen"]
        in_video_call = again(audio() + video("v") + video("s"), screen=screen)
        assert [medium.role for medium in in_video_call.media] == ["audio", "video", "screen"]
        assert carried(again(audio() + video("v"), screen=screen)) == ("audio", "video")

    def test_there_is_one_and_only_where_it_is_known_of(self) -> None:
        assert refusal(audio() + video("s"), media=AUDIO) is SdpCode.MEDIA_NOT_ALLOWED
        assert refusal(audio() + video("v") + video("s")) is SdpCode.MEDIA_NOT_ALLOWED
        for text, media in ((audio(), AUDIO), (audio() + video("v"), BOTH)):
            with pytest.raises(SdpError, match="SDP_MEDIA_NOT_ALLOWED"):
                again(text + video("s") + video("t"), media=media, screen="sendonly")

    @pytest.mark.parametrize("kind", ["audio", "screen", "application"])
    def test_it_is_of_video_only(self, kind: str) -> None:
        text = audio() + video("s").replace("m=video", f"m={kind}")
        with pytest.raises(SdpError, match="SDP_MEDIA_NOT_ALLOWED"):
            again(text, media=AUDIO, screen="sendonly")

    @pytest.mark.parametrize(
        ("screen", "said", "left"),
        [
            ("sendonly", "", "sendonly"),
            ("sendonly", "sendrecv", "sendonly"),
            ("sendonly", "sendonly", "sendonly"),
            ("sendonly", "recvonly", "inactive"),
            ("sendonly", "inactive", "inactive"),
            ("recvonly", "", "recvonly"),
            ("recvonly", "sendrecv", "recvonly"),
            ("recvonly", "sendonly", "inactive"),
            ("recvonly", "recvonly", "recvonly"),
            ("recvonly", "inactive", "inactive"),
            ("inactive", "", "inactive"),
            ("inactive", "sendrecv", "inactive"),
            ("inactive", "sendonly", "inactive"),
            ("inactive", "recvonly", "inactive"),
        ],
    )
    def test_its_direction_is_never_more_than_the_share_allows(
        self, screen: ScreenDirection, said: str, left: str
    ) -> None:
        text = audio() + video("s", *([f"a={said}"] if said else []))
        rebuilt = again(text, media=AUDIO, screen=screen)
        assert rebuilt.text.split("m=video")[1].count(f"\r\na={left}\r\n") == 1
        medium = rebuilt.media[1]
        assert (medium.sends, medium.receives) == (left == "sendonly", left == "recvonly")
        assert medium.payload_types == (frozenset() if left == "inactive" else frozenset({96}))
        assert again(rebuilt.text, media=AUDIO, screen=screen) == rebuilt

    def test_a_direction_of_the_whole_session_is_narrowed_too(self) -> None:
        text = audio(session=("a=sendrecv",)) + video("s")
        assert again(text, media=AUDIO, screen="recvonly").media[1].sends is False

    def test_it_may_be_rejected(self) -> None:
        text = (audio() + video("s", port=0)).replace("actpass", "active")
        rebuilt = again(text, "answer", media=AUDIO, screen="recvonly")
        assert rebuilt.media[1] == Medium("screen", False, False, frozenset())
        assert "\r\nm=video 0 " in rebuilt.text

    def test_the_directions_of_the_calls_own_media_are_theirs(self) -> None:
        text = audio("a=recvonly") + video("v", "a=sendonly") + video("s")
        rebuilt = again(text, screen="inactive")
        assert [(m.sends, m.receives) for m in rebuilt.media] == [
            (False, True),
            (True, False),
            (False, False),
        ]

    def test_payload_types_of_an_inactive_medium_do_not_count(self) -> None:
        rebuilt = again(audio("a=inactive"))
        assert rebuilt.media == (Medium("audio", False, False, frozenset()),)
        assert "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" in rebuilt.text

"""Signed heads: C2SP signed notes, held against the published example of the format."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.audit.checkpoint import CheckpointError, Head, SigningKey, VerifierKey

# The key and the note of the reference implementation's own documentation.
PUBLISHED_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PUBLISHED_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6"
    "RyyBwJnAM=\n"
)

KEY = SigningKey.from_seed("edge.example/log", bytes(range(32)))
ROOT = bytes(range(32))


def test_the_published_seed_has_the_published_verifier_key() -> None:
    assert str(SigningKey.from_seed("PeterNeumann", PUBLISHED_SEED).verifier) == PUBLISHED_VERIFIER


def test_the_published_signature_verifies_and_only_its_text_is_no_head() -> None:
    with pytest.raises(CheckpointError, match="not a head"):
        VerifierKey.parse(PUBLISHED_VERIFIER).open(PUBLISHED_NOTE)
    with pytest.raises(CheckpointError, match="not by this key"):
        VerifierKey.parse(PUBLISHED_VERIFIER).open(PUBLISHED_NOTE.replace("problem is", "problem iS"))


def test_a_head_is_three_lines_a_blank_one_and_a_signature_line() -> None:
    origin, size, root, blank, signature, end = KEY.sign(1234, ROOT).split("\n")
    assert (origin, size, base64.b64decode(root), blank, end) == ("edge.example/log", "1234", ROOT, "", "")
    assert signature.startswith("— edge.example/log ")
    assert len(base64.b64decode(signature.rsplit(" ", 1)[1])) == 4 + 64


def test_a_signed_head_opens_with_the_public_key_alone() -> None:
    verifier = VerifierKey.parse(str(KEY.verifier))
    assert verifier.open(KEY.sign(1234, ROOT)) == Head("edge.example/log", 1234, ROOT)


def test_every_changed_character_of_a_note_is_found() -> None:
    note = KEY.sign(1234, ROOT)
    for at, character in enumerate(note):
        for other in {chr(ord(character) ^ 1), "A", "\n", " ", "="} - {character}:
            with pytest.raises(CheckpointError):
                KEY.verifier.open(note[:at] + other + note[at + 1 :])


@pytest.mark.parametrize("changed", ["{}\n", " {}", "{0}{0}", "", "\n\n", "{}— edge.example/log AAAA\n"])
def test_a_note_with_anything_around_it_is_refused(changed: str) -> None:
    with pytest.raises(CheckpointError):
        KEY.verifier.open(changed.format(KEY.sign(1, ROOT)))


def test_another_key_of_the_same_name_is_refused() -> None:
    with pytest.raises(CheckpointError):
        SigningKey.from_seed(KEY.name, bytes(32)).verifier.open(KEY.sign(1, ROOT))


@pytest.mark.parametrize("text", ["", "a", "a+b", "a+b+c", "a+00000000+", "a b+c74f20a3+ARpc2Qc=", "++"])
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        VerifierKey.parse(text)


def test_every_changed_character_of_a_verifier_key_is_found() -> None:
    for at, character in enumerate(PUBLISHED_VERIFIER):
        with pytest.raises(CheckpointError):
            VerifierKey.parse(
                PUBLISHED_VERIFIER[:at] + chr(ord(character) + 1) + PUBLISHED_VERIFIER[at + 1 :]
            )


@pytest.mark.parametrize("name", ["", "a b", "a+b", "é", "a\nb", "x" * 201])
def test_a_log_has_a_plain_name(name: str) -> None:
    with pytest.raises(CheckpointError):
        SigningKey.from_seed(name, bytes(32))


def test_the_first_use_creates_a_key_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "record.pem"
    created = SigningKey.load_or_create("edge", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.load_or_create("edge", path).verifier == created.verifier


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.pem"
    SigningKey.load_or_create("edge", path)
    path.chmod(0o640)
    with pytest.raises(CheckpointError, match="0600"):
        SigningKey.load_or_create("edge", path)


def test_a_file_that_holds_no_such_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.pem"
    path.touch(0o600)
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"", b"nonsense", other):
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            SigningKey.load_or_create("edge", path)


def test_the_private_key_is_in_no_repr() -> None:
    assert "PrivateKey" not in repr(KEY)

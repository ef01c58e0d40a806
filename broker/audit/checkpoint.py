"""Signed heads: C2SP tlog-checkpoint text in a C2SP signed note, Ed25519, one signature.

    <origin>\n<size in decimal>\n<root in base64>\n
    \n
    — <origin> <base64 of 4 bytes of key id and 64 of signature>\n

The name of the key is the origin of the log. The key id is the start of SHA-256 over name, newline, 0x01 and
public key. Text is read strictly: every note has one spelling, so that a changed character is a changed note.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from broker.audit.merkle import HASH_BYTES

_ED25519 = b"\x01"
_KEY_BYTES, _SIGNATURE_BYTES, _KEY_ID_BYTES = 32, 64, 4
_MAX_NOTE_CHARACTERS = 1000
_NAME = re.compile(r"[!-*,-~]{1,200}")
"""Printable ASCII without space and plus: what a name may be in both the note and the verifier key."""
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class CheckpointError(ValueError):
    """Not a head, not signed by this key, or not a key."""


@dataclass(frozen=True, slots=True)
class Head:
    """The tree of the first `size` records has this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half: enough to verify a log, useless to write one."""

    name: str
    public: bytes
    _key: Ed25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public) != _KEY_BYTES:
            raise CheckpointError("an Ed25519 public key has 32 bytes")
        object.__setattr__(self, "_key", Ed25519PublicKey.from_public_bytes(self.public))

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        """The form in which keys are handed to verifiers: name, key id in hex, algorithm and key in
        base64."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @staticmethod
    def parse(text: str) -> VerifierKey:
        """Raises CheckpointError."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        decoded = _decode(encoded)
        if decoded[:1] != _ED25519:
            raise CheckpointError("not an Ed25519 verifier key")
        key = VerifierKey(name, decoded[1:])
        if key.key_id.hex() != key_id:
            raise CheckpointError("the key id does not belong to this name and key")
        return key

    def open(self, note: str) -> Head:
        """The head that the note's signature vouches for; raises CheckpointError."""
        text, signature = _split(note, self)
        try:
            self._key.verify(signature, text.encode())
        except InvalidSignature:
            raise CheckpointError("the signature is not by this key") from None
        head = _parse_head(text)
        if head.origin != self.name:
            raise CheckpointError("the head of another log")
        return head


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private half. `name` is the origin of the log that it signs."""

    name: str
    _key: Ed25519PrivateKey = field(repr=False)
    verifier: VerifierKey = field(init=False)

    def __post_init__(self) -> None:
        public = self._key.public_key().public_bytes_raw()
        object.__setattr__(self, "verifier", VerifierKey(self.name, public))

    def sign(self, size: int, root: bytes) -> str:
        """The signed note of a head."""
        text = Head(self.name, size, root).text
        signature = self.verifier.key_id + self._key.sign(text.encode())
        return f"{text}\n— {self.name} {base64.b64encode(signature).decode()}\n"

    @staticmethod
    def from_seed(name: str, seed: bytes) -> SigningKey:
        """From the 32 bytes of an RFC 8032 private key."""
        return SigningKey(name, Ed25519PrivateKey.from_private_bytes(seed))

    @staticmethod
    def load(name: str, path: Path) -> SigningKey:
        """The key in this PEM file (PKCS#8). Raises CheckpointError for a file that is not such a key or that
        others than its owner may read, OSError for one that cannot be read."""
        if path.stat().st_mode & 0o077:
            raise CheckpointError(f"{path} may be read by others than its owner; expected mode 0600")
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{path} holds no private key in PEM") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise CheckpointError(f"{path} holds a key that is not Ed25519")
        return SigningKey(name, key)

    @staticmethod
    def load_or_create(name: str, path: Path) -> SigningKey:
        """`load`, from a file that is created with mode 0600 where there is none."""
        _check_name(name)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return SigningKey.load(name, path)
        key = Ed25519PrivateKey.generate()
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.flush()
            os.fsync(file.fileno())
        return SigningKey(name, key)


def _split(note: str, key: VerifierKey) -> tuple[str, bytes]:
    """The signed text of a note and the signature of this key."""
    if len(note) > _MAX_NOTE_CHARACTERS or not note.endswith("\n"):
        raise CheckpointError("not a signed note")
    text, separator, line = note[:-1].partition("\n\n")
    prefix = f"— {key.name} "
    if not separator or not line.startswith(prefix):
        raise CheckpointError("not a note signed in this name")
    signature = _decode(line.removeprefix(prefix))
    if len(signature) != _KEY_ID_BYTES + _SIGNATURE_BYTES or signature[:_KEY_ID_BYTES] != key.key_id:
        raise CheckpointError("not a signature by this key")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CheckpointError("not Unicode") from None
    return text + "\n", signature[_KEY_ID_BYTES:]


def _parse_head(text: str) -> Head:
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not _SIZE.fullmatch(lines[1]):
        raise CheckpointError("not a head: origin, size and root are expected")
    _check_name(lines[0])
    root = _decode(lines[2])
    if len(root) != HASH_BYTES:
        raise CheckpointError("the root of a head has 32 bytes")
    return Head(lines[0], int(lines[1]), root)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise CheckpointError("a log's name is 1 to 200 printable ASCII characters without space or plus")


def _decode(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointError("not base64") from None
    if base64.b64encode(decoded).decode() != text:
        raise CheckpointError("not the one base64 text of these bytes")
    return decoded

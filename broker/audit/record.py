"""Record format v1: a Draft as the core writes it, and the canonical bytes it becomes.

The body of a record is RFC 8785 JSON with exactly these members:

    {"fields": {...}, "node": "...", "personal": {"<name>": "<64 hex digits>"}, "seq": 1,
     "session": "..." or null, "ts": "2026-01-31T12:00:00.000Z", "type": "...", "v": 1}

A personal value is not in the body. Its commitment is: SHA-256 over a domain tag, 32 random bytes of salt
and the value in UTF-8. Salt and value are kept apart, so that deleting them redacts the value and leaves the
record and its proof whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from json import JSONEncoder

from auth.personal import Personal
from broker.audit.catalogue import CATALOGUE

VERSION = 1
MAX_BODY_BYTES = 64 * 1024
MAX_PERSONAL_BYTES = 64 * 1024
"""All personal values of one record together, in UTF-8."""
SALT_BYTES = 32
_MAX_INTEGER = 2**53 - 1
_ENCODER = JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_COMMITMENT_TAG = b"turngate/record/v1/personal\n"

JsonValue = str | int | bool | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
"""JSON without floats: their text differs between implementations, and no fact on record needs one."""


class RecordError(ValueError):
    """This cannot be a record: unknown type, missing fact, a float, text that is not Unicode, too large."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One fact to be recorded, before it has a number and a time. What cannot be recorded raises RecordError
    here, where it was written, and not in the batch that it would share with others.

    `fields` are public facts, decisions included. What names or locates a person belongs in `personal`,
    under a name that ends in `login`, `name` or `address`: by these endings the record is searched.
    """

    type: str
    session_id: str | None = None
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    personal: Mapping[str, Personal] = field(default_factory=dict)
    canonical_fields: bytes = field(init=False, repr=False, compare=False)
    """`fields` as they were when the draft was made."""

    def __post_init__(self) -> None:
        event_type = CATALOGUE.get(self.type)
        if event_type is None:
            raise RecordError(f"no record type {self.type!r}")
        missing = [name for name in event_type.required if name not in self.fields]
        if missing:
            raise RecordError(f"{self.type} without {', '.join(missing)}")
        object.__setattr__(self, "canonical_fields", canonical(dict(self.fields)))
        self._check_size()

    def _check_size(self) -> None:
        for name in self.personal:
            if not name or not name.isascii() or not name.isprintable() or '"' in name or "\\" in name:
                raise RecordError(f"{name!r} is no name for a personal fact")
        # 512 bytes: more than the members of fixed size take. 70: a commitment with its quotes, colon and
        # comma.
        rest = 512 + len(canonical(self.session_id)) + sum(len(name) + 70 for name in self.personal)
        if len(self.canonical_fields) + rest > MAX_BODY_BYTES:
            raise RecordError(f"{self.type} is larger than {MAX_BODY_BYTES} bytes")
        if sum(len(_utf8(value.reveal())) for value in self.personal.values()) > MAX_PERSONAL_BYTES:
            raise RecordError(f"personal facts of {self.type} are larger than {MAX_PERSONAL_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class PersonalRow:
    """What is kept of one personal fact beside its commitment."""

    name: str
    salt: bytes
    value: Personal


@dataclass(frozen=True, slots=True)
class Sealed:
    """A numbered record: the bytes that the tree covers, and what is kept beside them."""

    seq: int
    body: bytes
    personal: tuple[PersonalRow, ...]


def canonical(value: JsonValue) -> bytes:
    """The one RFC 8785 text of a value; raises RecordError for what has none here.

    Without floats, with keys of ASCII and integers of 53 bits, Python's own encoder writes that text; the
    tests hold it against a complete implementation, which takes six times as long.
    """
    _check_domain(value)
    try:
        return _ENCODER.encode(value).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise RecordError("nested too deeply, or text that is not Unicode") from error


def commitment(salt: bytes, value: str) -> bytes:
    """32 bytes that prove the value to who is shown it and its salt, and tell nothing to anyone else."""
    return sha256(_COMMITMENT_TAG + salt + _utf8(value)).digest()


def timestamp(wall_ms: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    return f"{datetime.fromtimestamp(wall_ms // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{wall_ms % 1000:03d}Z"


def seal(draft: Draft, seq: int, time_text: str, canonical_node: bytes, salts: Sequence[bytes]) -> Sealed:
    """Number a draft. `salts` holds one salt of SALT_BYTES for each personal fact, in the draft's order.

    The members are written in the order RFC 8785 sorts them, around the parts that are canonical already.
    """
    facts = zip(draft.personal.items(), salts, strict=True)
    rows = tuple(PersonalRow(name, salt, value) for (name, value), salt in facts)
    commitments = sorted((row.name, commitment(row.salt, row.value.reveal()).hex()) for row in rows)
    personal = ",".join(f'"{name}":"{hex_digits}"' for name, hex_digits in commitments)
    body = b'{"fields":%b,"node":%b,"personal":{%b},"seq":%d,"session":%b,"ts":"%b","type":"%b","v":%d}' % (
        draft.canonical_fields,
        canonical_node,
        personal.encode(),
        seq,
        canonical(draft.session_id),
        time_text.encode(),
        draft.type.encode(),
        VERSION,
    )
    return Sealed(seq, body, rows)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RecordError("text that is not Unicode") from error


def _check_domain(value: object) -> None:
    """Iterative, so that nesting costs no stack."""
    pending = [value]
    while pending:
        item = pending.pop()
        if item is None or isinstance(item, str | bool):
            continue
        if isinstance(item, int):
            if abs(item) > _MAX_INTEGER:
                raise RecordError("an integer that JSON readers would round")
        elif isinstance(item, dict):
            if not all(isinstance(key, str) and key.isascii() for key in item):
                raise RecordError("a key that is not ASCII text")
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)
        else:
            raise RecordError(f"a {type(item).__name__}")

"""Record: whether its key, its end and the heads that leave the host belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from broker.audit.checkpoint import CheckpointError, VerifierKey
from broker.shell.doctor.finding import Finding, counted, ill, look, well

_FIRST_START = "Nothing before the first start."


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """The key that signs, by its public half; `problem` says why there is none."""

    public: VerifierKey | None
    problem: str = ""
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """The end of the record in the database."""

    size: int = 0
    problem: str = ""
    """Why nothing can be appended to it."""
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class HeadsFacts:
    """The file of heads: its last one, and what the database has of that size."""

    path: str
    is_missing: bool = False
    writable: bool = True
    last: str | None = None
    same_size: str | None = None


def judge_key(key: KeyFacts) -> Finding:
    check = "signing key"
    if key.is_missing:
        return look(check, "It is not there yet: the service makes it when it starts.", _FIRST_START)
    if key.public is None:
        return ill(
            check, f"It cannot be used: {key.problem}.", "Put the key back from its backup, mode 0600."
        )
    return well(check, f"Whoever verifies the record has to have {key.public}.")


def judge_ledger(ledger: LedgerFacts) -> Finding:
    check = "record"
    if ledger.is_missing:
        return look(check, "There is no database yet: the service makes it when it starts.", _FIRST_START)
    if ledger.problem:
        return ill(
            check,
            f"Its end is not what its key signed last: {ledger.problem}.",
            "Copy the data directory away untouched, then `turngate audit verify` on the copy; "
            "docs/operations.md has what follows.",
        )
    records = counted(ledger.size, "record", "records")
    return well(check, f"Its end, {records}, is what its key signed last.")


def judge_heads(heads: HeadsFacts, ledger: LedgerFacts, key: KeyFacts) -> Iterator[Finding]:
    check = f"heads file {heads.path}"
    if heads.is_missing:
        yield look(check, "It is not there yet: the service makes it when it starts.", _FIRST_START)
        return
    if not heads.writable:
        yield ill(
            check, "It cannot be written.", "Let the service write it, and see whether its disk is full."
        )
    if key.public is None or ledger.is_missing or ledger.problem:
        return
    if heads.last is None:
        if ledger.size:
            found = "It holds no head, and the record has records."
            yield look(check, found, "Where a new file was begun: nothing. Else find out who emptied it.")
        return
    try:
        head = key.public.open(heads.last)
    except CheckpointError as wrong:
        yield ill(
            check,
            f"Its last head is not by the signing key: {wrong}.",
            "Put the right key back; where a new key was meant, begin a new file (audit.heads_file).",
        )
        return
    if heads.same_size == heads.last:
        yield well(check, f"Its last head, of {counted(head.size, 'record', 'records')}, is the record's.")
        return
    missing = head.size > ledger.size
    found = f"ends after {ledger.size}" if missing else "has another one of that size"
    yield ill(
        check,
        f"Its last head is of {head.size} records, and the database {found}.",
        "Records were cut off or written anew, or an old backup was put back: `turngate audit verify`, then "
        "docs/operations.md, Restore.",
    )

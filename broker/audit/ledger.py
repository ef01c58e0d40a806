"""Ledger: numbers, seals and signs drafts into the caller's open transaction. One writer at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, insert, select, update

from broker.audit.checkpoint import CheckpointError, SigningKey
from broker.audit.merkle import Frontier, leaf_hash
from broker.audit.record import SALT_BYTES, Draft, canonical, seal, timestamp
from broker.audit.schema import frontier, heads, personal, records

RandomBytes = Callable[[int], bytes]


class DamagedLedgerError(Exception):
    """What is stored is not what this key signed last: nothing may be appended to it."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Records that are in the open transaction. Once it is committed, give this to `Ledger.adopt`."""

    first_seq: int
    last_seq: int
    head_note: str
    _frontier: Frontier = field(repr=False)


class Ledger:
    """The log's end, in memory. `node` names this edge in every record; the key's name is the log's origin.

    Not for two threads at once.
    """

    def __init__(self, node: str, signing_key: SigningKey, random_bytes: RandomBytes) -> None:
        self._canonical_node = canonical(node)
        self._signing_key = signing_key
        self._random_bytes = random_bytes
        self._frontier = Frontier()

    @property
    def size(self) -> int:
        """How many records were adopted; also the last one's number."""
        return self._frontier.size

    def load(self, connection: Connection) -> None:
        """Take up the log where it ends; raises DamagedLedgerError when its last signed head, its last record
        and the kept frontier do not belong together. Older records are not read: `verify` proves them."""
        newest_first = select(heads.c.size, heads.c.note).order_by(heads.c.size.desc())
        last_head = connection.execute(newest_first.limit(1)).first()
        last_seq = connection.execute(select(func.max(records.c.seq))).scalar()
        kept = connection.execute(select(frontier.c.size, frontier.c.nodes)).first()
        if last_head is None and last_seq is None and kept is None:
            self._frontier = Frontier()
            return
        if last_head is None or last_seq is None or kept is None:
            raise DamagedLedgerError("records, signed heads or the frontier are missing")
        try:
            head = self._signing_key.verifier.open(last_head.note)
            restored = Frontier.from_bytes(kept.size, kept.nodes)
        except (CheckpointError, ValueError) as error:
            raise DamagedLedgerError(f"the last head or the frontier is not sound: {error}") from error
        if not head.size == last_head.size == last_seq == restored.size:
            raise DamagedLedgerError(
                f"the last head is of {head.size} records, the last record is {last_seq}"
            )
        if restored.root != head.root:
            raise DamagedLedgerError("the frontier is not that of the last signed head")
        self._frontier = restored

    def append(self, connection: Connection, drafts: Sequence[tuple[int, Draft]]) -> Appended:
        """Insert the drafts, each as of its time (milliseconds since 1970), and the new signed head. Nothing
        in memory changes before `adopt`, so a rollback needs no undoing."""
        if not drafts:
            raise ValueError("a head is signed for records, never for none")
        first_seq = self._frontier.size + 1
        salts = self._salts(sum(len(draft.personal) for _, draft in drafts))
        record_rows: list[dict[str, object]] = []
        personal_rows: list[dict[str, object]] = []
        leaves: list[bytes] = []
        for seq, (wall_ms, draft) in enumerate(drafts, first_seq):
            own_salts = [next(salts) for _ in draft.personal]
            sealed = seal(draft, seq, timestamp(wall_ms), self._canonical_node, own_salts)
            leaf = leaf_hash(sealed.body)
            leaves.append(leaf)
            columns = {"seq": seq, "ts_ms": wall_ms, "type": draft.type, "session_id": draft.session_id}
            record_rows.append({**columns, "leaf": leaf, "body": sealed.body})
            personal_rows += [
                {"seq": seq, "name": row.name, "salt": row.salt, "value": row.value.reveal()}
                for row in sealed.personal
            ]
        extended = self._frontier.extended(leaves)
        note = self._signing_key.sign(extended.size, extended.root)
        connection.execute(insert(records), record_rows)
        if personal_rows:
            connection.execute(insert(personal), personal_rows)
        connection.execute(insert(heads), {"size": extended.size, "note": note})
        keep = insert(frontier).values(id=1) if first_seq == 1 else update(frontier).where(frontier.c.id == 1)
        connection.execute(keep.values(size=extended.size, nodes=extended.to_bytes()))
        return Appended(first_seq, extended.size, note, extended)

    def adopt(self, appended: Appended) -> None:
        """The transaction is committed: continue after these records."""
        if appended.first_seq != self._frontier.size + 1:
            raise ValueError("these records were not appended to the end of this log")
        self._frontier = appended._frontier

    def _salts(self, count: int) -> Iterator[bytes]:
        drawn = self._random_bytes(SALT_BYTES * count)
        return (drawn[at : at + SALT_BYTES] for at in range(0, len(drawn), SALT_BYTES))

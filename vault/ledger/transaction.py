"""What a change may do inside the sequencer's transaction, and how its events are written at the end of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert

from vault.errors import IntegrityError
from vault.ledger.event import Event, encode_entry
from vault.ledger.log import Log, NextHead
from vault.storage.tables import LedgerRow


class Transaction:
    """What a change may do: read and write rows on `connection`, and append events.

    `memo` holds what several changes of one transaction share (envelopes); it forgets what a failed change put there.
    A transaction may be given up and its changes run again in a new one: a change keeps nothing outside it.
    """

    def __init__(self, connection: Connection, logs: Mapping[str, Log]) -> None:
        """Begin with nothing appended; `logs` are the ledgers whose heads this transaction has locked."""
        self.connection = connection
        self.memo: dict[object, object] = {}
        self.logs = dict(logs)
        self.pending: list[tuple[str, int, bytes]] = []
        self._next: dict[str, int] = {}

    def open_ledger(self, log: Log, row: LedgerRow) -> None:
        """Begin a ledger; its guard file stands already. It takes entries from here on, if this change is kept.

        Until this commits no other process sees it: it needs no lock.
        """
        columns = (column.key for column in LedgerRow.__mapper__.column_attrs)
        self.connection.execute(insert(LedgerRow), [{name: getattr(row, name) for name in columns}])
        self.logs[log.id] = log

    def append(self, ledger_id: str, event: Event, part: bytes | None = None) -> int:
        """Append an event; give the index it has if this transaction commits.

        Raises:
            IntegrityError: the ledger is closed.
            RefusedError: the event is too large.
            LookupError: a defect: the change was handed over without naming this ledger.
        """
        return self.append_entry(ledger_id, encode_entry(event, part))

    def append_entry(self, ledger_id: str, entry: bytes) -> int:
        """Append an event that was encoded before; errors and index as `append`."""
        log = self.logs[ledger_id]
        if not log.is_open:
            raise IntegrityError("ledger-closed", ledger=ledger_id)
        index = self._next.get(ledger_id, log.size)
        self.pending.append((ledger_id, index, entry))
        self._next[ledger_id] = index + 1
        return index

    def write(self) -> dict[str, NextHead]:
        """Write what was appended to every ledger; give the heads that this makes, to be adopted when it is durable."""
        heads = {}
        for ledger_id in sorted({ledger for ledger, _, _ in self.pending}):
            entries = [entry for ledger, _, entry in self.pending if ledger == ledger_id]
            heads[ledger_id] = self.logs[ledger_id].write_entries(self.connection, entries)
        return heads

    def mark(self) -> "Mark":
        """Remember where this transaction stands, before a change."""
        return Mark(len(self.pending), dict(self._next), dict(self.memo), dict(self.logs))

    def return_to(self, mark: "Mark") -> None:
        """Forget what a failed change did here; its savepoint forgets its rows."""
        self._next, self.memo, self.logs = dict(mark.next), dict(mark.memo), dict(mark.logs)
        del self.pending[mark.count :]


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a transaction stood before a change."""

    count: int
    next: dict[str, int]
    memo: dict[object, object]
    logs: dict[str, Log]

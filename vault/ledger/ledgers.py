"""Every ledger of a database as this process knows it: taken up when it is first met, followed while others append.

Of a database with one owner (SQLite) memory is the truth: nothing is read here, and nothing is locked. On one that
several processes share, a head row is locked before anything is appended, and compared with what this process knew.
"""

import threading
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy import Connection, Engine, Text, bindparam, cast, func, select

from vault.errors import IntegrityError
from vault.ledger.guard import Guard
from vault.ledger.log import FOLLOWED_AT_ONCE, Log, NextHead
from vault.storage.database import is_shared
from vault.storage.statement import Statement
from vault.storage.tables import LedgerRow

TakeUp = Callable[[LedgerRow], Log]
"""Makes the log of a row, with what signs for it."""

_NAMES = tuple(column.key for column in LedgerRow.__mapper__.column_attrs)
_HEAD = (LedgerRow.size, LedgerRow.compact_range, LedgerRow.state)
# Rows that only name this ledger (foreign keys) need not wait for it.
_LOCK = Statement(
    select(*_HEAD, cast(func.pg_current_xact_id(), Text))
    .where(LedgerRow.id == bindparam("ledger"))
    .with_for_update(key_share=True)
)
_HEADS = Statement(select(LedgerRow.id, *_HEAD).order_by(LedgerRow.id))


class FarBehindError(Exception):
    """So much was appended by others that it is not read while a lock is held: follow first, then lock again."""


class Ledgers:
    """The ledgers of one database. Safe to use from several threads."""

    def __init__(self, engine: Engine, logs: Iterable[Log], guard: Guard, take_up: TakeUp) -> None:
        """Begin with those taken up already."""
        self.is_shared = is_shared(engine)
        self._engine, self._guard, self._take_up = engine, guard, take_up
        self._logs = {log.id: log for log in logs}
        self._taking_up = threading.Lock()

    def get(self, ledger_id: str) -> Log:
        """Give a ledger; one that another process opened is taken up.

        Raises:
            KeyError: there is none such.
        """
        return self._logs.get(ledger_id) or self._found(ledger_id)

    def all(self) -> list[Log]:
        """Give every ledger met so far."""
        return list(self._logs.values())

    def adopt(self, logs: Mapping[str, Log]) -> None:
        """Take up those that a commit has opened."""
        self._logs |= logs

    def read_again(self) -> None:
        """Forget all that is known of heads, and take up the rows as they are: for a recovery, which compares them."""
        self._logs = {row.id: self._take_up(row) for row in self._rows()}

    def locked(self, connection: Connection, ledger_ids: Iterable[str]) -> tuple[dict[str, Log], str | None]:
        """Lock heads until the transaction ends, in order of their ids, so that no two transactions wait crosswise.

        Gives those that there are, brought up to their rows; and the transaction's id, where anything was locked.

        Raises:
            IntegrityError: a head is behind or beside what this process knew.
            FarBehindError: it is thousands of entries further.
        """
        logs, transaction_id = {}, None
        for ledger_id in sorted(ledger_ids):
            try:
                log = self.get(ledger_id)
            except KeyError:
                continue  # the change that appends to it fails, alone
            if self.is_shared:
                seen = log.head
                row = _LOCK.first(connection, {"ledger": ledger_id})
                if row is None:
                    raise IntegrityError("ledger-went-back", ledger=ledger_id, size=0, known=seen.size)
                size, compact_range, state, transaction_id = row
                if size - seen.size > FOLLOWED_AT_ONCE:
                    raise FarBehindError
                log.follow(connection, seen, size, compact_range)
                log.is_open = state == "open"
            logs[ledger_id] = log
        return logs, transaction_id

    def follow(self, connection: Connection) -> dict[str, NextHead]:
        """Bring every ledger up to its row, locking nothing; give the heads of those that were behind.

        Raises:
            IntegrityError: a head is behind or beside what this process knew.
        """
        seen = {log.id: log.head for log in self.all()}
        heads: dict[str, NextHead] = {}
        rows = {row[0]: row[1:] for row in _HEADS.rows(connection, {})}
        for ledger_id, known in seen.items():
            if ledger_id not in rows:
                raise IntegrityError("ledger-went-back", ledger=ledger_id, size=0, known=known.size)
        for ledger_id, (size, compact_range, state) in rows.items():
            log = self.get(ledger_id)
            log.is_open = state == "open"
            if ledger_id in seen:  # the others were just taken up, as they are now
                head = log.follow(connection, seen[ledger_id], size, compact_range)
                if head is not None:
                    heads[ledger_id] = head
        return heads

    def _found(self, ledger_id: str) -> Log:
        """Take up a ledger that another process opened, and guard it from here on."""
        with self._taking_up:
            if ledger_id in self._logs:
                return self._logs[ledger_id]
            row = next((row for row in self._rows() if row.id == ledger_id), None)
            if row is None:
                raise KeyError(ledger_id)
            if not self._guard.has(ledger_id):
                self._guard.create(ledger_id)
            log = self._take_up(row)
            self._logs = {**self._logs, ledger_id: log}
            return log

    def _rows(self) -> list[LedgerRow]:
        with self._engine.connect() as connection:
            rows = connection.execute(select(*(getattr(LedgerRow, name) for name in _NAMES))).mappings().all()
        return [LedgerRow(**row) for row in rows]

"""What a station must not forget: its numbers, its receipts, and what the vault told it. SQLite, durable on return.

A number is bound to a record id before anything is sent, and goes through these states:

    open     bound to a record that is on its way, or was when a crash came: only the vault knows
    spooled  its record is in the spool
    taken    the vault has the record; the receipt is here
    used     the vault has another record under it, or refused its spool: never given out again
    free     bound to no record: the next deposit gets it, so that no false gap is left

A key names what is sent (a file, say), so that after a crash the same thing gets the same record id and number.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vault.client.answers import Taken
from vault.client.record_id import new_record_id
from vault.errors import UnavailableError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS numbers (
    sequence INTEGER PRIMARY KEY CHECK (sequence >= 1),
    status TEXT NOT NULL CHECK (status IN ('open', 'spooled', 'taken', 'used', 'free')),
    record_id TEXT UNIQUE,
    class_id TEXT,
    key TEXT UNIQUE,
    CHECK ((record_id IS NULL) = (status IN ('used', 'free')))
) STRICT;
CREATE INDEX IF NOT EXISTS numbers_by_status ON numbers (status) WHERE status IN ('open', 'free');
CREATE TABLE IF NOT EXISTS receipts (record_id TEXT PRIMARY KEY, receipt TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS told (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""
_COLUMNS = "sequence, status, record_id, class_id, key"
_NEXT = """
SELECT coalesce((SELECT min(sequence) FROM numbers WHERE status = 'free'), max(sequence) + 1, 1) FROM numbers
"""
_CHECKPOINT, _CHECKPOINT_SIZE = "checkpoint", "checkpoint_size"


class Status(StrEnum):
    """How far a number is."""

    OPEN = "open"
    SPOOLED = "spooled"
    TAKEN = "taken"
    USED = "used"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is bound to a record."""

    sequence: int
    status: Status
    record_id: str
    class_id: str
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How many numbers are in each state; `newest` is the highest, 0 where none was given out."""

    newest: int
    open: int
    spooled: int
    taken: int
    used: int
    free: int


class State:
    """The state of one station, in one file. For one process and one thread; every method is one transaction.

    Every method raises UnavailableError `state-failed` where the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        """Open the file; make it where there is none."""
        with _failing():
            self._database = sqlite3.connect(path, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def claim(self, class_id: str, key: str | None = None) -> Number:
        """Bind a number to a record: the one that `key` has, the lowest free one, or the next."""
        with self._transaction() as run:
            if key is not None:
                row = run(f"SELECT {_COLUMNS} FROM numbers WHERE key = ?", (key,)).fetchone()  # noqa: S608
                if row is not None:
                    return _number(row)
            (sequence,) = run(_NEXT).fetchone()
            return self._bind(sequence, new_record_id(), class_id, key)

    def renumber(self, number: Number, newest: int) -> Number:
        """Give a record a number above `newest`, for the vault has another record under this one."""
        with self._transaction() as run:
            run(
                "UPDATE numbers SET status = 'used', record_id = NULL, key = NULL WHERE sequence = ?",
                (number.sequence,),
            )
            (own,) = run("SELECT max(sequence) FROM numbers").fetchone()
            return self._bind(max(own, newest) + 1, number.record_id, number.class_id, number.key)

    def keep(self, taken: Taken) -> None:
        """Keep the receipt of a record that the vault has, and its checkpoint where it is the largest."""
        with self._transaction() as run:
            run("INSERT OR REPLACE INTO receipts VALUES (?, ?)", (taken.record_id, taken.receipt.encode()))
            run("UPDATE numbers SET status = 'taken' WHERE record_id = ?", (taken.record_id,))
            size = run("SELECT value FROM told WHERE name = ?", (_CHECKPOINT_SIZE,)).fetchone()
            if size is None or int(size[0]) < taken.checkpoint.size:
                self._tell(_CHECKPOINT, taken.receipt.checkpoint)
                self._tell(_CHECKPOINT_SIZE, str(taken.checkpoint.size))

    def mark_spooled(self, record_id: str) -> None:
        """Say that a record is in the spool."""
        with self._transaction() as run:
            run("UPDATE numbers SET status = 'spooled' WHERE record_id = ? AND status = 'open'", (record_id,))

    def mark_used(self, record_id: str) -> None:
        """Say that a spooled record was refused: its number stays a gap, for what was promised did not arrive."""
        with self._transaction() as run:
            run("UPDATE numbers SET status = 'used', record_id = NULL, key = NULL WHERE record_id = ?", (record_id,))

    def forget_key(self, record_id: str) -> None:
        """Say that a record will not be sent again; its number is free once the vault says it has no such record."""
        with self._transaction() as run:
            run("UPDATE numbers SET key = NULL WHERE record_id = ?", (record_id,))

    def free(self, record_id: str) -> None:
        """Free an open number: the vault has no such record, and nobody will send it."""
        with self._transaction() as run:
            run(
                "UPDATE numbers SET status = 'free', record_id = NULL, class_id = NULL, key = NULL "
                "WHERE record_id = ? AND status = 'open'",
                (record_id,),
            )

    def open_numbers(self) -> list[Number]:
        """Give the open numbers, lowest first."""
        with _failing():
            rows = self._database.execute(f"SELECT {_COLUMNS} FROM numbers WHERE status = 'open'")  # noqa: S608
            return sorted((_number(row) for row in rows), key=lambda number: number.sequence)

    def number_of(self, record_id: str) -> Number | None:
        """Give the number that a record has."""
        with _failing():
            statement = f"SELECT {_COLUMNS} FROM numbers WHERE record_id = ?"  # noqa: S608
            row = self._database.execute(statement, (record_id,)).fetchone()
        return _number(row) if row is not None else None

    def numbers(self) -> "Numbers":
        """Say how many numbers are in each state."""
        with _failing():
            counted = dict(self._database.execute("SELECT status, count(*) FROM numbers GROUP BY status").fetchall())
            (newest,) = self._database.execute("SELECT coalesce(max(sequence), 0) FROM numbers").fetchone()
        return Numbers(newest=newest, **{status.value: counted.get(status.value, 0) for status in Status})

    def receipt(self, record_id: str) -> str | None:
        """Give the receipt that is kept of a record."""
        with _failing():
            row = self._database.execute("SELECT receipt FROM receipts WHERE record_id = ?", (record_id,)).fetchone()
        return row[0] if row is not None else None

    @property
    def checkpoint(self) -> str | None:
        """The largest checkpoint of all receipts, as signed."""
        return self.told(_CHECKPOINT)

    def told(self, name: str) -> str | None:
        """Give what was kept under a name."""
        with _failing():
            row = self._database.execute("SELECT value FROM told WHERE name = ?", (name,)).fetchone()
        return row[0] if row is not None else None

    def tell(self, name: str, value: str) -> None:
        """Keep a text under a name."""
        with self._transaction():
            self._tell(name, value)

    def _tell(self, name: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO told VALUES (?, ?)", (name, value))

    def _bind(self, sequence: int, record_id: str, class_id: str, key: str | None) -> Number:
        values = (sequence, Status.OPEN, record_id, class_id, key)
        self._database.execute(f"INSERT OR REPLACE INTO numbers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", values)  # noqa: S608
        return Number(*values)

    @contextmanager
    def _transaction(self) -> Iterator["_Execute"]:
        with _failing():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database.execute
                self._database.execute("COMMIT")
            except BaseException:
                self._database.rollback()
                raise


_Execute = Callable[..., sqlite3.Cursor]


def _number(row: tuple[int, str, str, str, str | None]) -> Number:
    sequence, status, record_id, class_id, key = row
    return Number(sequence, Status(status), record_id, class_id, key)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UnavailableError("state-failed", reason=type(error).__name__) from error

"""An SQLite connection that remembers what its write transaction did: statements and parameters, as they succeeded.

Run again in the same order on the rows as they were before, they give the same rows: our statements name every value
(no random, no clock), savepoints and returns to them are statements too. Leaves out where the record goes.
"""

import sqlite3
from collections.abc import Iterable
from typing import Any, Self

from vault.errors import IntegrityError

Parameters = tuple[object, ...]
Change = tuple[str, list[Parameters]]
"""A statement, and the parameters of each of its executions."""

_READS = ("SELECT", "PRAGMA", "BEGIN", "COMMIT")


class RecordedConnection(sqlite3.Connection):
    """A connection whose `changes` holds what was done since they were set to a list; None records nothing."""

    changes: list[Change] | None = None
    is_doubtful = False  # a statement of many rows failed half-way, and nobody returned to a savepoint before it

    def cursor(self, factory: Any = None) -> Any:  # noqa: ANN401 - two signatures in one
        """Give a cursor that records."""
        return super().cursor(_RecordedCursor if factory is None else factory)

    # The driver's own shortcuts pass its cursors by, and with them what they record.

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - the driver's signature
        """Run a statement by a cursor that records."""
        cursor: sqlite3.Cursor = self.cursor()
        return cursor.execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        """Run a statement for each row, by a cursor that records."""
        cursor: sqlite3.Cursor = self.cursor()
        return cursor.executemany(sql, rows)

    def taken(self) -> list[Change]:
        """Give what was recorded, and record nothing further.

        Raises:
            IntegrityError: `rows-unrecorded`: a statement failed half-way and was not undone.
        """
        changes, is_doubtful = self.changes or [], self.is_doubtful
        self.changes, self.is_doubtful = None, False
        if is_doubtful:
            raise IntegrityError("rows-unrecorded")
        return changes


class _RecordedCursor(sqlite3.Cursor):
    """A cursor of a `RecordedConnection`."""

    connection: RecordedConnection

    def execute(self, sql: str, parameters: Any = (), /) -> Self:  # noqa: ANN401 - the driver's own signature
        """Run a statement, and remember it when it has succeeded: one that fails changes nothing."""
        super().execute(sql, parameters)
        changes = self.connection.changes
        if changes is not None and not sql.startswith(_READS):
            changes.append((sql, [tuple(parameters)]))
            if sql.startswith("ROLLBACK TO"):
                self.connection.is_doubtful = False
        return self

    def executemany(self, sql: str, rows: Iterable[Any], /) -> Self:
        """Run a statement for each row; where one fails, those before it stay until somebody undoes them."""
        changes = self.connection.changes
        if changes is None:
            super().executemany(sql, rows)
            return self
        taken = [tuple(row) for row in rows]
        try:
            super().executemany(sql, taken)
        except BaseException:
            self.connection.is_doubtful = True
            raise
        changes.append((sql, taken))
        return self

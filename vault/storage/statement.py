"""Statements that run for every record, compiled once for each kind of database and handed to its driver.

SQLAlchemy writes the SQL and converts the values; what is left out is the work it does for every execution, which
costs five to eight times what a small statement itself costs. For statements that run often, and for nothing else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, Dialect, Executable, LargeBinary

from vault.storage.away import driver_failed

Values = Mapping[str, Any]
Row = tuple[Any, ...]
_Convert = Callable[[Any], Any]


class Statement:
    """An `insert`, `update` or `select` without lists of variable length.

    It runs in the transaction that the connection is in. Outside one it is a transaction of its own: unlike
    `Connection.execute`, it begins none. Errors are the driver's, but for a database that is away.
    """

    def __init__(self, statement: Executable) -> None:
        """Take the statement; it is compiled when a database is known.

        Args:
            statement: its variable values are the columns of an insert, or parameters named by `bindparam`.
        """
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Values) -> int | None:
        """Run it once; give the number of rows it changed, or None where no answer is waited for (`together`)."""
        compiled = self._for(connection)
        parameters = compiled.bound(values)
        try:
            cursor = connection.connection.cursor()
            cursor.execute(compiled.sql, parameters)
        except connection.dialect.loaded_dbapi.Error as error:
            driver_failed(connection, error)
        return None if cursor.rowcount < 0 else cursor.rowcount

    def run_many(self, connection: Connection, rows: Iterable[Values]) -> None:
        """Run it once for each row."""
        compiled = self._for(connection)
        parameters = [compiled.bound(row) for row in rows]
        try:
            connection.connection.cursor().executemany(compiled.sql, parameters)
        except connection.dialect.loaded_dbapi.Error as error:
            driver_failed(connection, error)

    def rows(self, connection: Connection, values: Values) -> list[Row]:
        """Run a query; give all its rows."""
        compiled = self._for(connection)
        parameters = compiled.bound(values)
        try:
            cursor = connection.connection.cursor()
            cursor.execute(compiled.sql, parameters)
            found = list(cursor.fetchall())
        except connection.dialect.loaded_dbapi.Error as error:
            driver_failed(connection, error)
        return compiled.read(found)

    def first(self, connection: Connection, values: Values) -> Row | None:
        """Run a query that gives one row at most."""
        found = self.rows(connection, values)
        return found[0] if found else None

    def send(self, connection: Connection, values: Values) -> Callable[[], Row | None]:
        """Send a query that gives one row at most; what is given reads it, once `together` has ended."""
        compiled = self._for(connection)
        cursor = connection.connection.cursor()
        cursor.execute(compiled.sql, compiled.bound(values))

        def read() -> Row | None:
            rows = compiled.read(list(cursor.fetchall()))
            return rows[0] if rows else None

        return read

    def _for(self, connection: Connection) -> "_Compiled":
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _compile(self._statement, dialect)
        return compiled


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Send the statements that are run inside without waiting for each one's answer: one way there and back for all.

    For statements whose answers nobody reads. What fails is raised at the end at the latest, and the first that failed
    stopped all that came after it. (SQLite, in this very process, answers each at once.)
    """
    if not _answers_later(connection):
        yield
        return
    try:
        with connection.connection.dbapi_connection.pipeline():  # type: ignore[union-attr]  # psycopg's
            yield
    except psycopg.Error as error:
        driver_failed(connection, error)


def ask(connection: Connection, questions: Iterable[tuple[Statement, Values]]) -> list[Row | None]:
    """Run queries that give one row at most each, all sent together; their answers in order."""
    if not _answers_later(connection):
        return [statement.first(connection, values) for statement, values in questions]
    with together(connection):
        answers = [statement.send(connection, values) for statement, values in questions]
    return [answer() for answer in answers]


def _answers_later(connection: Connection) -> bool:
    return isinstance(connection.connection.dbapi_connection, psycopg.Connection)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """SQL with positional parameters, and how values become what the driver takes and gives."""

    sql: str
    parameters: list[tuple[str, _Convert | None]]
    fixed: Values  # of parameters that the statement itself gives
    results: list[tuple[int, _Convert]]  # position of a column, and what makes its value

    def bound(self, values: Values) -> list[Any]:
        """Give the parameters in order."""
        if self.fixed:
            values = {**self.fixed, **values}
        return [values[name] if convert is None else convert(values[name]) for name, convert in self.parameters]

    def read(self, rows: list[Row]) -> list[Row]:
        """Convert the columns that the driver does not give as they are meant."""
        if not self.results:
            return rows
        converted = []
        for row in rows:
            columns = list(row)
            for position, convert in self.results:
                columns[position] = convert(columns[position])
            converted.append(tuple(columns))
        return converted


def _compile(statement: Executable, dialect: Dialect) -> _Compiled:
    if not dialect.positional:
        dialect = type(dialect)(paramstyle="format")  # type: ignore[call-arg]  # every real dialect takes it
    compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # every statement can be compiled
    fixed = {name: compiled.binds[name].value for name in compiled.positiontup if not compiled.binds[name].required}
    parameters = []
    for name in compiled.positiontup:
        kind = compiled.binds[name].type
        # Drivers take bytes as they are; the wrapper that SQLAlchemy puts around them costs more than the rest.
        convert = None if isinstance(kind, LargeBinary) else kind.dialect_impl(dialect).bind_processor(dialect)
        parameters.append((name, convert))
    results = []
    for position, column in enumerate(getattr(statement, "selected_columns", ())):
        convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if convert is not None:
            results.append((position, convert))
    return _Compiled(str(compiled), parameters, fixed, results)

"""Connections kept ready for single queries: to take one from the pool and reset it costs more than such a query."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine, event

from vault.errors import UnavailableError

T = TypeVar("T")


class ReadyConnections:
    """As many connections as there were queries at one time. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        """Begin with none; those kept are closed when the engine is disposed of."""
        self._engine = engine
        self._idle: list[Connection] = []
        event.listen(engine, "engine_disposed", lambda _: self._close())

    def run(self, query: Callable[[Connection], T]) -> T:
        """Run a query on a connection that is in no transaction, and must be in none afterwards: use `Statement`.

        A query only reads: where a connection that was kept turns out to be lost, it is asked once more on a new one.

        Raises:
            UnavailableError: the database is away.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            return self._asked(self._engine.connect(), query)
        try:
            return self._asked(connection, query)
        except UnavailableError:
            self._close()  # the others are as old
            return self._asked(self._engine.connect(), query)

    def _asked(self, connection: Connection, query: Callable[[Connection], T]) -> T:
        try:
            found = query(connection)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return found

    def _close(self) -> None:
        while self._idle:
            connection = self._idle.pop()
            connection.detach()  # from the pool that was disposed of, and would keep it open
            connection.close()

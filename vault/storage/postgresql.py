"""PostgreSQL by psycopg 3: transactions begin only where code says so, as with SQLite."""

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

_POOL_SIZE = 16
_CONNECT_TIMEOUT_S = 5


def postgresql_engine(url: str, *, read_only: bool) -> Engine:
    """Open a database by its URL (`postgresql://`, as libpq reads it)."""
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S},
        pool_size=_POOL_SIZE,
        max_overflow=-1,  # as with SQLite: a thread that holds two must not wait for itself
    )

    @event.listens_for(engine, "connect")
    def _tune(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        if not isinstance(connection, psycopg.Connection):  # pragma: no cover - the URL above says psycopg
            raise TypeError(type(connection))
        # A single statement is a transaction of its own; `begin` below says when others begin.
        connection.autocommit = True

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get("kura_write", False) and not read_only
        # Who reads sees the database as of one moment; who writes waits for the head's row, and then sees the newest.
        how = "READ COMMITTED" if is_writing else "REPEATABLE READ, READ ONLY"
        connection.connection.cursor().execute(f"BEGIN ISOLATION LEVEL {how}")

    return engine

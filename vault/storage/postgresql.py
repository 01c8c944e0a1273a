"""PostgreSQL by psycopg 3: transactions begin only where code says so, as with SQLite.

A connection is used only if the server is one that keeps what it acknowledges (`guarantees.py`). No answer is waited
for longer than a patience: the server is told to give a statement up, and one that does not even do that is away.
"""

import select
from collections.abc import Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from vault.storage.away import driver_failed
from vault.storage.guarantees import require_guarantees

T = TypeVar("T")
_POOL_SIZE = 16
_CONNECT_TIMEOUT_S = 5
_SERVERS_SHARE = 0.8  # of the patience: then the server gives a statement up, and the connection lives on
# Whoever is gone without a word – a machine that lost its power – is noticed within half a minute, on both sides:
# on the server's it may hold the head of a ledger.
_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}
_SET = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS wanted(name, value)"


def postgresql_engine(url: str, *, read_only: bool, patience_s: float | None) -> Engine:
    """Open a database by its URL (`postgresql://`, as libpq reads it).

    Args:
        url: of a role that is weak enough to serve, or of the owner.
        read_only: begin no transaction that writes.
        patience_s: how long one statement may take; None: for ever (migrations, verification).
    """
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=_POOL_SIZE,
        max_overflow=-1,  # as with SQLite: a thread that holds two must not wait for itself
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Dialect, _entry: ConnectionPoolEntry, args: Sequence[Any], known: dict[str, Any]) -> Any:  # noqa: ANN401 - as SQLAlchemy has it
        # What the URL itself says counts.
        wanted: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": "kura"}
        wanted |= _KEEPALIVES | known
        if patience_s is not None:
            wanted.setdefault("tcp_user_timeout", int(patience_s * 1000))
        # A single statement is a transaction of its own; `begin` below says when others begin.
        connection: _Connection = _Connection.connect(*args, autocommit=True, **wanted)
        try:
            connection.patience_s = patience_s
            _tune(connection, patience_s)
            require_guarantees(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @event.listens_for(engine, "checkout")
    def _look(connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        # At rest a server says nothing but good-bye. (Asking it would cost a small query's time.)
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if poll.poll(0):
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get("kura_write", False) and not read_only
        # Who reads sees the database as of one moment; who writes waits for the head's row, and then sees the newest.
        how = "READ COMMITTED" if is_writing else "REPEATABLE READ, READ ONLY"
        try:
            connection.connection.cursor().execute(f"BEGIN ISOLATION LEVEL {how}")
        except psycopg.OperationalError as error:
            if not connection.connection.dbapi_connection.broken:  # type: ignore[union-attr]  # psycopg's
                driver_failed(connection, error)
            # Kept aside while the server was restarted. Nothing has begun on it: another one does as well.
            connection.invalidate(error)
            try:
                connection.connection.cursor().execute(f"BEGIN ISOLATION LEVEL {how}")
            except psycopg.OperationalError as again:
                driver_failed(connection, again)

    return engine


class _Connection(psycopg.Connection[Any]):
    """A connection that does not wait for ever."""

    patience_s: float | None = None

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for an answer; one that did not come in time leaves the connection in no known state: it is closed."""
        try:
            return super().wait(gen, interval, self.patience_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:  # noqa: SLF001 - "callers should convert it to a public one"
            self.pgconn.finish()
            raise psycopg.errors.ConnectionTimeout(str(error)) from error


def _tune(connection: _Connection, patience_s: float | None) -> None:
    wanted = {f"tcp_{name}": str(value) for name, value in _KEEPALIVES.items()}
    if patience_s is not None:
        limit = str(int(patience_s * _SERVERS_SHARE * 1000))
        wanted |= {"statement_timeout": limit, "idle_in_transaction_session_timeout": limit}
    connection.execute(_SET, [list(wanted), list(wanted.values())])

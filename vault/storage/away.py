"""A database that is away: what drivers raise for it becomes one error of ours, and its connections are dropped.

One place for both ways to a database: SQLAlchemy's own (`tell_when_away`), and statements that are handed to the driver
(`driver_failed`). Whatever else a driver raises – a constraint, a wrong statement – stays what it is.
"""

import sqlite3
from typing import NoReturn

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from vault.errors import UnavailableError

_SQLITE_AWAY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR})
_PRIMARY = 0xFF  # the low byte of an extended result code of SQLite
_SQLSTATES_AWAY = (  # PostgreSQL's manual, appendix A; a prefix each
    "08",  # connection exception
    "25P03",  # idle in a transaction for too long
    "40001",  # serialization failure: on a standby also of a reader
    "40P01",  # deadlock
    "53300",  # too many connections
    "57",  # operator intervention: shutting down, starting up, a statement that took too long
)
_LOCKED_OUT = ("authentication failed", "no password supplied", "pg_hba.conf")


def away(error: BaseException) -> UnavailableError | None:
    """Say of a driver's error that the database is away; None where it is something else."""
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
        return UnavailableError("database-away", reason=error.sqlite_errorname) if code in _SQLITE_AWAY else None
    if not isinstance(error, psycopg.OperationalError):
        return None
    if error.sqlstate is None:  # not the server's: there was no connection, or it was lost
        if any(words in str(error) for words in _LOCKED_OUT):
            return UnavailableError("database-credentials")
        return UnavailableError("database-away", reason=type(error).__name__)
    return (
        UnavailableError("database-away", reason=error.sqlstate) if error.sqlstate.startswith(_SQLSTATES_AWAY) else None
    )


def tell_when_away(engine: Engine) -> Engine:
    """Have an engine raise `away` for whatever SQLAlchemy runs on it; it drops lost connections by itself."""

    @event.listens_for(engine, "handle_error")
    def _tell(context: ExceptionContext) -> BaseException | None:
        return away(context.original_exception)

    return engine


def driver_failed(connection: Connection, error: Exception) -> NoReturn:
    """Raise what a statement that the driver ran is to raise; a connection that was lost is never used again."""
    if not connection.invalidated and connection.dialect.is_disconnect(
        error,  # type: ignore[arg-type]  # SQLAlchemy's own name for every driver's errors
        connection.connection.dbapi_connection,
        None,
    ):
        connection.invalidate(error)
    told = away(error)
    if told is not None:
        raise told from error
    raise error

"""SQLite, tuned so that a commit is on the disk: WAL, full sync, foreign keys."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from vault.storage.second.recorded import RecordedConnection

_CACHE_KIB = 16 * 1024
_POOL_SIZE = 16  # connections kept: to open one costs more than a transaction, and importing threads have one each


def sqlite_engine(path: Path, *, read_only: bool, is_recorded: bool = False) -> Engine:
    """Open a database file that exists; transactions begin only where code says so.

    Recorded, its connections remember what they write, for the second disk.
    """
    # Never made by opening: a file that is away for a moment must not be taken for an empty database.
    mode = "ro" if read_only else "rw"
    engine = create_engine(
        # Quoted: a folder's name may hold what would else be the URI's own.
        URL.create("sqlite+pysqlite", database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"}),
        connect_args={
            "check_same_thread": False,
            "timeout": 30.0,
            "factory": RecordedConnection if is_recorded else sqlite3.Connection,
        },
        pool_size=_POOL_SIZE,
        # No limit: a thread that proves an entry while it reads one holds two, and must not wait for itself.
        max_overflow=-1,
    )

    @event.listens_for(engine, "connect")
    def _tune(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        if not isinstance(connection, sqlite3.Connection):  # pragma: no cover - the URL above says SQLite
            raise TypeError(type(connection))
        # The driver's own implicit transactions begin too late for savepoints; `begin` below says when.
        connection.isolation_level = None
        for pragma in ("synchronous = FULL", "foreign_keys = ON", f"cache_size = -{_CACHE_KIB}", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # By the driver: SQLAlchemy's own way costs more than a small query.
        is_writing = connection.get_execution_options().get("kura_write", False)
        connection.connection.cursor().execute("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine

"""Rows from one database into another, of either kind, as of one moment: for backups, restores and moves.

A backup always holds an SQLite file, wherever the rows lived: it opens without a server, also in thirty years.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select

from vault.errors import ConflictError, UnavailableError
from vault.storage.database import create_database, migrate, open_database, require_current_schema, writing
from vault.storage.tables import Base

_ROWS_PER_PAGE = 500


def copy_to_file(engine: Engine, path: Path) -> None:
    """Copy a whole database into a new SQLite file, while others write; their changes from here on are not in it.

    Raises:
        UnavailableError: the database is away, or the file cannot be written.
    """
    if engine.dialect.name == "sqlite":
        _copy_file(engine, path)
        return
    target = create_database(path)
    try:
        with engine.connect() as rows, rows.begin():
            require_current_schema(rows)
            with writing(target).begin() as connection:
                transfer(rows, connection)
    finally:
        target.dispose()  # the last connection brings the write-ahead log into the file


def fill_from_file(path: Path, owner_url: str, service_url: str) -> None:
    """Copy a whole SQLite file into a database of PostgreSQL that holds no vault: all of it, or nothing.

    The file is brought to the newest schema first.

    Raises:
        ConflictError: there is a vault in it.
    """
    source = open_database(path)
    try:
        migrate(source)
        target = create_database(owner_url, service_url)
        try:
            with source.connect() as rows, rows.begin(), writing(target).begin() as connection:
                transfer(rows, connection)
        finally:
            target.dispose()
    finally:
        source.dispose()


def transfer(source: Connection, target: Connection) -> None:
    """Copy every table, those first to which others refer; both are in a transaction, and of the newest schema.

    Raises:
        ConflictError: the target holds rows already.
    """
    for table in Base.metadata.sorted_tables:
        if target.execute(select(table).limit(1)).first() is not None:
            raise ConflictError("database-not-empty")
        add = insert(table)
        for page in (
            source.execute(select(table), execution_options={"yield_per": _ROWS_PER_PAGE}).mappings().partitions()
        ):
            target.execute(add, [dict(row) for row in page])


def _copy_file(engine: Engine, path: Path) -> None:
    """With SQLite's own means, which copy its pages."""
    try:
        with engine.connect() as connection, closing(sqlite3.connect(path)) as writer:
            reader = connection.connection.dbapi_connection
            if not isinstance(reader, sqlite3.Connection):  # pragma: no cover - the dialect says SQLite
                raise TypeError(type(reader))
            reader.backup(writer)
    except sqlite3.Error as error:
        raise UnavailableError("copy-failed", reason=type(error).__name__) from error

"""The database: one engine, SQLite tuned so that a commit is on the disk, and the schema's version.

Holds no statements of any room; they write their own against `tables`.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from vault.errors import IntegrityError, UnavailableError

_MIGRATIONS = Path(__file__).parent / "migrations"
_CACHE_KIB = 16 * 1024
_POOL_SIZE = 16  # connections kept: to open one costs more than a transaction, and importing threads have one each


def open_database(path: Path, *, read_only: bool = False) -> Engine:
    """Open the SQLite file at `path`: WAL, full sync, foreign keys; transactions begin only where code says so.

    Raises:
        UnavailableError: the file is not there (`create_database` makes it).
    """
    if not path.is_file():
        raise UnavailableError("database-missing", path=path.name)
    return _engine(path, read_only=read_only)


def create_database(path: Path) -> Engine:
    """Make an empty database with the newest schema."""
    path.touch(mode=0o600)
    engine = _engine(path, read_only=False)
    migrate(engine)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest version, forward only.

    Raises:
        IntegrityError: `schema-unknown`, a newer program has written it.
    """
    with engine.begin() as connection:
        known = {script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()}
        stored = MigrationContext.configure(connection).get_current_heads()
        if not known.issuperset(stored):
            raise _schema_unknown(stored)
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def require_current_schema(connection: Connection) -> None:
    """Check that the stored schema is the one this program was written for.

    Raises:
        IntegrityError: it is older, newer or unreadable.
    """
    stored = MigrationContext.configure(connection).get_current_heads()
    if sorted(stored) != sorted(ScriptDirectory(str(_MIGRATIONS)).get_heads()):
        raise _schema_unknown(stored)


def _schema_unknown(stored: Sequence[str]) -> IntegrityError:
    newest = ScriptDirectory(str(_MIGRATIONS)).get_heads()
    return IntegrityError("schema-unknown", stored=",".join(stored) or "none", expected=",".join(newest))


def _engine(path: Path, *, read_only: bool) -> Engine:
    # Never made by opening: a file that is away for a moment must not be taken for an empty database.
    mode = "ro" if read_only else "rw"
    engine = create_engine(
        # Quoted: a folder's name may hold what would else be the URI's own.
        URL.create("sqlite+pysqlite", database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"}),
        connect_args={"check_same_thread": False, "timeout": 30.0},
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


def writing(engine: Engine) -> Engine:
    """The same engine for write transactions: they take the write lock at once, so that none fails half-way."""
    return engine.execution_options(kura_write=True)

"""The database: SQLite or PostgreSQL, and the schema's version.

Holds no statements of any room; they write their own against `tables`.
"""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from vault.errors import IntegrityError, UnavailableError
from vault.storage.postgresql import postgresql_engine
from vault.storage.sqlite import sqlite_engine

_MIGRATIONS = Path(__file__).parent / "migrations"


def open_database(place: Path | str, *, read_only: bool = False, is_recorded: bool = False) -> Engine:
    """Open a database: an SQLite file by its path (recorded for a second disk, or not), PostgreSQL by its URL.

    Raises:
        UnavailableError: the file is not there (`create_database` makes it).
    """
    if isinstance(place, str):
        return postgresql_engine(place, read_only=read_only)
    if not place.is_file():
        raise UnavailableError("database-missing", path=place.name)
    return sqlite_engine(place, read_only=read_only, is_recorded=is_recorded)


def create_database(place: Path | str) -> Engine:
    """Make a database with the newest schema: an SQLite file anew, or in an empty database of PostgreSQL."""
    if isinstance(place, Path):
        place.touch(mode=0o600)
    engine = open_database(place)
    migrate(engine)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest version, forward only.

    Raises:
        IntegrityError: `schema-unknown`, a newer program has written it.
    """
    with writing(engine).begin() as connection:
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


def writing(engine: Engine) -> Engine:
    """The same engine for write transactions: they take the write lock at once, so that none fails half-way."""
    return engine.execution_options(kura_write=True)

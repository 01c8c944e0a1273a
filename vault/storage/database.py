"""The database: SQLite or PostgreSQL, and the schema's version.

Holds no statements of any room; they write their own against `tables`.
"""

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, select

from vault.errors import ConflictError, IntegrityError, RefusedError, UnavailableError
from vault.storage.away import tell_when_away
from vault.storage.postgresql import postgresql_engine
from vault.storage.rights import grant_rights, require_weak_role
from vault.storage.sqlite import sqlite_engine
from vault.storage.tables import LedgerRow

_MIGRATIONS = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('kura migrate'))"
PATIENCE_S = 30.0


def open_database(place: Path | str, *, read_only: bool = False, patience_s: float | None = PATIENCE_S) -> Engine:
    """Open a database: an SQLite file by its path, one of PostgreSQL by its URL.

    Args:
        place: path or URL.
        read_only: nothing can be written.
        patience_s: how long a statement may take in PostgreSQL; None: for ever.

    Raises:
        UnavailableError: the file is not there (`create_database` makes it).
    """
    if isinstance(place, str):
        return tell_when_away(postgresql_engine(place, read_only=read_only, patience_s=patience_s))
    if not place.is_file():
        raise UnavailableError("database-missing", path=place.name)
    return tell_when_away(sqlite_engine(place, read_only=read_only))


def create_database(place: Path | str, service_url: str | None = None) -> Engine:
    """Make a database with the newest schema: an SQLite file anew, or in a database of PostgreSQL without a vault.

    Args:
        place: path, or the URL of PostgreSQL's owner role.
        service_url: of the role that is given the rights to serve (PostgreSQL).

    Raises:
        ConflictError: there is a vault in it.
    """
    if isinstance(place, Path):
        place.touch(mode=0o600)
    engine = open_database(place, patience_s=None)
    try:
        migrate(engine, service_url)
        _require_empty(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _require_empty(engine: Engine) -> None:
    with engine.connect() as connection:
        if connection.scalar(select(LedgerRow.id).limit(1)) is not None:
            raise ConflictError("database-not-empty")


def migrate(engine: Engine, service_url: str | None = None) -> None:
    """Bring the schema to the newest version, forward only; in PostgreSQL by its owner, who grants rights anew.

    Raises:
        IntegrityError: `schema-unknown`, a newer program has written it.
        RefusedError: `database-role-strong`, the service's role is the owner's.
    """
    with writing(engine).begin() as connection:
        is_shared = connection.dialect.name == "postgresql"
        if is_shared:
            connection.exec_driver_sql(_ONE_AT_A_TIME)
        known = {script.revision for script in ScriptDirectory(str(_MIGRATIONS)).walk_revisions()}
        stored = MigrationContext.configure(connection).get_current_heads()
        if not known.issuperset(stored):
            raise _schema_unknown(stored)
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if is_shared and service_url is not None:
            _grant(connection, service_url)


def _grant(connection: Connection, service_url: str) -> None:
    """Give rights to whoever a URL connects as: the server is asked, for a URL need not say it."""
    service = open_database(service_url)
    try:
        with service.connect() as asking:
            role = asking.exec_driver_sql("SELECT current_user").scalar_one()
    finally:
        service.dispose()
    if role == connection.exec_driver_sql("SELECT current_user").scalar_one():
        raise RefusedError("database-role-strong", table=LedgerRow.__tablename__)
    grant_rights(connection, role)


def prepare_to_serve(engine: Engine) -> None:
    """Make an opened database ready: an SQLite file is migrated, in PostgreSQL the schema and the role are looked at.

    Raises:
        IntegrityError: `schema-unknown`, `schema-outdated`.
        RefusedError: the role could alter the ledger, or lacks a right.
    """
    if engine.dialect.name == "sqlite":
        migrate(engine)
        return
    with engine.connect() as connection:
        require_current_schema(connection)
        require_weak_role(connection)


def require_current_schema(connection: Connection) -> None:
    """Check that the stored schema is the one this program was written for.

    Raises:
        IntegrityError: it is older, newer or unreadable.
    """
    stored = MigrationContext.configure(connection).get_current_heads()
    scripts = ScriptDirectory(str(_MIGRATIONS))
    if sorted(stored) == sorted(scripts.get_heads()):
        return
    if connection.dialect.name == "postgresql" and {one.revision for one in scripts.walk_revisions()}.issuperset(
        stored
    ):
        raise IntegrityError(
            "schema-outdated", stored=",".join(stored) or "none", expected=",".join(scripts.get_heads())
        )
    raise _schema_unknown(stored)


def _schema_unknown(stored: Sequence[str]) -> IntegrityError:
    newest = ScriptDirectory(str(_MIGRATIONS)).get_heads()
    return IntegrityError("schema-unknown", stored=",".join(stored) or "none", expected=",".join(newest))


def writing(engine: Engine) -> Engine:
    """The same engine for write transactions: they take the write lock at once, so that none fails half-way."""
    return engine.execution_options(kura_write=True)


def is_shared(engine: Engine | Connection) -> bool:
    """Tell whether other processes may write to the same database; a file has one owner."""
    return engine.dialect.name == "postgresql"

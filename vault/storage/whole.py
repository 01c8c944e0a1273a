"""Whether a database is whole: every page readable, every reference kept, every safeguard of the schema in place.

SQLite says so itself. PostgreSQL has no such statement for who may only read: its tables are read to the end,
references are looked up, and its catalogue is asked whether a constraint, index or trigger was dropped or disabled.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, ForeignKeyConstraint, Table, and_, exists, func, select, text
from sqlalchemy.exc import DBAPIError

from vault.errors import IntegrityError
from vault.storage.database import require_current_schema
from vault.storage.tables import Base

_TRIGGERS = frozenset(
    {(table, name) for table in ("checkpoints", "events") for name in ("kura_kept", "kura_whole")}
    | {("ledgers", name) for name in ("kura_forward", "kura_kept", "kura_whole")}
)
_CONSTRAINTS_IN_FORCE = """
SELECT c.conrelid::regclass::text, c.conname FROM pg_constraint c
WHERE c.connamespace = 'public'::regnamespace AND c.convalidated AND NOT EXISTS
    (SELECT FROM pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled NOT IN ('O', 'A'))
"""
_INDEXES_IN_FORCE = """
SELECT i.indrelid::regclass::text, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid AND i.indisready
"""
_TRIGGERS_IN_FORCE = """
SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')
"""


def require_whole(connection: Connection) -> None:
    """Check a database to its last page.

    Raises:
        IntegrityError: of an unknown schema; damaged; a reference broken; a safeguard missing.
    """
    require_current_schema(connection)
    if connection.dialect.name == "sqlite":
        _require_whole_file(connection)
        return
    for what, name in sorted(_safeguards(connection) - _in_force(connection)):
        raise IntegrityError("safeguard-missing", table=what, name=name)
    for table in Base.metadata.sorted_tables:
        try:
            # The row as text: that reads what is kept beside the row as well.
            connection.execute(text(f"SELECT sum(hashtext(one::text)) FROM {table.name} one"))  # noqa: S608 - ours
        except DBAPIError as error:
            raise IntegrityError("database-damaged", count=1) from error
        for reference in table.foreign_key_constraints:
            count = _broken(connection, table, reference)
            if count:
                raise IntegrityError("reference-broken", table=table.name, count=count)


def _require_whole_file(connection: Connection) -> None:
    problems = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check").all()]
    if problems != ["ok"]:
        raise IntegrityError("database-damaged", count=len(problems))
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise IntegrityError("reference-broken", table=broken[0][0], count=len(broken))


def _broken(connection: Connection, table: Table, reference: ForeignKeyConstraint) -> int:
    pairs = [(element.parent, element.column) for element in reference.elements]
    there = exists().where(and_(*(ours == theirs for ours, theirs in pairs)))
    ours = and_(*(ours.is_not(None) for ours, _ in pairs))
    return connection.scalar(select(func.count()).select_from(table).where(ours, ~there)) or 0


def _safeguards(connection: Connection) -> set[tuple[str, str]]:
    """What the code's tables say that there must be, by table and name."""
    return {*_TRIGGERS, *_named(connection)}


def _named(connection: Connection) -> Iterator[tuple[str, str]]:
    preparer = connection.dialect.identifier_preparer
    for table in Base.metadata.sorted_tables:
        for constraint in table.constraints:
            name = preparer.format_constraint(constraint)
            if name is not None:
                yield table.name, name
        for index in table.indexes:
            yield table.name, preparer.format_index(index)


def _in_force(connection: Connection) -> set[tuple[str, str]]:
    return {
        (row[0], row[1])
        for query in (_CONSTRAINTS_IN_FORCE, _INDEXES_IN_FORCE, _TRIGGERS_IN_FORCE)
        for row in connection.exec_driver_sql(query)
    }

"""What the service may do to each table of PostgreSQL: the least that the code needs, granted by the owner.

The role that serves can add to a ledger and never alter it, whatever a fault in this program or a stolen credential
asks for. Grants are no migration: they name a role that every installation calls otherwise, and follow from this table,
which `migrate` applies again each time. Triggers that hold the owner to the same are in migration 0005.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from vault.errors import RefusedError

_ALL_COLUMNS = ("*",)
_NONE: tuple[str, ...] = ()

# Beside SELECT and INSERT, which the service has on every table: the columns it may update; whether it may delete.
# Disposal will add: buckets.state; records, objects, copies, index_tokens, envelopes, event_parts: delete.
# Re-wrapping and holds will add: records.bucket_id, .envelope_id and .wrapped_key.
RIGHTS: dict[str, tuple[Sequence[str], bool]] = {
    "authorities": (_NONE, False),
    "buckets": (_NONE, False),
    "certificates": (("revoked_at",), False),
    "checkpoints": (_NONE, False),
    "contracts": (("ledger_id",), False),  # a recovery names the successor
    "copies": (_ALL_COLUMNS, True),  # operational: where copies stand
    "envelopes": (_NONE, False),
    "event_parts": (_NONE, False),
    "events": (_NONE, False),
    "grants": (_NONE, False),
    "index_tokens": (_NONE, False),
    "leases": (_ALL_COLUMNS, True),  # operational
    "ledgers": (("state", "size", "compact_range"), False),  # forward only: a trigger sees to that
    "objects": (_NONE, False),
    "persons": (_NONE, False),
    "records": (("is_indexed",), False),
    "scrubs": (_ALL_COLUMNS, True),  # operational
    "stations": (_NONE, False),
    "tiles": (("hashes",), False),  # a tile grows; a whole one is compared with the entries by verification
}
_VERSION = "alembic_version"
_APPEND_ONLY = ("checkpoints", "events")
_CAN_ALTER = text(
    """
    SELECT has_table_privilege(current_user, c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
        OR has_any_column_privilege(current_user, c.oid, 'UPDATE')
        OR pg_has_role(current_user, c.relowner, 'MEMBER')
    FROM pg_class c WHERE c.oid = CAST(:name AS regclass)
    """
)
_CAN_USE = text("SELECT has_table_privilege(current_user, CAST(:name AS regclass), 'SELECT') AND (:is_read_only OR "
                "has_table_privilege(current_user, CAST(:name AS regclass), 'INSERT'))")  # fmt: skip


def grant_rights(connection: Connection, role: str) -> None:
    """Give a role the rights of `RIGHTS` and no others; nobody but it and the owner may connect. Repeatable."""
    quote = connection.dialect.identifier_preparer.quote
    who = quote(role)
    database = quote(connection.exec_driver_sql("SELECT current_database()").scalar_one())
    statements = [
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {database} TO {who}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {who}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {who}",
        f"GRANT SELECT ON {_VERSION} TO {who}",
    ]
    for table, (columns, may_delete) in RIGHTS.items():
        rights = ["SELECT", "INSERT", *(["DELETE"] if may_delete else [])]
        if columns is _ALL_COLUMNS:
            rights.append("UPDATE")
        elif columns:
            rights.append(f"UPDATE ({', '.join(columns)})")
        # Rights on columns are not among those that were revoked above.
        statements += [f"REVOKE UPDATE ({_columns(connection, table)}) ON {table} FROM {who}"]
        statements += [f"GRANT {', '.join(rights)} ON {table} TO {who}"]
    for statement in statements:
        connection.exec_driver_sql(statement)


def require_weak_role(connection: Connection) -> None:
    """Check that whoever is connected could not alter what is in a ledger, and can do what a vault does.

    A warning would not do: a vault that serves as the owner has lost what its second role was made for, and nobody
    reads warnings.

    Raises:
        RefusedError: `database-role-strong`, `database-rights-missing`.
    """
    for table in _APPEND_ONLY:
        if connection.execute(_CAN_ALTER, {"name": table}).scalar_one():
            raise RefusedError("database-role-strong", table=table)
    for table in (_VERSION, *RIGHTS):
        if not connection.execute(_CAN_USE, {"name": table, "is_read_only": table == _VERSION}).scalar_one():
            raise RefusedError("database-rights-missing", table=table)


def _columns(connection: Connection, table: str) -> str:
    names = text("SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute"
                 " WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 AND NOT attisdropped")  # fmt: skip
    found: str = connection.execute(names, {"name": table}).scalar_one()
    return found

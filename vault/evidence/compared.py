"""Rows of a table beside what the events say they are."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from vault.evidence.verdict import Verdict


def compare_rows(table: str, stored: Mapping[Any, Any], said: Mapping[Any, Any], verdict: Verdict) -> None:
    """Name every row that is stored and was not said, said and not stored, or other than said."""
    for key in set(stored) | set(said):
        if key not in stored or key not in said or stored[key] != said[key]:
            shown = "/".join(key) if isinstance(key, tuple) else key
            verdict.differs(f"{table}/{shown}")


def all_rows(connection: Connection, table: type[Any]) -> list[dict[str, Any]]:
    """Read a table that is small."""
    names = [column.key for column in table.__mapper__.column_attrs]
    query = select(*(getattr(table, name) for name in names))
    return [dict(row) for row in connection.execute(query).mappings()]

"""Statements through the driver: every value as SQLAlchemy itself would write and read it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, LargeBinary, String, bindparam, create_engine, insert, select, update
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from vault.storage.statement import Statement, _compile
from vault.storage.tables.base import Instant


class _Base(DeclarativeBase):
    pass


class _Row(_Base):
    __tablename__ = "things"

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    at: Mapped[datetime | None] = mapped_column(Instant)
    day: Mapped[date]
    is_kept: Mapped[bool]
    digest: Mapped[bytes] = mapped_column(LargeBinary)


COLUMNS = ("id", "at", "day", "is_kept", "digest")
AT = datetime(2026, 11, 21, 9, 0, 0, 5, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"id": "a", "at": AT, "day": date(2026, 11, 21), "is_kept": True, "digest": b"\0x"},
    {"id": "b", "at": None, "day": date(2031, 4, 1), "is_kept": False, "digest": b""},
]
ADD = Statement(insert(_Row))
READ = Statement(select(*(getattr(_Row, name) for name in COLUMNS)).order_by(_Row.id))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/things.db")
    _Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_values_go_in_and_come_out_as_by_sqlalchemy(engine: Engine) -> None:
    with engine.begin() as connection:
        ADD.run_many(connection, ROWS[:1])
        assert ADD.run(connection, ROWS[1]) == 1
        plain = [tuple(row) for row in connection.execute(select(*(getattr(_Row, name) for name in COLUMNS)))]
        assert READ.rows(connection, {}) == plain == [tuple(row.values()) for row in ROWS]


def test_rows_that_sqlalchemy_wrote_read_alike(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(_Row), ROWS)
        assert READ.first(connection, {}) == tuple(ROWS[0].values())


def test_it_runs_in_the_transaction_of_the_connection(engine: Engine) -> None:
    with engine.connect() as connection:
        with connection.begin() as transaction:
            ADD.run(connection, ROWS[0])
            transaction.rollback()
        assert READ.first(connection, {}) is None


def test_it_says_how_many_rows_it_changed(engine: Engine) -> None:
    move = Statement(update(_Row).where(_Row.is_kept == bindparam("was")).values(is_kept=bindparam("now")))
    with engine.begin() as connection:
        ADD.run_many(connection, ROWS)
        assert [move.run(connection, {"was": False, "now": True}) for _ in range(2)] == [1, 0]


def test_a_value_that_was_left_out_is_a_defect(engine: Engine) -> None:
    with engine.begin() as connection, pytest.raises(KeyError):
        ADD.run(connection, {"id": "a"})


def test_a_driver_with_other_signs_gets_those() -> None:
    compiled = _compile(select(_Row.id).where(_Row.at == bindparam("at")), psycopg.dialect())  # type: ignore[no-untyped-call]
    assert "%s" in compiled.sql
    assert compiled.bound({"at": AT}) == [(AT - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 10**6]

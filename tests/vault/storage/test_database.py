"""The database: durable settings, a schema that migrations make whole, and rows that cannot be wrong in some ways."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import refused
from sqlalchemy import Engine, create_engine, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError as ConstraintError
from sqlalchemy.exc import OperationalError

from vault.errors import IntegrityError, UnavailableError
from vault.storage.database import create_database, migrate, open_database, require_current_schema, writing
from vault.storage.tables import (
    Base,
    BucketRow,
    ContractRow,
    EnvelopeRow,
    EventRow,
    LedgerRow,
    ObjectRow,
    PersonRow,
    RecordRow,
)
from vault.storage.tables.base import Instant

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ROWS: dict[type[Base], dict[str, Any]] = {
    LedgerRow: {
        "id": "city", "contract_id": "city", "origin": "kura.test/city", "vkey": "v", "signing_key_id": "k",
        "state": "open", "size": 1, "compact_range": b"",
    },
    ContractRow: {"id": "city", "ledger_id": "city", "policy": ""},
    EventRow: {"ledger_id": "city", "entry_index": 0, "entry": b"{}"},
    BucketRow: {
        "id": "bucket", "contract_id": "city", "class_id": "form", "scope": "2031-04-01", "generation": 1,
        "state": "open", "key_id": "key", "public_key": b"", "signature": b"", "private_wrapped": b"",
        "index_wrapped": b"",
    },
    EnvelopeRow: {"id": "envelope", "bucket_id": "bucket", "sealed": b""},
    RecordRow: {
        "id": "record", "contract_id": "city", "class_id": "form", "bucket_id": "bucket", "ledger_id": "city",
        "entry_index": 0, "status": "kept", "started_at": None, "ended_at": AT, "trigger_date": date(2026, 11, 21),
        "station": "person:1", "deposited_at": AT, "envelope_id": "envelope", "wrapped_key": b"",
        "sealed_metadata": b"", "is_indexed": True,
    },
    ObjectRow: {
        "record_id": "record", "component": "original", "version": 1, "name": "n", "media_type": "m",
        "content_bytes": 1, "sealed_bytes": 1, "sealed_blake3": b"", "copies": 1,
    },
    PersonRow: {"number": "1", "added_at": AT},
}  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_database(tmp_path / "kura.db")
    yield engine
    engine.dispose()


@pytest.fixture
def filled(engine: Engine) -> Engine:
    with writing(engine).begin() as connection:
        for table, values in ROWS.items():
            connection.execute(insert(table), [values])
    return engine


def test_the_migrations_make_exactly_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
        names = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    assert names == set(Base.metadata.tables) | {"alembic_version"}


def test_the_migrations_make_the_checks_of_the_code_too(engine: Engine, tmp_path: Path) -> None:
    """What the comparison above does not look at: CHECK constraints."""
    straight = create_engine(f"sqlite:///{tmp_path}/straight.db")
    Base.metadata.create_all(straight)

    def checks(of: Engine) -> set[str]:
        with of.connect() as connection:
            texts = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table'").scalars()
            return {
                line.strip().rstrip(",").replace('"', "")
                for text in texts
                for line in text.splitlines()
                if "CHECK" in line
            }

    assert checks(engine) == checks(straight) != set()
    straight.dispose()


def test_migrating_again_is_harmless(filled: Engine) -> None:
    migrate(filled)
    with filled.connect() as connection:
        require_current_schema(connection)
        assert connection.scalar(select(RecordRow.id)) == "record"


@pytest.mark.parametrize("version", ["9999", "0000", ""])
def test_a_schema_of_another_program_is_refused(engine: Engine, version: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")  # noqa: S608 - ours
    with engine.connect() as connection, refused(IntegrityError, "schema-unknown"):
        require_current_schema(connection)
    with refused(IntegrityError, "schema-unknown"):
        migrate(engine)


def test_no_schema_at_all_is_unknown(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "kura.db").close()
    (tmp_path / "kura.db").touch()
    engine = open_database(tmp_path / "kura.db")
    with engine.connect() as connection, refused(IntegrityError, "schema-unknown"):
        require_current_schema(connection)
    engine.dispose()


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    with refused(UnavailableError, "database-missing"):
        open_database(tmp_path / "kura.db")
    assert list(tmp_path.iterdir()) == []


def test_a_database_whose_file_is_away_is_not_made_anew(filled: Engine, tmp_path: Path) -> None:
    filled.dispose()
    (tmp_path / "kura.db").rename(tmp_path / "away.db")
    with pytest.raises(OperationalError), filled.connect() as connection:
        connection.scalar(select(RecordRow.id))
    assert not (tmp_path / "kura.db").exists()
    (tmp_path / "away.db").rename(tmp_path / "kura.db")
    with filled.connect() as connection:
        assert connection.scalar(select(RecordRow.id)) == "record"


def test_a_commit_is_on_the_disk(engine: Engine) -> None:
    with engine.connect() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names] == ["wal", 2, 1]


def test_a_read_only_database_takes_nothing(filled: Engine, tmp_path: Path) -> None:
    filled.dispose()
    reader = open_database(tmp_path / "kura.db", read_only=True)
    with reader.connect() as connection:
        assert connection.scalar(select(RecordRow.id)) == "record"
        with pytest.raises(OperationalError):
            connection.execute(insert(PersonRow), [{"number": "2", "added_at": AT}])
    reader.dispose()


@pytest.mark.parametrize("folder", ["with space", "案件 100%41?mode=memory#x", "a'b\"c;d&e=f"])
def test_the_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    create_database(tmp_path / folder / "kura.db").dispose()
    assert (tmp_path / folder / "kura.db").stat().st_size > 0
    open_database(tmp_path / folder / "kura.db", read_only=True).dispose()
    assert [path.name for path in tmp_path.iterdir()] == [folder]


MUST_NEVER: dict[str, tuple[type[Base], dict[str, Any]]] = {
    "a second record of one id": (RecordRow, {"entry_index": 1}),
    "two records of one event": (RecordRow, {"id": "other"}),
    "a record without a bucket": (RecordRow, {"id": "other", "entry_index": 1, "bucket_id": "none"}),
    "a record without an envelope": (RecordRow, {"id": "other", "entry_index": 1, "envelope_id": "none"}),
    "a record without an event": (RecordRow, {"id": "other", "entry_index": 7}),
    "a record of no contract": (RecordRow, {"id": "other", "entry_index": 1, "contract_id": "none"}),
    "a record of no known status": (RecordRow, {"id": "other", "entry_index": 1, "status": "lost"}),
    "a record that ends before it begins": (RecordRow, {"id": "other", "entry_index": 1, "started_at": AT}),
    "a record without a key": (RecordRow, {"id": "other", "entry_index": 1, "wrapped_key": None}),
    "an object without a record": (ObjectRow, {"record_id": "none", "name": "m"}),
    "two objects of one name": (ObjectRow, {"component": "other"}),
    "the same component twice": (ObjectRow, {"name": "m"}),
    "the same bucket twice": (BucketRow, {"id": "other", "key_id": "other"}),
    "two buckets under one key": (BucketRow, {"id": "other", "generation": 2}),
    "a bucket of no known state": (BucketRow, {"id": "other", "key_id": "o", "generation": 2, "state": "ajar"}),
    "an envelope without a bucket": (EnvelopeRow, {"id": "other", "bucket_id": "none"}),
    "the same entry twice": (EventRow, {}),
    "an entry of no ledger": (EventRow, {"ledger_id": "none"}),
    "a ledger of no known state": (LedgerRow, {"id": "other", "origin": "o", "state": "lost"}),
    "a ledger of negative size": (LedgerRow, {"id": "other", "origin": "o", "size": -1}),
    "two ledgers of one origin": (LedgerRow, {"id": "other"}),
    "a contract without a ledger": (ContractRow, {"id": "other", "ledger_id": "none"}),
    "the same person twice": (PersonRow, {}),
}


@pytest.mark.parametrize(("table", "changed"), MUST_NEVER.values(), ids=MUST_NEVER)
def test_the_database_refuses_what_must_never_be(filled: Engine, table: type[Base], changed: dict[str, Any]) -> None:
    with writing(filled).begin() as connection:
        connection.execute(insert(EventRow), [{"ledger_id": "city", "entry_index": 1, "entry": b"{}"}])
    with pytest.raises(ConstraintError), writing(filled).begin() as connection:
        connection.execute(insert(table), [ROWS[table] | changed])


def test_an_event_may_follow_its_record_within_one_transaction(filled: Engine) -> None:
    with writing(filled).begin() as connection:
        connection.execute(insert(RecordRow), [ROWS[RecordRow] | {"id": "other", "entry_index": 5}])
        connection.execute(insert(EventRow), [{"ledger_id": "city", "entry_index": 5, "entry": b"{}"}])


@pytest.mark.parametrize("table", [EventRow, BucketRow, EnvelopeRow, LedgerRow, ContractRow])
def test_what_a_record_stands_on_is_not_deleted_under_it(filled: Engine, table: type[Base]) -> None:
    with pytest.raises(ConstraintError), writing(filled).begin() as connection:
        connection.execute(table.__table__.delete())  # type: ignore[attr-defined]  # a Table, not a FromClause


instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@given(instants, instants)
def test_instants_come_back_to_the_microsecond_and_sort(one: datetime, other: datetime) -> None:
    stored = [Instant().process_bind_param(instant, sqlite.dialect()) for instant in (one, other)]
    assert [Instant().process_result_value(value, sqlite.dialect()) for value in stored] == [one, other]
    assert (one < other) == (stored[0] < stored[1])  # type: ignore[operator]  # neither is None


def test_an_instant_of_another_zone_is_the_same_instant(filled: Engine) -> None:
    local = AT.astimezone(timezone(timedelta(hours=9)))
    with writing(filled).begin() as connection:
        connection.execute(insert(PersonRow), [{"number": "2", "added_at": local}])
    with filled.connect() as connection:
        assert set(connection.scalars(select(PersonRow.added_at))) == {AT}
        [[raw]] = connection.exec_driver_sql("SELECT added_at FROM persons WHERE number = '2'").all()
    assert raw == int(AT.timestamp()) * 1_000_000


def test_nothing_stays_nothing_and_a_naive_instant_is_refused(filled: Engine) -> None:
    assert Instant().process_bind_param(None, sqlite.dialect()) is None
    assert Instant().process_result_value(None, sqlite.dialect()) is None
    with pytest.raises(TypeError):
        Instant().process_bind_param(AT.replace(tzinfo=None), sqlite.dialect())
    with filled.connect() as connection:
        assert connection.scalar(select(RecordRow.started_at)) is None

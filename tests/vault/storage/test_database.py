"""The database: rows that cannot be wrong in some ways, and instants that come back as they were."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_rows import AT, ROWS
from sqlalchemy import Engine, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError as ConstraintError

from vault.storage.database import writing
from vault.storage.tables import (
    Base,
    BucketRow,
    CheckpointRow,
    ContractRow,
    EnvelopeRow,
    EventRow,
    IndexTokenRow,
    LedgerRow,
    ObjectRow,
    PersonRow,
    RecordRow,
    TileRow,
)
from vault.storage.tables.base import Instant

pytestmark = pytest.mark.both_worlds


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


POSTGRESQL_REFUSES: dict[str, tuple[type[Base], dict[str, Any]]] = {
    "an entry too long for its proof": (EventRow, {"entry_index": 1, "entry": bytes(65_536)}),
    "an empty entry": (EventRow, {"entry_index": 1, "entry": b""}),
    "an entry before the first": (EventRow, {"entry_index": -1}),
    "a checkpoint of nothing": (CheckpointRow, {"ledger_id": "city", "size": 0, "note": ""}),
    "half a hash in a tile": (TileRow, {"ledger_id": "city", "level": 1, "tile_index": 0, "hashes": bytes(48)}),
    "a tile that is too wide": (TileRow, {"ledger_id": "city", "level": 1, "tile_index": 0, "hashes": bytes(8224)}),
    "a head of half a hash": (LedgerRow, {"id": "other", "origin": "o", "compact_range": bytes(16)}),
    "a public half of another length": (
        BucketRow,
        {"id": "other", "key_id": "other", "generation": 2, "public_key": bytes(31)},
    ),
    "a token of another length": (IndexTokenRow, {"token": bytes(15), "record_id": "record"}),
    "an object of negative length": (ObjectRow, {"component": "other", "name": "m", "sealed_bytes": -1}),
    "a digest of another length": (ObjectRow, {"component": "other", "name": "m", "sealed_blake3": bytes(31)}),
}


@pytest.mark.engines
@pytest.mark.parametrize(("table", "changed"), POSTGRESQL_REFUSES.values(), ids=POSTGRESQL_REFUSES)
def test_postgresql_refuses_what_has_no_such_size(filled: Engine, table: type[Base], changed: dict[str, Any]) -> None:
    with pytest.raises(ConstraintError, match="CheckViolation"), writing(filled).begin() as connection:
        connection.execute(insert(table), [ROWS.get(table, {}) | changed])
    with writing(filled).begin() as connection:
        connection.execute(insert(EventRow), [ROWS[EventRow] | {"entry_index": 1, "entry": bytes(65_535)}])


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

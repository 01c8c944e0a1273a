"""A page of records with everything that is stored of them: rows, entries, objects, tokens. Compares nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, select
from sqlalchemy.orm import InstrumentedAttribute

from vault.records.deposit_event import OBJECT_COLUMNS, RECORD_COLUMNS
from vault.records.opening import StoredRecord
from vault.records.placement import CopyValues
from vault.storage.statement import Row, Statement
from vault.storage.tables import CopyRow, EnvelopeRow, EventRow, IndexTokenRow, ObjectRow, RecordRow


def _in_range(record_id: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """A page is a range of ids: a list of them would be another statement for every length."""
    return record_id.between(bindparam("first"), bindparam("last"))


_RECORDS = Statement(
    select(
        *(getattr(RecordRow, name) for name in RECORD_COLUMNS),
        EnvelopeRow.sealed,
        EnvelopeRow.bucket_id,
        EventRow.entry,
    )
    .join(EnvelopeRow, EnvelopeRow.id == RecordRow.envelope_id)
    .outerjoin(EventRow, and_(EventRow.ledger_id == RecordRow.ledger_id, EventRow.entry_index == RecordRow.entry_index))
    .where(_in_range(RecordRow.id))
)
_OBJECTS = Statement(
    select(*(getattr(ObjectRow, name) for name in OBJECT_COLUMNS))
    .where(_in_range(ObjectRow.record_id))
    .order_by(ObjectRow.record_id, ObjectRow.component, ObjectRow.version)
)
_TOKENS = Statement(select(IndexTokenRow.record_id, IndexTokenRow.token).where(_in_range(IndexTokenRow.record_id)))
_COPIES = Statement(
    select(ObjectRow.record_id, CopyRow.object_name, CopyRow.store, CopyRow.state, CopyRow.version)
    .join(ObjectRow, ObjectRow.name == CopyRow.object_name)
    .where(_in_range(ObjectRow.record_id))
)


@dataclass(frozen=True, slots=True)
class Found:
    """What is stored of one record; `entry` is None where its place in the ledger is empty."""

    record: StoredRecord
    entry: bytes | None
    tokens: set[bytes]


def read_page(connection: Connection, record_ids: Sequence[str]) -> dict[str, Found]:
    """Read consecutive records by id; left out is one without an envelope or without an object."""
    bounds = {"first": record_ids[0], "last": record_ids[-1]}
    objects, tokens, copies = (
        _by_record(statement.rows(connection, bounds)) for statement in (_OBJECTS, _TOKENS, _COPIES)
    )
    page = {}
    for *values, envelope, bucket_id, entry in _RECORDS.rows(connection, bounds):
        record_id = values[0]
        stored = [dict(zip(OBJECT_COLUMNS, row, strict=True)) for row in objects.get(record_id, ())]
        if stored:
            of_objects: dict[str, list[CopyValues]] = {}
            for _, name, store, state, version in copies.get(record_id, ()):
                of_objects.setdefault(name, []).append((store, state, version))
            columns = dict(zip(RECORD_COLUMNS, values, strict=True))
            record = StoredRecord(columns, stored, envelope, bucket_id, of_objects)
            page[record_id] = Found(record, entry, {token for _, token in tokens.get(record_id, ())})
    return page


def _by_record(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(row)
    return found

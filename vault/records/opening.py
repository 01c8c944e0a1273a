"""Opening stored records: their rows, their data keys, their metadata. Whoever calls has been allowed and logged."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from vault.records.deposit_event import OBJECT_COLUMNS, RECORD_COLUMNS
from vault.records.metadata import Metadata
from vault.records.placement import CopyValues, Placed, placed
from vault.sealing.bucket_secrets import BucketSecrets
from vault.storage.statement import Row, Statement
from vault.storage.tables import BucketRow, CopyRow, EnvelopeRow, ObjectRow, RecordRow

# One row for each object and each row of its copies; one row without an object where the record has none.
_RECORD = Statement(
    select(
        *(getattr(RecordRow, name) for name in RECORD_COLUMNS),
        EnvelopeRow.sealed,
        EnvelopeRow.bucket_id,
        *(getattr(ObjectRow, name) for name in OBJECT_COLUMNS),
        CopyRow.store,
        CopyRow.state,
        CopyRow.version,
    )
    .join(EnvelopeRow, EnvelopeRow.id == RecordRow.envelope_id)
    .outerjoin(ObjectRow, ObjectRow.record_id == RecordRow.id)
    .outerjoin(CopyRow, CopyRow.object_name == ObjectRow.name)
    .where(RecordRow.id == bindparam("record"))
    .order_by(ObjectRow.component, ObjectRow.version)
)
_ENVELOPE = len(RECORD_COLUMNS)
_OBJECT = _ENVELOPE + 2
_COPY = _OBJECT + len(OBJECT_COLUMNS)


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as its rows have it, its secrets still closed."""

    values: Mapping[str, Any]  # columns of `records`
    objects: Sequence[Mapping[str, Any]]  # columns of `objects`, by component and version
    envelope: bytes  # sealed
    bucket_id: str  # of the envelope
    copy_rows: Mapping[str, Sequence[CopyValues]]  # of `copies`, by the object's name

    def copies(self) -> list[Placed]:
        """Say where the copies of its first object stand."""
        stored = self.objects[0]
        return placed(stored["name"], stored["copies"], self.copy_rows.get(stored["name"], ()))


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """A record's data key and metadata, in memory only."""

    data_key: bytes
    metadata: Metadata


def read_records(connection: Connection, record_ids: Collection[str]) -> dict[str, StoredRecord]:
    """Read records by id, many of them as they stand at one instant; those that do not exist are left out."""
    if len(record_ids) > 1 and not connection.in_transaction():
        with connection.begin():
            return read_records(connection, record_ids)
    found = {}
    for record_id in record_ids:
        rows = _RECORD.rows(connection, {"record": record_id})
        if rows:
            found[record_id] = _stored(rows)
    return found


def _stored(rows: Sequence[Row]) -> StoredRecord:
    values = dict(zip(RECORD_COLUMNS, rows[0], strict=False))
    distinct = dict.fromkeys(row[_OBJECT:_COPY] for row in rows if row[_OBJECT] is not None)
    objects = [dict(zip(OBJECT_COLUMNS, found, strict=True)) for found in distinct]
    envelope, bucket_id = rows[0][_ENVELOPE:_OBJECT]
    return StoredRecord(values, objects, envelope, bucket_id, _copy_rows(rows))


def _copy_rows(rows: Sequence[Row]) -> dict[str, list[CopyValues]]:
    found: dict[str, list[CopyValues]] = {}
    for row in rows:
        if row[_COPY] is not None:
            found.setdefault(row[_OBJECT + OBJECT_COLUMNS.index("name")], []).append(row[_COPY:])
    return found


class Opener:
    """Opens records whose bucket rows are known."""

    def __init__(self, secrets: BucketSecrets, rows: Mapping[str, BucketRow]) -> None:
        """Open with these bucket rows."""
        self._secrets = secrets
        self._rows = rows

    def open(self, record: StoredRecord) -> OpenedRecord:
        """Open a record's data key and metadata.

        Raises:
            SealedError: the vault is sealed.
            IntegrityError: a wrap or the metadata was altered.
        """
        values = record.values
        envelope = self._secrets.envelope(values["envelope_id"], self._rows[record.bucket_id], record.envelope)
        data_key = envelope.unwrap(values["wrapped_key"])
        return OpenedRecord(
            data_key, Metadata.open(data_key, values["contract_id"], values["id"], values["sealed_metadata"])
        )

    def bucket(self, record: StoredRecord) -> BucketRow:
        """Give the bucket that a record's envelope is sealed to."""
        return self._rows[record.bucket_id]


def opener_for(connection: Connection, secrets: BucketSecrets, records: Iterable[StoredRecord]) -> Opener:
    """Make an opener that has the bucket rows these records need."""
    return Opener(secrets, secrets.rows(connection, {record.bucket_id for record in records}))

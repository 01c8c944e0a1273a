"""Opening stored records: their rows, their data keys, their metadata. Whoever calls has been allowed and logged."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from vault.records.deposit_event import OBJECT_COLUMNS, RECORD_COLUMNS
from vault.records.metadata import Metadata
from vault.sealing.bucket_secrets import BucketSecrets
from vault.sealing.envelope import Envelope
from vault.storage.tables import BucketRow, EnvelopeRow, ObjectRow, RecordRow

_ENVELOPES_CACHED = 256

# Made once: to build such statements costs more than to run them.
_RECORDS = (
    select(
        *(getattr(RecordRow, name) for name in RECORD_COLUMNS),
        EnvelopeRow.sealed.label("envelope"),
        EnvelopeRow.bucket_id.label("envelope_bucket"),
    )
    .join(EnvelopeRow, EnvelopeRow.id == RecordRow.envelope_id)
    .where(RecordRow.id.in_(bindparam("ids", expanding=True)))
)
_OBJECTS = (
    select(*(getattr(ObjectRow, name) for name in OBJECT_COLUMNS))
    .where(ObjectRow.record_id.in_(bindparam("ids", expanding=True)))
    .order_by(ObjectRow.record_id, ObjectRow.component, ObjectRow.version)
)


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as its rows have it, its secrets still closed."""

    values: Mapping[str, Any]  # columns of `records`
    objects: Sequence[Mapping[str, Any]]  # columns of `objects`, by component and version
    envelope: bytes  # sealed
    bucket_id: str  # of the envelope


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """A record's data key and metadata, in memory only."""

    data_key: bytes
    metadata: Metadata


def read_records(connection: Connection, record_ids: Iterable[str]) -> dict[str, StoredRecord]:
    """Read records by id; those that do not exist are left out."""
    ids = {"ids": list(record_ids)}
    objects: dict[str, list[Mapping[str, Any]]] = {}
    for row in connection.execute(_OBJECTS, ids).mappings():
        objects.setdefault(row["record_id"], []).append(dict(row))
    found = {}
    for row in connection.execute(_RECORDS, ids).mappings():
        values = {name: row[name] for name in RECORD_COLUMNS}
        found[row["id"]] = StoredRecord(values, objects.get(row["id"], []), row["envelope"], row["envelope_bucket"])
    return found


class Opener:
    """Opens records; keeps the last envelopes, for a bulk reading has many records in one. For one thread."""

    def __init__(self, secrets: BucketSecrets, rows: Mapping[str, BucketRow]) -> None:
        """Open with these bucket rows."""
        self._secrets = secrets
        self._rows = rows
        self._envelopes: OrderedDict[str, Envelope] = OrderedDict()

    def open(self, record: StoredRecord) -> OpenedRecord:
        """Open a record's data key and metadata.

        Raises:
            SealedError: the vault is sealed.
            IntegrityError: a wrap or the metadata was altered.
        """
        values = record.values
        envelope = self._envelope(values["envelope_id"], record)
        data_key = envelope.unwrap(values["wrapped_key"])
        return OpenedRecord(
            data_key, Metadata.open(data_key, values["contract_id"], values["id"], values["sealed_metadata"])
        )

    def bucket(self, record: StoredRecord) -> BucketRow:
        """Give the bucket that a record's envelope is sealed to."""
        return self._rows[record.bucket_id]

    def _envelope(self, envelope_id: str, record: StoredRecord) -> Envelope:
        found = self._envelopes.get(envelope_id)
        if found is None:
            private_key = self._secrets.opened(self._rows[record.bucket_id]).private_key
            found = Envelope.open(envelope_id, record.bucket_id, record.envelope, private_key)
            self._envelopes[envelope_id] = found
            if len(self._envelopes) > _ENVELOPES_CACHED:
                self._envelopes.popitem(last=False)
        return found


def opener_for(connection: Connection, secrets: BucketSecrets, records: Iterable[StoredRecord]) -> Opener:
    """Make an opener that has the bucket rows these records need."""
    return Opener(secrets, secrets.rows(connection, {record.bucket_id for record in records}))

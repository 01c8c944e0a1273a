"""One row of each table that a record stands on, in the order in which they can be added."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Engine, insert

from vault.storage.database import writing
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
        "state": "open", "key_id": "key", "public_key": bytes(32), "signature": b"",
        "private_wrapped": bytes(40), "index_wrapped": bytes(40),
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
        "content_bytes": 1, "sealed_bytes": 1, "sealed_blake3": bytes(32), "copies": 1,
    },
    PersonRow: {"number": "1", "added_at": AT},
}  # fmt: skip


def fill(engine: Engine) -> Engine:
    """Add them all."""
    with writing(engine).begin() as connection:
        for table, values in ROWS.items():
            connection.execute(insert(table), [values])
    return engine

"""What the ledger says of a deposit: one function from rows to the event's body. Pure.

Taking a record and verifying it both call it, so that a row cannot say anything that the ledger does not.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from vault.canonical_json import Json
from vault.ledger.event import format_instant

RECORD_COLUMNS = (
    "id",
    "contract_id",
    "class_id",
    "bucket_id",
    "ledger_id",
    "entry_index",
    "status",
    "started_at",
    "ended_at",
    "trigger_date",
    "site",
    "station",
    "sequence",
    "title_code",
    "clock_offset_s",
    "lines",
    "lines_root",
    "deposited_at",
    "envelope_id",
    "wrapped_key",
    "sealed_metadata",
    "is_indexed",
)
OBJECT_COLUMNS = (
    "record_id",
    "component",
    "version",
    "name",
    "media_type",
    "content_bytes",
    "sealed_bytes",
    "sealed_blake3",
    "copies",
)


def deposit_body(
    record: Mapping[str, Any], objects: Sequence[Mapping[str, Any]], commitment: str
) -> Mapping[str, Json]:
    """Give the open body of a deposit's event.

    Args:
        record: the record's columns. The envelope, the wrapped key and `is_indexed` are not covered: they change when
            a record is re-wrapped or indexed, and are checked by opening.
        objects: the columns of its objects, by component and version.
        commitment: hex of SHA-256(salt ‖ digest) over the original's SHA-256.
    """
    body: dict[str, Json] = {
        "bucket": record["bucket_id"],
        "class": record["class_id"],
        "commitment": commitment,
        "contract": record["contract_id"],
        "ended_at": format_instant(record["ended_at"]),
        "metadata": hashlib.sha256(record["sealed_metadata"]).hexdigest(),
        "objects": [_object_body(values) for values in objects],
        "record": record["id"],
        "status": record["status"],
        "trigger_date": record["trigger_date"].isoformat(),
    }
    for name in ("clock_offset_s", "lines", "lines_root", "sequence", "site", "started_at", "title_code"):
        if record[name] is not None:
            body[name] = _shown(record[name])
    return body


def _shown(value: datetime | bytes | str | int) -> Json:
    if isinstance(value, datetime):
        return format_instant(value)
    return value.hex() if isinstance(value, bytes) else value


def commitment_of(salt: bytes, digest: bytes) -> str:
    """Commit to a digest: hex of SHA-256(salt ‖ digest)."""
    return hashlib.sha256(salt + digest).hexdigest()


def _object_body(values: Mapping[str, Any]) -> Mapping[str, Json]:
    return {
        "component": values["component"],
        "content_bytes": values["content_bytes"],
        "copies": values["copies"],
        "media_type": values["media_type"],
        "name": values["name"],
        "sealed_blake3": values["sealed_blake3"].hex(),
        "sealed_bytes": values["sealed_bytes"],
        "version": values["version"],
    }

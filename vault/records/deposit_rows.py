"""The rows and the ledger entry of a deposit, made before its transaction: its place in the ledger alone is missing."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from retention.periods import trigger_date
from vault.ledger.event import EventKind, encode_entry
from vault.records.buckets import new_envelope
from vault.records.deposit_event import commitment_of, deposit_body
from vault.records.locking import wanted_lock
from vault.records.placement import KEPT, OWED
from vault.records.prepare import Prepared
from vault.records.request import ORIGINAL
from vault.sealing.envelope import Envelope
from vault.storage.tables import BucketRow

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DepositRows:
    """What one deposit writes.

    Attributes:
        record: columns of its record but `entry_index`.
        stored: columns of its object.
        copies: columns of those copies that are not simply in place.
        token: columns of its index token, where it has one.
        entry: its ledger entry.
        bucket: of the envelope.
        envelope: what its data key is wrapped with; shared by the deposits of one commit and bucket.
        sealed_envelope: the envelope as it is stored.
    """

    record: Values
    stored: Values
    copies: Sequence[Values]
    token: Values | None
    entry: bytes
    bucket: BucketRow
    envelope: Envelope
    sealed_envelope: bytes


def rows_of(prepared: Sequence[Prepared], now: datetime) -> list[DepositRows]:
    """Make the rows of deposits that are committed together at the instant `now`, with one envelope for each bucket."""
    envelopes: dict[str, tuple[Envelope, bytes]] = {}
    rows = []
    for item in prepared:
        bucket = item.begun.bucket
        if bucket.id not in envelopes:
            envelopes[bucket.id] = new_envelope(bucket)
        rows.append(_rows(item, now, *envelopes[bucket.id]))
    return rows


def _rows(item: Prepared, now: datetime, envelope: Envelope, sealed_envelope: bytes) -> DepositRows:
    begun, request, stored = item.begun, item.request, _stored(item)
    record = {
        "id": request.id,
        "contract_id": begun.contract.id,
        "class_id": request.class_id,
        "bucket_id": begun.bucket.id,
        "ledger_id": begun.contract.ledger_id,
        "status": "kept" if item.content.flaw is None else "quarantined",
        "started_at": request.started_at,
        "ended_at": request.ended_at,
        "trigger_date": trigger_date(request.ended_at),
        "site": request.site,
        "station": begun.order.actor.name,
        "sequence": request.sequence,
        "title_code": request.title_code,
        "clock_offset_s": request.clock_offset_s,
        "lines": None if item.content.lines is None else item.content.lines.count,
        "lines_root": None if item.content.lines is None else item.content.lines.root,
        "deposited_at": now,
        "envelope_id": envelope.id,
        "wrapped_key": envelope.wrap(begun.data_key),
        "sealed_metadata": item.metadata.seal(begun.data_key, begun.contract.id, request.id, nonce=os.urandom(12)),
        "is_indexed": begun.is_indexed,
    }
    body = deposit_body(record, [stored], commitment_of(item.metadata.salt, item.metadata.digest))
    entry = encode_entry(begun.order.actor.did(EventKind.DEPOSIT_ACCEPTED, now, body))
    token = None if begun.token is None else {"token": begun.token, "record_id": request.id}
    return DepositRows(record, stored, _copies(item, now), token, entry, begun.bucket, envelope, sealed_envelope)


def _stored(item: Prepared) -> Values:
    content = item.content
    return {
        "record_id": item.request.id,
        "component": ORIGINAL,
        "version": 1,
        "name": content.name,
        "media_type": content.media_type,
        "content_bytes": content.content_bytes,
        "sealed_bytes": content.sealed_bytes,
        "sealed_blake3": content.sealed_blake3,
        "copies": content.copies,
    }


def _copies(item: Prepared, now: datetime) -> list[Values]:
    """A row for each copy in an engine, for each that is owed, and for each that stands where none is meant to be."""
    content = item.content
    rows: list[Values] = []
    for place in sorted({*range(content.copies), *content.kept}):
        facts = content.kept.get(place)
        if facts is not None and facts.address.version is None and place < content.copies:
            continue
        locked_until = None if facts is None else facts.locked_until
        rows.append(
            {
                "object_name": content.name,
                "store": place,
                "state": OWED if facts is None else KEPT,
                "version": None if facts is None else facts.address.version,
                "written_at": now,
                "locked_until": locked_until,
                "lock_wanted": None if locked_until is None else wanted_lock(item.begun.bucket.scope, now),
            }
        )
    return rows

"""Records against the ledger and their objects: each row compared with its event, each copy opened and hashed.

Runs page by page in child processes, for hashing and opening are all the work there is. Without keys it compares the
stored bytes with their keyless digest, and claims less.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from blake3 import blake3
from sqlalchemy import Connection, Engine, and_, select

from vault.canonical_json import Json
from vault.errors import IntegrityError, KuraError
from vault.evidence.verdict import Verdict
from vault.ledger.event import EventKind, format_instant
from vault.records.deposit_event import commitment_of, deposit_body
from vault.records.opening import Opener, StoredRecord, opener_for, read_records
from vault.records.reading import Reading
from vault.sealing.bucket_secrets import BucketSecrets
from vault.sealing.index_token import SUBJECT_KEY, index_token
from vault.storage.objects import ObjectStore
from vault.storage.tables import EventRow, IndexTokenRow, RecordRow

_DEPOSIT_KIND = f'"kind":"{EventKind.DEPOSIT_ACCEPTED.value}"'.encode()
_READ_BYTES = 1 << 20


@dataclass(slots=True)
class RecordsCheck:
    """What a child process needs; inherited when it is forked."""

    engine: Engine
    stores: Sequence[ObjectStore]
    secrets: BucketSecrets | None  # None: keyless

    def page(self, record_ids: Sequence[str]) -> Verdict:
        """Check these records; where one cannot even be read, each by itself, so that it is named."""
        try:
            return self._page(record_ids)
        except (ValueError, TypeError) as error:
            verdict = Verdict()
            if len(record_ids) == 1:
                what = f"records/{record_ids[0]}"
                verdict.found(what, IntegrityError("check-unfinished", reason=type(error).__name__))
                return verdict
            for record_id in record_ids:
                verdict.join(self.page([record_id]))
            return verdict

    def _page(self, record_ids: Sequence[str]) -> Verdict:
        verdict = Verdict()
        with self.engine.connect() as connection:
            records = read_records(connection, record_ids)
            events = _events(connection, record_ids)
            tokens = _tokens(connection, record_ids)
            opener = None if self.secrets is None else opener_for(connection, self.secrets, records.values())
            for record_id in record_ids:
                what = f"records/{record_id}"
                try:
                    record = records.get(record_id)
                    if record is None or not record.objects:
                        verdict.differs(what)  # its envelope or its object has no row
                        continue
                    self._record(record, events.get(record_id), tokens.get(record_id, set()), opener, verdict)
                except KuraError as error:
                    verdict.found(what, error)
        return verdict

    def _record(
        self,
        record: StoredRecord,
        entry: bytes | None,
        tokens: set[bytes],
        opener: Opener | None,
        verdict: Verdict,
    ) -> None:
        values, what = record.values, f"records/{record.values['id']}"
        event = json.loads(entry) if entry is not None and is_deposit(entry) else None
        if event is None:
            verdict.differs(f"{what}/entry_index")
            return
        if record.bucket_id != values["bucket_id"]:
            verdict.differs(f"{what}/envelope_id")
        if opener is None:
            commitment = event["body"].get("commitment", "")
        else:
            opened = opener.open(record)
            commitment = commitment_of(opened.metadata.salt, opened.metadata.digest)
        _compare_event(record, event, commitment, verdict)
        if opener is None:
            self._keyless_copies(record, verdict)
            return
        self._compare_tokens(record, opened.metadata.fields.get(SUBJECT_KEY), tokens, opener, verdict)
        Reading(record, opened, self.stores).check()
        verdict.counts["objects"] += record.objects[0]["copies"]
        verdict.counts["bytes"] += record.objects[0]["content_bytes"] * record.objects[0]["copies"]

    def _compare_tokens(
        self, record: StoredRecord, subject_key: str | None, tokens: set[bytes], opener: Opener, verdict: Verdict
    ) -> None:
        expected = set()
        if record.values["is_indexed"] and subject_key is not None and self.secrets is not None:
            index_key = self.secrets.opened(opener.bucket(record)).index_key
            expected = {index_token(index_key, SUBJECT_KEY, subject_key)}
        if tokens != expected:
            verdict.differs(f"index_tokens/{record.values['id']}")

    def _keyless_copies(self, record: StoredRecord, verdict: Verdict) -> None:
        stored = record.objects[0]
        for store in self.stores[: stored["copies"]]:
            digest = blake3()
            with closing(store.open(stored["name"])) as reader:
                for offset in range(0, reader.size, _READ_BYTES):
                    part = memoryview(bytearray(min(_READ_BYTES, reader.size - offset)))
                    reader.read_into(offset, part)
                    digest.update(part)
                if (reader.size, digest.digest()) != (stored["sealed_bytes"], stored["sealed_blake3"]):
                    verdict.found(f"{store.label}/{stored['name']}", IntegrityError("object-altered", segment=0))
            verdict.counts["objects"] += 1


def is_deposit(entry: bytes) -> bool:
    """Tell a deposit's entry without reading it whole: inside a string, quotes would be escaped."""
    return _DEPOSIT_KIND in entry


def _compare_event(record: StoredRecord, event: Mapping[str, Any], commitment: str, verdict: Verdict) -> None:
    """Compare the columns with the event; name each that differs."""
    values, what = record.values, f"records/{record.values['id']}"
    expected: Mapping[str, Json] = deposit_body(values, record.objects, commitment)
    body = event["body"]
    if expected != body:
        differing = sorted(name for name in set(expected) | set(body) if expected.get(name) != body.get(name))
        verdict.differs(f"{what}/{','.join(differing)}")
    if (values["station"], format_instant(values["deposited_at"])) != (event["actor"], event["at"]):
        verdict.differs(f"{what}/station,deposited_at")


def _events(connection: Connection, record_ids: Sequence[str]) -> dict[str, bytes]:
    query = select(RecordRow.id, EventRow.entry).join(
        EventRow, and_(EventRow.ledger_id == RecordRow.ledger_id, EventRow.entry_index == RecordRow.entry_index)
    )
    return dict(connection.execute(query.where(RecordRow.id.in_(record_ids))).all())


def _tokens(connection: Connection, record_ids: Sequence[str]) -> dict[str, set[bytes]]:
    tokens: dict[str, set[bytes]] = {}
    query = select(IndexTokenRow.record_id, IndexTokenRow.token)
    for row in connection.execute(query.where(IndexTokenRow.record_id.in_(record_ids))):
        tokens.setdefault(row.record_id, set()).add(row.token)
    return tokens

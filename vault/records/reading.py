"""The reading verb: allowed, logged durably, and only then shown. Whole, by range, or many under one event.

A denial is an event too. The reason, free text, goes to the event's sealed part.
"""

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from retention.policy import RecordClass
from vault.canonical_json import Json
from vault.errors import IntegrityError, KuraError, NotFoundError, RefusedError, SealedError, UnavailableError
from vault.ledger.event import EventKind
from vault.people.actor import Actor
from vault.people.authority import Act, require
from vault.people.purpose import ViewPurpose
from vault.records.buckets import Buckets
from vault.records.event_parts import append_with_part
from vault.records.ground import Contract, Ground
from vault.records.opening import OpenedRecord, Opener, StoredRecord, opener_for, read_records
from vault.records.placement import standing
from vault.sealing.associated_data import object_associated_data
from vault.sealing.layout import HEADER_BYTES, OBJECT_LAYOUT
from vault.sealing.stream import SegmentOpener
from vault.storage.aligned import aligned_buffer
from vault.storage.objects import Address, ObjectReader, ObjectStore

_RECORDS_PER_EVENT = 1000  # 39 bytes each; an entry holds 65,535
_BUFFERS = threading.local()


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why somebody reads: a code that the ledger shows, and words that it seals."""

    code: ViewPurpose
    reason: str = ""


class Reading:
    """One record's bytes, logged and ready to be shown. Iterate once; each part is authenticated before it is given."""

    def __init__(self, record: StoredRecord, opened: OpenedRecord, stores: Sequence[ObjectStore]) -> None:
        """Show this record from whichever store has it whole."""
        self.record_id: str = record.values["id"]
        self.media_type: str = record.objects[0]["media_type"]
        self.content_bytes: int = record.objects[0]["content_bytes"]
        self.metadata = opened.metadata
        self._record, self._data_key = record, opened.data_key
        self._copies = standing(record.copies(), stores)

    def parts(self, start: int = 0, count: int | None = None) -> Iterator[memoryview]:
        """Give the bytes start <= position < start + count, in order; a part is valid until the next is asked for.

        Raises:
            IntegrityError: no copy is what was deposited. Of a whole reading, the digest is compared at the end.
        """
        end = self.content_bytes if count is None else min(self.content_bytes, start + count)
        sha256 = hashlib.sha256() if (start, end) == (0, self.content_bytes) else None
        given = 0
        failed: KuraError = NotFoundError("object-missing", name=self._record.objects[0]["name"], store="*")
        for copy in self._copies:
            try:
                for part in self._from(copy, start + given, end):
                    given += len(part)
                    if sha256 is not None:
                        sha256.update(part)
                    yield part
            except (IntegrityError, NotFoundError, UnavailableError) as error:
                failed = error
                continue
            # Compared here, over all copies that took part: to turn to another copy now would show nothing new.
            self._require_digest(sha256)
            return
        raise failed

    def check(self) -> None:
        """Read every copy to its end and compare its digest, showing nothing.

        Raises:
            IntegrityError: a copy is altered, or not what was deposited.
            NotFoundError: a copy is missing.
        """
        for copy in self._copies:
            sha256 = hashlib.sha256()
            for part in self._from(copy, 0, self.content_bytes):
                sha256.update(part)
            self._require_digest(sha256)

    def _require_digest(self, sha256: "hashlib._Hash | None") -> None:
        if sha256 is not None and sha256.digest() != self.metadata.digest:
            raise IntegrityError("digest-differs", record=self.record_id)

    def _from(self, copy: tuple[ObjectStore, Address], start: int, end: int) -> Iterator[memoryview]:
        """Read one copy."""
        values, stored = self._record.values, self._record.objects[0]
        store, address = copy
        reader = store.open(address)
        try:
            if reader.size != stored["sealed_bytes"]:
                raise IntegrityError("object-short")
            associated_data = object_associated_data(
                values["contract_id"], values["id"], stored["component"], stored["version"]
            )
            yield from _segments(reader, self._data_key, associated_data, start, end)
        finally:
            reader.close()


class Readings:
    """Shows records of a vault to people, logged before shown."""

    def __init__(self, ground: Ground, buckets: Buckets) -> None:
        """Read from this vault."""
        self._ground = ground
        self._buckets = buckets

    def read(self, actor: Actor, contract_id: str, record_id: str, purpose: Purpose) -> Reading:
        """Log the reading of one record, then give it.

        Raises:
            RefusedError: the actor may not; the denial is logged.
            NotFoundError: there is no such record in this contract.
            SealedError: the vault is sealed.
        """
        [reading] = self.read_many(actor, contract_id, [record_id], purpose)
        return reading

    def read_many(self, actor: Actor, contract_id: str, record_ids: Sequence[str], purpose: Purpose) -> list[Reading]:
        """Log the reading of many records under events that name them, then give them in order; errors as `read`."""
        if self._ground.keys.is_sealed:
            raise SealedError("vault-sealed")
        contract = self._ground.contract(contract_id)
        records, opener = self._ground.ready.run(lambda connection: self._records(connection, record_ids))
        found = [records.get(record_id) for record_id in record_ids]
        for record in found:
            self._allow(actor, contract, record, purpose)
        whole = [record for record in found if record is not None]
        readings = [Reading(record, opener.open(record), self._ground.stores) for record in whole]
        for first in range(0, len(record_ids), _RECORDS_PER_EVENT):
            self._log(EventKind.CONTENT_READ, actor, contract, record_ids[first : first + _RECORDS_PER_EVENT], purpose)
        return readings

    def _records(self, connection: Connection, record_ids: Sequence[str]) -> tuple[Mapping[str, StoredRecord], Opener]:
        records = read_records(connection, record_ids)
        return records, opener_for(connection, self._buckets.secrets, records.values())

    def _allow(self, actor: Actor, contract: Contract, record: StoredRecord | None, purpose: Purpose) -> None:
        if record is None or record.values["contract_id"] != contract.id:
            require(actor, Act.READ, contract.id)
            raise NotFoundError("record-unknown")
        record_class: RecordClass = contract.policy.classes[record.values["class_id"]]
        try:
            require(actor, Act.READ, contract.id, record_class)
        except RefusedError:
            self._log(EventKind.CONTENT_REFUSED, actor, contract, [record.values["id"]], purpose)
            raise

    def _log(
        self, kind: EventKind, actor: Actor, contract: Contract, record_ids: Sequence[str], purpose: Purpose
    ) -> None:
        body: dict[str, Json] = {"purpose": purpose.code.value, "records": list(record_ids)}
        part = {"reason": purpose.reason} if purpose.reason else None
        append_with_part(self._ground, self._buckets, contract, kind, actor, body, part)


def _segments(
    reader: ObjectReader, data_key: bytes, associated_data: bytes, start: int, end: int
) -> Iterator[memoryview]:
    """Open the segments that hold start <= position < end; give the plaintext of each, cut to the range."""
    sealed, plain = _buffers()
    indexes = OBJECT_LAYOUT.segments_for_range(start, end - start)
    from_first = 0 in indexes  # then the header is read with it
    reader.read_into(0, sealed[: min(reader.size, OBJECT_LAYOUT.segment_bytes) if from_first else HEADER_BYTES])
    opener = SegmentOpener(data_key, associated_data, bytes(sealed[:HEADER_BYTES]), reader.size, OBJECT_LAYOUT)
    # An empty range still opens the last segment: its tag is what proves the length.
    for index in indexes or range(opener.segment_count - 1, opener.segment_count):
        offset, length = OBJECT_LAYOUT.segment_span(index, reader.size)
        if from_first and index == 0:
            segment = sealed[offset : offset + length]
        else:
            segment = sealed[:length]
            reader.read_into(offset, segment)
        count = opener.open_into(index, segment, plain)
        first = OBJECT_LAYOUT.plain_offset(index)
        part = plain[max(0, start - first) : max(0, min(count, end - first))]
        if part:
            yield part


def _buffers() -> tuple[memoryview, memoryview]:
    with suppress(AttributeError):
        value: tuple[memoryview, memoryview] = _BUFFERS.value
        return value
    _BUFFERS.value = aligned_buffer(OBJECT_LAYOUT.segment_bytes), aligned_buffer(OBJECT_LAYOUT.segment_bytes)
    return _buffers()


def facts(record: StoredRecord) -> dict[str, Any]:
    """What of a record may be shown without opening it."""
    names = ("id", "class_id", "status", "started_at", "ended_at", "site", "station", "sequence", "title_code")
    values = {name: record.values[name] for name in names}
    return values | {"content_bytes": record.objects[0]["content_bytes"]}

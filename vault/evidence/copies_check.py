"""Copies of records: every sealed object read to its end, then opened and hashed, or compared with its keyless digest.

Reads all and shows nothing; what people are shown is read by `records/reading.py`.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Self

from blake3 import blake3

from vault.errors import IntegrityError, KuraError
from vault.evidence.verdict import Verdict
from vault.records.journals import JournalLines, Lines, lines_of
from vault.records.opening import OpenedRecord, StoredRecord
from vault.records.placement import KEPT, OWED, standing
from vault.sealing.associated_data import object_associated_data
from vault.sealing.layout import HEADER_BYTES, OBJECT_LAYOUT, SEGMENT_BYTES
from vault.sealing.stream import SegmentOpener
from vault.storage.aligned import aligned_buffer
from vault.storage.objects import Address, ObjectReader, ObjectStore

OWED_COPIES = "copies owed"
"""What a verdict counts copies under that are still to be made."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copy with its key, ready to be read."""

    record_id: str
    reader: ObjectReader
    opener: SegmentOpener
    deposited: tuple[int, bytes]  # length in bytes, SHA-256
    lines: JournalLines | None  # to be hashed, where it is a journal
    expected_lines: Lines

    @classmethod
    def begin(cls, store: ObjectStore, address: Address, record: StoredRecord, opened: OpenedRecord) -> Self:
        """Open a copy and derive its key from its header."""
        values, stored = record.values, record.objects[0]
        bound_to = object_associated_data(values["contract_id"], values["id"], stored["component"], stored["version"])
        reader = store.open(address)
        try:
            header = _header(reader, stored["sealed_bytes"])
            opener = SegmentOpener(opened.data_key, bound_to, header, reader.size, OBJECT_LAYOUT)
        except BaseException:
            reader.close()
            raise
        return cls(
            record_id=values["id"],
            reader=reader,
            opener=opener,
            deposited=(stored["content_bytes"], opened.metadata.digest),
            lines=lines_of(values["class_id"], opened.data_key),
            expected_lines=Lines(values["lines"], values["lines_root"]),
        )


class CopiesCheck:
    """Reads copies through two buffers of one segment. For one thread."""

    def __init__(self, stores: Sequence[ObjectStore], away: Collection[int]) -> None:
        """Check copies in these stores; those at the places `away` do not answer, which is a finding by itself."""
        self._stores, self._away = stores, away
        self._sealed, self._plain = aligned_buffer(SEGMENT_BYTES), aligned_buffer(SEGMENT_BYTES)

    def check(self, records: Iterable[tuple[StoredRecord, OpenedRecord]], verdict: Verdict) -> None:
        """Open every copy of a few records and compare it with what was deposited."""
        copies: list[_Copy] = []
        try:
            # All are begun before the first is read: the bytes of one copy drive out of the processor's cache what
            # the opening of the next needs.
            for record, opened in records:
                for store, address in self._there(record):
                    try:
                        copies.append(_Copy.begin(store, address, record, opened))
                    except KuraError as error:
                        verdict.found(f"records/{record.values['id']}", error)
            for copy in copies:
                try:
                    self._require_deposited(copy)
                except KuraError as error:
                    verdict.found(f"records/{copy.record_id}", error)
        finally:
            for copy in copies:
                copy.reader.close()
        verdict.counts["objects"] += len(copies)
        verdict.counts["bytes"] += sum(copy.deposited[0] for copy in copies)

    def check_sealed(self, record: StoredRecord, verdict: Verdict) -> None:
        """Compare every copy of a record, unopened, with the digest of what was sealed.

        Raises:
            NotFoundError: a copy is missing.
        """
        stored = record.objects[0]
        for store, address in self._there(record):
            digest = blake3()
            with closing(store.open(address)) as reader:
                for offset in range(0, reader.size, SEGMENT_BYTES):
                    digest.update(self._read(reader, offset, min(SEGMENT_BYTES, reader.size - offset)))
                if (reader.size, digest.digest()) != (stored["sealed_bytes"], stored["sealed_blake3"]):
                    verdict.found(f"{store.label}/{stored['name']}", IntegrityError("object-altered", segment=0))
            verdict.counts["objects"] += 1

    def check_rows(self, record: StoredRecord, verdict: Verdict) -> None:
        """Look whether the rows of its copies can be what the vault wrote; count the copies that are owed."""
        for stored in record.objects:
            name, copies = stored["name"], min(stored["copies"], len(self._stores))
            rows = {store: (state, version) for store, state, version in record.copy_rows.get(name, ())}
            for store, (state, version) in rows.items():
                is_meant = 0 <= store < copies
                if state == OWED and is_meant and version is None:
                    verdict.counts[OWED_COPIES] += 1
                elif not (
                    state == KEPT
                    and 0 <= store < len(self._stores)
                    and (version is not None) is self._stores[store].locks
                    and not (is_meant and version is None)
                ):
                    verdict.differs(f"copies/{name}/{store}")
            for store in range(copies):
                if store not in rows and self._stores[store].locks:
                    verdict.differs(f"copies/{name}/{store}")

    def _there(self, record: StoredRecord) -> list[tuple[ObjectStore, Address]]:
        return standing([copy for copy in record.copies() if copy.store not in self._away], self._stores)

    def _require_deposited(self, copy: _Copy) -> None:
        opener, sha256 = copy.opener, hashlib.sha256()
        for index in range(opener.segment_count):
            sealed = self._read(copy.reader, *OBJECT_LAYOUT.segment_span(index, copy.reader.size))
            plain = self._plain[: opener.open_into(index, sealed, self._plain)]
            sha256.update(plain)
            if copy.lines is not None:
                copy.lines.update(plain)
        if (opener.plain_length, sha256.digest()) != copy.deposited:
            raise IntegrityError("digest-differs", record=copy.record_id)
        if copy.lines is not None and copy.lines.finish() != copy.expected_lines:
            raise IntegrityError("lines-differ", record=copy.record_id)

    def _read(self, reader: ObjectReader, offset: int, length: int) -> memoryview:
        """Give bytes of an object; valid until the next are read."""
        part = self._sealed[:length]
        reader.read_into(offset, part)
        return part


def _header(reader: ObjectReader, sealed_bytes: int) -> bytes:
    if reader.size != sealed_bytes:
        raise IntegrityError("object-short")
    header = bytearray(HEADER_BYTES)
    reader.read_into(0, memoryview(header))
    return bytes(header)

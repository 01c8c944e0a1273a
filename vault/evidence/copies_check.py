"""Copies of a record: every sealed object read to its end, and opened and hashed or compared with its keyless digest."""

import hashlib
from collections.abc import Sequence
from contextlib import closing

from blake3 import blake3

from vault.errors import IntegrityError
from vault.evidence.verdict import Verdict
from vault.records.opening import OpenedRecord, StoredRecord
from vault.sealing.associated_data import object_associated_data
from vault.sealing.layout import HEADER_BYTES, OBJECT_LAYOUT, SEGMENT_BYTES
from vault.sealing.stream import SegmentOpener
from vault.storage.objects import ObjectReader, ObjectStore

# Some processors copy from the page cache four times slower to an address that lies 16 to 31 bytes further in its
# memory page than the source does, and there a large bytearray begins.
_LEAD_BYTES = 64


class CopiesCheck:
    """Reads copies through two buffers of one segment. For one thread."""

    def __init__(self, stores: Sequence[ObjectStore]) -> None:
        """Check copies in these stores, in their order."""
        self._stores = stores
        self._sealed, self._plain = (
            memoryview(bytearray(_LEAD_BYTES + SEGMENT_BYTES))[_LEAD_BYTES:] for _ in range(2)
        )

    def open_all(self, record: StoredRecord, opened: OpenedRecord, verdict: Verdict) -> None:
        """Open every copy and compare what was deposited.

        Raises:
            IntegrityError: a copy is altered, or not what was deposited.
            NotFoundError: a copy is missing.
        """
        values, stored = record.values, record.objects[0]
        deposited = stored["content_bytes"], opened.metadata.digest
        bound_to = object_associated_data(
            values["contract_id"], values["id"], stored["component"], stored["version"]
        )
        for store in self._stores[: stored["copies"]]:
            with closing(store.open(stored["name"])) as reader:
                if reader.size != stored["sealed_bytes"]:
                    raise IntegrityError("object-short")
                if self._opened(reader, opened.data_key, bound_to) != deposited:
                    raise IntegrityError("digest-differs", record=values["id"])
        verdict.counts["objects"] += stored["copies"]
        verdict.counts["bytes"] += stored["content_bytes"] * stored["copies"]

    def compare_all(self, record: StoredRecord, verdict: Verdict) -> None:
        """Compare every copy, still sealed, with its keyless digest; errors as `open_all`."""
        stored = record.objects[0]
        for store in self._stores[: stored["copies"]]:
            digest = blake3()
            with closing(store.open(stored["name"])) as reader:
                for index in range(-(-reader.size // SEGMENT_BYTES)):
                    digest.update(self._part(reader, index))
                if (reader.size, digest.digest()) != (stored["sealed_bytes"], stored["sealed_blake3"]):
                    verdict.found(f"{store.label}/{stored['name']}", IntegrityError("object-altered", segment=0))
            verdict.counts["objects"] += 1

    def _opened(self, reader: ObjectReader, data_key: bytes, bound_to: bytes) -> tuple[int, bytes]:
        """Give the number of bytes that a copy holds, and their SHA-256."""
        part = self._part(reader, 0)
        header, part = bytes(part[:HEADER_BYTES]), part[HEADER_BYTES:]
        opener = SegmentOpener(data_key, bound_to, header, reader.size, OBJECT_LAYOUT)
        sha256 = hashlib.sha256()
        for index in range(opener.segment_count):
            if index:
                part = self._part(reader, index)
            sha256.update(self._plain[: opener.open_into(index, part, self._plain)])
        return opener.plain_length, sha256.digest()

    def _part(self, reader: ObjectReader, index: int) -> memoryview:
        """Read a sealed segment, the first together with the header; valid until the next is read."""
        begin = index * SEGMENT_BYTES
        part = self._sealed[: min(SEGMENT_BYTES, reader.size - begin)]
        reader.read_into(begin, part)
        return part

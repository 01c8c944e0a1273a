"""Sealing a record's bytes into its stores as they stream, checked while they pass; no rows and no events.

Plaintext exists in two buffers of one segment per thread (and, for a PDF, in the checker's memory), never on a disk.
"""

import hashlib
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from blake3 import blake3

from retention.policy import RecordClass
from vault.errors import KuraError, RefusedError
from vault.records.intake.checks import ContentCheck, check_for
from vault.records.intake.media_type import detect_media_type
from vault.records.intake.pdf_pool import PdfPool
from vault.records.source import Source
from vault.sealing.layout import OBJECT_LAYOUT
from vault.sealing.stream import NONCE_PREFIX_BYTES, SALT_BYTES, SegmentSealer
from vault.storage.objects import ObjectStore, Upload

_HEAD_BYTES = 4096  # enough to tell a media type by
_BUFFERS = threading.local()


@dataclass(frozen=True, slots=True)
class SealedContent:
    """What was stored of one component, durable in all its stores."""

    name: str
    media_type: str
    digest: bytes  # SHA-256 of the plaintext
    content_bytes: int
    sealed_bytes: int
    sealed_blake3: bytes
    copies: int
    flaw: str | None  # code of what its check found, where the class quarantines instead of refusing


class _Buffers:
    """Two plaintext segments (one of look-ahead) and one sealed segment, per thread."""

    def __init__(self) -> None:
        self.plain = tuple(memoryview(bytearray(OBJECT_LAYOUT.segment_bytes)) for _ in range(2))
        self.sealed = memoryview(bytearray(OBJECT_LAYOUT.segment_bytes))

    @classmethod
    def of_this_thread(cls) -> "_Buffers":
        if not hasattr(_BUFFERS, "value"):
            _BUFFERS.value = cls()
        value: _Buffers = _BUFFERS.value
        return value


def seal_content(
    source: Source,
    record_class: RecordClass,
    data_key: bytes,
    associated_data: bytes,
    stores: Sequence[ObjectStore],
    pdf_pool: PdfPool,
) -> SealedContent:
    """Read `source` to its end, seal it, and make it durable in the class's number of stores.

    Raises:
        RefusedError: type, size or structure are not what the class takes, or the source changed; nothing is kept.
        UnavailableError: a store failed; nothing is kept.
    """
    buffers = _Buffers.of_this_thread()
    count = source.read_into(buffers.plain[0][: OBJECT_LAYOUT.first_capacity])
    media_type = detect_media_type(bytes(buffers.plain[0][: min(count, _HEAD_BYTES)]))
    if media_type not in record_class.media_types:
        raise RefusedError("media-type-refused", media_type=media_type, record_class=record_class.id)
    check = check_for(media_type, pdf_pool)
    name = stores[0].new_name()
    uploads: list[Upload] = []
    try:
        uploads.extend(store.upload(name) for store in stores[: record_class.copies])
        stream = _Stream(source, record_class, check, uploads)
        stream.seal(
            SegmentSealer(
                data_key, associated_data, os.urandom(SALT_BYTES), os.urandom(NONCE_PREFIX_BYTES), OBJECT_LAYOUT
            ),
            buffers,
            count,
        )
        source.finish()
        check.begin()
        flaw = _finish(uploads, check, record_class)
    except BaseException:
        check.abort()
        drop(name, uploads, stores)
        raise
    return SealedContent(
        name,
        media_type,
        stream.sha256.digest(),
        stream.content_bytes,
        stream.sealed_bytes,
        stream.blake3.digest(),
        len(uploads),
        flaw,
    )


def drop(name: str, uploads: Sequence[Upload], stores: Sequence[ObjectStore]) -> None:
    """Remove what was written of an object; what cannot be removed is an orphan for the sweep."""
    for upload in uploads:
        upload.abort()
    for store in stores:
        with suppress(KuraError, OSError):
            store.delete(name)


def digest_of(source: Source) -> bytes:
    """Hash a source (SHA-256) from its beginning, to compare it with what is stored."""
    source.rewind()
    buffer, sha256 = _Buffers.of_this_thread().plain[0], hashlib.sha256()
    while count := source.read_into(buffer):
        sha256.update(buffer[:count])
    source.finish()
    return sha256.digest()


class _Stream:
    """One object on its way: hashed once as plaintext, once as it is stored."""

    def __init__(
        self, source: Source, record_class: RecordClass, check: ContentCheck, uploads: Sequence[Upload]
    ) -> None:
        self.sha256 = hashlib.sha256()
        self.blake3 = blake3()
        self.content_bytes = 0
        self.sealed_bytes = 0
        self._source, self._class, self._check, self._uploads = source, record_class, check, uploads

    def seal(self, sealer: SegmentSealer, buffers: _Buffers, count: int) -> None:
        """Seal segment after segment; `count` bytes of the first are in the first buffer already."""
        head = len(sealer.header)
        buffers.sealed[:head] = sealer.header
        index, is_last = 0, False
        while not is_last:
            now, ahead = buffers.plain[index % 2], buffers.plain[(index + 1) % 2]
            following = 0
            if count == OBJECT_LAYOUT.capacity(index):
                following = self._source.read_into(ahead[: OBJECT_LAYOUT.capacity(index + 1)])
            is_last = following == 0
            self._pass(now[:count])
            written = head + sealer.seal_into(index, now[:count], last=is_last, out=buffers.sealed[head:])
            self._store(buffers.sealed[:written])
            index, count, head = index + 1, following, 0

    def _pass(self, plaintext: memoryview) -> None:
        self.content_bytes += len(plaintext)
        if self.content_bytes > self._class.max_bytes:
            raise RefusedError("content-too-large", record_class=self._class.id, max_bytes=self._class.max_bytes)
        self.sha256.update(plaintext)
        self._check.update(plaintext)

    def _store(self, sealed: memoryview) -> None:
        self.sealed_bytes += len(sealed)
        self.blake3.update(sealed)
        for upload in self._uploads:
            upload.write(sealed)


def _finish(uploads: Sequence[Upload], check: ContentCheck, record_class: RecordClass) -> str | None:
    """Make the copies durable while the structure is being checked, then hear the verdict."""
    for upload in uploads:
        upload.finish()
    try:
        check.finish()
    except RefusedError as error:
        if not record_class.quarantine:
            raise
        return error.code
    return None

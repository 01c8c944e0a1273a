"""Sealing a record's bytes into its stores as they stream, checked while they pass; no rows and no events.

Plaintext exists in two buffers of one segment per thread (and, for a PDF, in the checker's memory), never on a disk.
Where a store fails, the others go on without it: one durable copy is enough, and the missing ones are owed.
"""

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from blake3 import blake3

from retention.policy import RecordClass
from vault.errors import KuraError, RefusedError, UnavailableError
from vault.records.intake.checks import ContentCheck, check_for
from vault.records.intake.media_type import detect_media_type
from vault.records.intake.pdf_pool import PdfPool
from vault.records.journals import JournalLines, Lines, lines_of
from vault.records.source import Source
from vault.sealing.layout import OBJECT_LAYOUT
from vault.sealing.stream import NONCE_PREFIX_BYTES, SALT_BYTES, SegmentSealer
from vault.storage.aligned import aligned_buffer
from vault.storage.objects import Address, Facts, ObjectStore, Upload

_HEAD_BYTES = 4096  # enough to tell a media type by
_DISK_FULL = "disk-full"  # the one failure that an operator must hear of before anything further is taken
_BUFFERS = threading.local()


@dataclass(frozen=True, slots=True)
class SealedContent:
    """What was stored of one component, durable in one store at least.

    Attributes:
        copies: how many it is to have.
        kept: where it stands, by the store's place; the first `copies` places that are lacking are owed.
    """

    name: str
    media_type: str
    digest: bytes  # SHA-256 of the plaintext
    content_bytes: int
    sealed_bytes: int
    sealed_blake3: bytes
    copies: int
    kept: Mapping[int, Facts]
    flaw: str | None  # code of what its check found, where the class quarantines instead of refusing
    lines: Lines | None  # of a journal


class _Buffers:
    """Two plaintext segments (one of look-ahead) and one sealed segment, per thread."""

    def __init__(self) -> None:
        self.plain = tuple(aligned_buffer(OBJECT_LAYOUT.segment_bytes) for _ in range(2))
        self.sealed = aligned_buffer(OBJECT_LAYOUT.segment_bytes)

    @classmethod
    def of_this_thread(cls) -> "_Buffers":
        if not hasattr(_BUFFERS, "value"):
            _BUFFERS.value = cls()
        value: _Buffers = _BUFFERS.value
        return value


class ContentBatch:
    """Contents sealed one after the other by one thread, then made durable and judged together."""

    def __init__(self, stores: Sequence[ObjectStore], pdf_pool: PdfPool, least_copies: int = 1) -> None:
        """Begin with none; each object gets as many copies as its class has, and `least_copies` at least."""
        self._stores = stores
        self._least_copies = least_copies
        self._pdfs = pdf_pool.batch()
        self._streams: list[_Stream] = []

    def seal(
        self,
        source: Source,
        record_class: RecordClass,
        data_key: bytes,
        associated_data: bytes,
        announced: bytes | None = None,
    ) -> None:
        """Read `source` to its end and seal it into the class's number of stores; durable only after `finish`.

        Args:
            source: the bytes.
            record_class: what they are to be.
            data_key: the record's, 32 bytes.
            associated_data: what the object is bound to.
            announced: the SHA-256 that the bytes must have, where it was said.

        Raises:
            RefusedError: type, size or digest are not what they should be, or the source changed; nothing of it is
                kept.
            UnavailableError: a store failed; nothing of it is kept.
        """
        buffers = _Buffers.of_this_thread()
        count = source.read_into(buffers.plain[0][: OBJECT_LAYOUT.first_capacity])
        media_type = detect_media_type(bytes(buffers.plain[0][: min(count, _HEAD_BYTES)]))
        if media_type not in record_class.media_types:
            raise RefusedError("media-type-refused", media_type=media_type, record_class=record_class.id)
        check = check_for(media_type, self._pdfs)
        lines = lines_of(record_class.id, data_key)
        stream = _Stream(self._stores[0].new_name(), source, record_class, media_type, check, lines)
        try:
            stream.open(self._stores, max(record_class.copies, self._least_copies))
            stream.seal(data_key, associated_data, buffers, count)
            _require_announced(stream.digest(), announced)
        except BaseException:
            stream.drop(self._stores)
            raise
        self._streams.append(stream)

    @property
    def content_bytes(self) -> int:
        """Bytes of all contents sealed so far."""
        return sum(stream.content_bytes for stream in self._streams)

    def finish(self) -> list[SealedContent | KuraError]:
        """Make durable what was sealed, and hear what its checks say.

        For each content, in order: what is stored, or why it is not; of that nothing is kept.
        """
        try:
            self._pdfs.begin()
            if any(store.locks for store in self._stores):
                # What is refused must not be sent: it could not be removed again for days.
                for stream in self._streams:
                    stream.judge()
                self._keep()
            else:
                self._keep()  # while the documents are being looked at
                for stream in self._streams:
                    stream.judge()
            return [self._outcome(stream) for stream in self._streams]
        except KuraError as error:
            count = len(self._streams)
            self.abort()
            return [error] * count
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Drop everything. Harmless to repeat."""
        for stream in self._streams:
            stream.drop(self._stores)
        self._pdfs.abort()
        self._streams = []

    def _keep(self) -> None:
        """Make every copy of what was not refused durable."""
        going = [stream for stream in self._streams if stream.failed is None]
        places = sorted({place for stream in going for place in stream.uploads})

        def keep(place: int) -> None:
            streams = [stream for stream in going if place in stream.uploads]
            outcomes = self._stores[place].keep([stream.uploads[place] for stream in streams])
            for stream, outcome in zip(streams, outcomes, strict=True):
                stream.take(place, outcome)

        if len(places) > 1 and any(self._stores[place].locks for place in places):
            with ThreadPoolExecutor(len(places)) as pool:  # an engine is waited for, a disk is worked with
                list(pool.map(keep, places))
        else:
            for place in places:
                keep(place)
        for stream in going:
            stream.require_kept()

    def _outcome(self, stream: "_Stream") -> SealedContent | KuraError:
        if stream.failed is not None:
            stream.drop(self._stores)
            return stream.failed
        return stream.sealed()


def drop(name: str, stores: Sequence[ObjectStore]) -> None:
    """Remove an object that nothing will name; what cannot be removed is an orphan for the sweep.

    In an engine it is locked, and lapses.
    """
    for store in stores:
        if not store.locks:
            with suppress(KuraError):
                store.delete(Address(name))


def digest_of(source: Source, announced: bytes | None = None) -> bytes:
    """Read a source to its end and hash it (SHA-256), to compare it with what is stored.

    Raises:
        RefusedError: it is not the digest that was announced, or the source changed.
    """
    buffer, sha256 = _Buffers.of_this_thread().plain[0], hashlib.sha256()
    while count := source.read_into(buffer):
        sha256.update(buffer[:count])
    source.finish()
    _require_announced(sha256.digest(), announced)
    return sha256.digest()


def _require_announced(digest: bytes, announced: bytes | None) -> None:
    if announced is not None and digest != announced:
        raise RefusedError("digest-not-as-announced")


class _Stream:
    """One object on its way: hashed once as plaintext, once as it is stored."""

    def __init__(
        self,
        name: str,
        source: Source,
        record_class: RecordClass,
        media_type: str,
        check: ContentCheck,
        lines: JournalLines | None,
    ) -> None:
        self.uploads: dict[int, Upload] = {}  # by the store's place
        self.failed: KuraError | None = None
        self._kept: dict[int, Facts] = {}
        self._losses: list[KuraError] = []
        self._copies = 0
        self._flaw: str | None = None
        self._name, self._media_type = name, media_type
        self._sha256, self._blake3 = hashlib.sha256(), blake3()
        self.content_bytes = self._sealed_bytes = 0
        self._source, self._class, self._check, self._lines = source, record_class, check, lines

    def open(self, stores: Sequence[ObjectStore], copies: int) -> None:
        """Begin the object in as many stores as it is to have copies: in the first of those that are there."""
        self._copies = min(copies, len(stores))
        for place, store in enumerate(stores):
            if len(self.uploads) == self._copies:
                return
            try:
                if self._class.residence == "on-premises":
                    store.require_on_premises()
                self.uploads[place] = store.upload(self._name)
            except UnavailableError as error:
                self._lose(place, error)
        if not self.uploads:
            raise self._losses[-1]

    def seal(self, data_key: bytes, associated_data: bytes, buffers: _Buffers, count: int) -> None:
        """Seal segment after segment; `count` bytes of the first are in the first buffer already."""
        sealer = SegmentSealer(
            data_key, associated_data, os.urandom(SALT_BYTES), os.urandom(NONCE_PREFIX_BYTES), OBJECT_LAYOUT
        )
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
        self._source.finish()
        self._check.begin()
        for upload in self.uploads.values():
            upload.finish()

    def digest(self) -> bytes:
        """Give the SHA-256 of what was sealed."""
        return self._sha256.digest()

    def judge(self) -> None:
        """Hear the check; what it found is a flaw where the class quarantines, and a failure where not."""
        if self.failed is not None:
            return
        try:
            self._check.finish()
        except KuraError as error:
            if isinstance(error, RefusedError) and self._class.quarantine:
                self._flaw = error.code
            else:
                self.failed = error

    def take(self, place: int, outcome: Facts | KuraError) -> None:
        """Hear what came of a copy."""
        if isinstance(outcome, Facts):
            self._kept[place] = outcome
        else:
            self._losses.append(outcome)
            if not isinstance(outcome, UnavailableError) or outcome.code == _DISK_FULL:
                self.failed = self.failed or outcome

    def require_kept(self) -> None:
        """Fail where no copy is durable."""
        if not self._kept and self.failed is None:
            self.failed = self._losses[-1]

    def sealed(self) -> SealedContent:
        """Say what is stored."""
        return SealedContent(
            self._name,
            self._media_type,
            self.digest(),
            self.content_bytes,
            self._sealed_bytes,
            self._blake3.digest(),
            self._copies,
            self._kept,
            self._flaw,
            None if self._lines is None else self._lines.finish(),
        )

    def drop(self, stores: Sequence[ObjectStore]) -> None:
        """Remove what was written."""
        self._check.abort()
        for upload in self.uploads.values():
            upload.abort()
        drop(self._name, stores)

    def _pass(self, plaintext: memoryview) -> None:
        self.content_bytes += len(plaintext)
        if self.content_bytes > self._class.max_bytes:
            raise RefusedError("content-too-large", record_class=self._class.id, max_bytes=self._class.max_bytes)
        self._sha256.update(plaintext)
        self._check.update(plaintext)
        if self._lines is not None:
            self._lines.update(plaintext)

    def _store(self, sealed: memoryview) -> None:
        self._sealed_bytes += len(sealed)
        self._blake3.update(sealed)
        for place, upload in list(self.uploads.items()):
            try:
                upload.write(sealed)
            except UnavailableError as error:
                self._lose(place, error)
                if not self.uploads:
                    raise

    def _lose(self, place: int, error: UnavailableError) -> None:
        """Go on without a store."""
        upload = self.uploads.pop(place, None)
        if upload is not None:
            upload.abort()
        self._losses.append(error)
        if error.code == _DISK_FULL:
            raise error

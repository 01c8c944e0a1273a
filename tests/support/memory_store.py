"""An object store in memory, stricter than any real one: it fails the test where a caller breaks the protocol."""

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from vault.errors import IntegrityError, NotFoundError, UnavailableError
from vault.storage.objects import Upload, is_object_name, object_name


class MemoryStore:
    """An `ObjectStore` whose objects never change and whose uploads end exactly once, kept or aborted."""

    def __init__(self, vault_id: str, *, room: int | None = None) -> None:
        """Hold at most `room` bytes, where given; beyond that it is full, as a disk is."""
        self.label = "memory"
        self._vault_id = vault_id
        self._room = room
        self._objects: dict[str, tuple[bytes, datetime]] = {}
        self._given: set[str] = set()
        self._deleted: set[str] = set()
        self.open_uploads: dict[str, _MemoryUpload] = {}
        self.open_readers = 0

    def new_name(self) -> str:
        name = object_name(self._vault_id, secrets.token_hex(12))
        assert name not in self._given, "a name was given twice"
        self._given.add(name)
        return name

    def upload(self, name: str) -> "_MemoryUpload":
        assert is_object_name(self._vault_id, name), "a foreign name"
        assert name not in self._deleted, "a name is used again after its object was deleted"
        if name in self.open_uploads:
            raise UnavailableError("store-failed", reason="EEXIST")
        upload = self.open_uploads[name] = _MemoryUpload(self, name)
        return upload

    def open(self, name: str) -> "_MemoryReader":
        if name not in self._objects:
            raise NotFoundError("object-missing", name=name, store=self.label)
        self.open_readers += 1
        return _MemoryReader(self, self._objects[name][0])

    def delete(self, name: str) -> None:
        self._objects.pop(name, None)
        self.open_uploads.pop(name, None)
        self._deleted.add(name)

    def names(self) -> Iterator[tuple[str, datetime, bool]]:
        for name, (_, written_at) in list(self._objects.items()):
            yield name, written_at, True
        for name in list(self.open_uploads):
            yield name, datetime.now(UTC), False

    def used(self) -> int:
        """Bytes taken, unfinished uploads included."""
        return sum(len(data) for data, _ in self._objects.values()) + sum(
            len(upload.data) for upload in self.open_uploads.values()
        )

    def keep(self, uploads: Sequence[Upload]) -> None:
        """The objects stand, and never change."""
        for upload in uploads:
            assert isinstance(upload, _MemoryUpload), "an upload of another store"
            name = upload.end()
            del self.open_uploads[name]
            if name in self._objects:
                raise UnavailableError("store-failed", reason="EEXIST")
            self._objects[name] = bytes(upload.data), datetime.now(UTC)

    def require_room(self, more: int) -> None:
        if self._room is not None and self.used() + more > self._room:
            raise UnavailableError("disk-full")


class _MemoryUpload:
    def __init__(self, store: MemoryStore, name: str) -> None:
        self._store, self._name = store, name
        self._is_finished = self._is_ended = False
        self.data = bytearray()

    def write(self, data: memoryview | bytes) -> None:
        assert not self._is_finished, "written after its end"
        assert not self._is_ended, "written after it was dropped"
        self._store.require_room(len(data))
        self.data += data

    def finish(self) -> None:
        assert not self._is_finished, "finished twice"
        self._is_finished = True

    def end(self) -> str:
        assert self._is_finished, "kept before it was finished"
        assert not self._is_ended, "kept after its end"
        self._is_ended = True
        return self._name

    def abort(self) -> None:
        if not self._is_ended:
            self._store.open_uploads.pop(self._name, None)
        self._is_ended = True


class _MemoryReader:
    def __init__(self, store: MemoryStore, data: bytes) -> None:
        self._store, self._data = store, data
        self._is_closed = False
        self.size = len(data)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        assert not self._is_closed, "read after its end"
        part = self._data[offset:][: len(buffer)]
        if len(part) < len(buffer):
            raise IntegrityError("object-short")
        buffer[:] = part

    def close(self) -> None:
        if not self._is_closed:
            self._store.open_readers -= 1
        self._is_closed = True

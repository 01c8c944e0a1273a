"""An object store in memory, stricter than any real one: it fails the test where a caller breaks the protocol."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from vault.errors import ConflictError, IntegrityError, KuraError, NotFoundError, RefusedError, UnavailableError
from vault.storage.objects import LAST_LOCK, Address, Facts, Listed, Upload, is_object_name, object_name


@dataclass
class _Stored:
    data: bytes
    written_at: datetime
    locked_until: datetime | None
    is_held: bool = False


class MemoryStore:
    """An `ObjectStore` whose objects never change and whose uploads end exactly once, kept or aborted.

    With `birth_lock` it is an engine: every object has a version and is locked for so long, and whoever asks it to
    loosen a lock, or to take for gone what is locked, has broken the protocol.
    """

    def __init__(self, vault_id: str, *, room: int | None = None, birth_lock: timedelta | None = None) -> None:
        """Hold at most `room` bytes, where given; beyond that it is full, as a disk is."""
        self.label = "memory"
        self.locks = birth_lock is not None
        self.max_bytes: int | None = None
        self.is_there = True
        self._birth_lock = birth_lock
        self._vault_id = vault_id
        self._room = room
        self._objects: dict[Address, _Stored] = {}
        self._given: set[str] = set()
        self._deleted: set[str] = set()
        self.open_uploads: dict[str, _MemoryUpload] = {}
        self.open_readers = 0

    def require_there(self) -> None:
        if not self.is_there:
            raise UnavailableError("store-missing", store=self.label)

    def require_on_premises(self) -> None:
        """Memory does not leave."""

    def probe(self) -> bool:
        self.require_there()
        return True

    def new_name(self) -> str:
        name = object_name(self._vault_id, secrets.token_hex(12))
        assert name not in self._given, "a name was given twice"
        self._given.add(name)
        return name

    def upload(self, name: str) -> "_MemoryUpload":
        self.require_there()
        assert is_object_name(self._vault_id, name), "a foreign name"
        assert name not in self._deleted, "a name is used again after its object was deleted"
        if name in self.open_uploads:
            raise UnavailableError("store-failed", reason="EEXIST")
        upload = self.open_uploads[name] = _MemoryUpload(self, name)
        return upload

    def open(self, address: Address) -> "_MemoryReader":
        stored = self._at(address)
        self.open_readers += 1
        return _MemoryReader(self, stored.data)

    def stat(self, address: Address) -> Facts:
        stored = self._at(address)
        return Facts(address, len(stored.data), stored.locked_until, stored.is_held)

    def lock(self, address: Address, until: datetime) -> datetime:
        if not self.locks:
            raise RefusedError("store-cannot-lock", store=self.label)
        assert until.tzinfo is not None, "an instant without a zone"
        if until > LAST_LOCK:
            raise RefusedError("lock-too-far", store=self.label, last="2106-02-07")
        stored = self._at(address)
        stored.locked_until = max(until, stored.locked_until or until)
        return stored.locked_until

    def hold(self, address: Address, *, on: bool) -> None:
        if not self.locks:
            raise RefusedError("store-cannot-lock", store=self.label)
        self._at(address).is_held = on

    def delete(self, address: Address) -> None:
        self.require_there()
        assert not self.locks or address.version is not None, "deleted without a version"
        stored = self._objects.get(address)
        if stored is not None:
            if stored.is_held or (stored.locked_until is not None and stored.locked_until > datetime.now(UTC)):
                raise ConflictError(
                    "object-locked", name=address.name, store=self.label, until=str(stored.locked_until)
                )
            del self._objects[address]
        self.open_uploads.pop(address.name, None)
        self._deleted.add(address.name)

    def erase(self, name: str) -> None:
        for address in [address for address in self._objects if address.name == name]:
            self.delete(address)

    def listed(self) -> Iterator[Listed]:
        self.require_there()
        for address, stored in list(self._objects.items()):
            yield Listed(address, stored.written_at)
        for name in list(self.open_uploads):
            yield Listed(Address(name), datetime.now(UTC), is_ended=False)

    def used(self) -> int:
        """Bytes taken, unfinished uploads included."""
        return sum(len(stored.data) for stored in self._objects.values()) + sum(
            len(upload.data) for upload in self.open_uploads.values()
        )

    def keep(self, uploads: Sequence[Upload]) -> list[Facts | KuraError]:
        """The objects stand, and never change."""
        return [self._keep(upload) for upload in uploads]

    def require_room(self, more: int) -> None:
        if self._room is not None and self.used() + more > self._room:
            raise UnavailableError("disk-full")

    def _keep(self, upload: Upload) -> Facts | KuraError:
        assert isinstance(upload, _MemoryUpload), "an upload of another store"
        name = upload.end()
        del self.open_uploads[name]
        if not self.is_there:
            return UnavailableError("store-missing", store=self.label)
        if any(address.name == name for address in self._objects):
            return UnavailableError("store-failed", reason="EEXIST")
        address = Address(name, secrets.token_hex(8) if self.locks else None)
        now = datetime.now(UTC)
        locked_until = None if self._birth_lock is None else now + self._birth_lock
        self._objects[address] = _Stored(bytes(upload.data), now, locked_until)
        return Facts(address, len(upload.data), locked_until)

    def _at(self, address: Address) -> _Stored:
        self.require_there()
        if address not in self._objects:
            raise NotFoundError("object-missing", name=address.name, store=self.label)
        return self._objects[address]


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

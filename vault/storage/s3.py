"""Objects in an S3 bucket with versions and Object Lock: one put each, locked from birth, read and checked by version.

An object is born with a short lock, which is extended to its disposal day once a row names it: what no row ever names
lapses by itself. COMPLIANCE mode: until that day no credential deletes it, ours included. What a put without an answer
left is looked for before it is sent again, by length and MD5; a version too many that nobody named is the sweep's.

The lock does not bind whoever administers the engine itself: what proves a record whole is the ledger and another copy.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from minio.datatypes import Object
from minio.error import S3Error
from urllib3.exceptions import HTTPError

from vault.errors import ConflictError, IntegrityError, KuraError, NotFoundError, RefusedError, UnavailableError
from vault.storage.objects import LAST_LOCK, Address, Facts, Listed, Upload, object_name
from vault.storage.s3_credentials import read_credentials
from vault.storage.s3_errors import NEVER_LOCKED, UNREACHABLE, translated, unfaithful
from vault.storage.s3_place import S3Place, require_private
from vault.storage.s3_probe import SCRATCH, probe
from vault.storage.s3_spool import Spool
from vault.storage.s3_wire import S3Wire

MAX_BYTES = 5 << 30
"""What S3 takes in one put. More would have to be cut, and cut objects are born unlocked in some engines."""
BIRTH_LOCK = timedelta(days=2)

_TRIES = 2
_TOGETHER = 8  # puts of one `keep`: an engine takes many small objects at once faster than one by one
_HEAD_BYTES = 1 << 20  # read when an object is opened: a small one is then read whole
_REST_S = 5.0  # after no answer: meanwhile the store counts as away
_PRIVATE_S = 60.0  # how long an address that was found private counts as such


class S3Store:
    """An `ObjectStore` in a bucket. Its credentials come from a file; two users, of which only one may delete."""

    def __init__(
        self,
        place: S3Place,
        vault_id: str,
        spool: Path,
        *,
        timeout_s: float = 10.0,
        birth_lock: timedelta = BIRTH_LOCK,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """Use a bucket that exists; nothing is asked of it yet.

        Args:
            place: where it is.
            vault_id: whose objects it holds.
            spool: folder on a disk, for what is too large to wait in memory.
            timeout_s: how long the engine may say nothing.
            birth_lock: what every object is born with.
            max_bytes: the largest object.

        Raises:
            RefusedError: the credentials cannot be had.
        """
        self.place, self.label, self.locks = place, place.label, True
        self.max_bytes: int | None = max_bytes
        self.birth_lock = birth_lock
        self._vault_id, self._spool = vault_id, spool
        self.wire = S3Wire(place, read_credentials(place.credentials, place.profile), timeout_s)
        self.disposer = self.wire
        if place.disposer is not None:
            self.disposer = S3Wire(place, read_credentials(place.credentials, place.disposer), timeout_s)
        self._lock = threading.Lock()
        self._begun: set[str] = set()
        self._away_until = self._private_until = 0.0

    def require_there(self) -> None:
        """Ask the engine whether the bucket keeps versions and knows locks, and for something that it keeps on disk."""
        if not self.wire.is_versioned():
            raise RefusedError("store-without-versions", store=self.label)
        try:
            self.wire.require_lockable()
        except (NotFoundError, UnavailableError) as error:
            cause = error.__cause__
            if isinstance(cause, S3Error) and cause.code in NEVER_LOCKED:
                raise RefusedError("store-without-locks", store=self.label) from error
            raise
        with suppress(NotFoundError):  # a gateway knows the above by heart, whatever its disks do
            self.wire.stat(Address(f"{SCRATCH}there"))

    def require_on_premises(self) -> None:
        """Look up the host's addresses, now and then."""
        if time.monotonic() >= self._private_until:
            require_private(self.place)
            self._private_until = time.monotonic() + _PRIVATE_S

    def probe(self) -> bool:
        """Try the engine's promises on scratch objects."""
        return probe(self)

    def new_name(self) -> str:
        """Give a fresh random name."""
        return object_name(self._vault_id, os.urandom(12).hex())

    def upload(self, name: str) -> "_S3Upload":
        """Begin an object; nothing is sent before all of it is there."""
        if time.monotonic() < self._away_until:
            raise UnavailableError(UNREACHABLE, store=self.label, reason="still away")
        with self._lock:
            if name in self._begun:
                raise UnavailableError("store-failed", reason="EEXIST")
            self._begun.add(name)
        return _S3Upload(self, name, Spool(self._spool, self.max_bytes or MAX_BYTES, self.label))

    def keep(self, uploads: Sequence[Upload]) -> list[Facts | KuraError]:
        """Put each, locked; then look at each."""
        ours = [upload for upload in uploads if isinstance(upload, _S3Upload)]
        if len(ours) < len(uploads):
            raise TypeError("an upload of another store")  # a defect: it would be acknowledged and never kept
        try:
            if len(ours) == 1:
                return [self._put(ours[0])]
            with ThreadPoolExecutor(min(_TOGETHER, max(1, len(ours)))) as pool:
                return list(pool.map(self._put, ours))
        finally:
            for upload in ours:
                upload.abort()

    def open(self, address: Address) -> "_S3Reader":
        """Open a version, reading its beginning."""
        return _S3Reader(self, _complete(address, self.label))

    def stat(self, address: Address) -> Facts:
        """Ask the engine."""
        return self.wire.stat(_complete(address, self.label))

    def lock(self, address: Address, until: datetime) -> datetime:
        """Extend a lock, and look that it was."""
        until = _whole_second(until)
        if until > LAST_LOCK:
            raise RefusedError("lock-too-far", store=self.label, last=LAST_LOCK.date().isoformat())
        try:
            self.wire.lock(_complete(address, self.label), until)
        except UnavailableError as error:
            found = self.stat(address).locked_until  # already locked for longer: then shortening was refused
            if found is None or found < until:
                raise error from error.__cause__
            return found
        found = self.stat(address).locked_until
        if found is None or found < until:
            raise unfaithful(self.label, "lock")
        return found

    def hold(self, address: Address, *, on: bool) -> None:
        """Set or lift a legal hold, and look that it is so."""
        self.wire.hold(_complete(address, self.label), on=on)
        if self.stat(address).is_held is not on:
            raise unfaithful(self.label, "legal hold")

    def delete(self, address: Address) -> None:
        """Delete one version as the disposer."""
        try:
            self.disposer.delete(_complete(address, self.label))
        except UnavailableError as error:
            with suppress(NotFoundError, UnavailableError):
                facts = self.stat(address)
                if facts.is_held or (facts.locked_until is not None and facts.locked_until > _now()):
                    until = "a legal hold" if facts.is_held else f"{facts.locked_until:%Y-%m-%dT%H:%M:%SZ}"
                    raise ConflictError("object-locked", name=address.name, store=self.label, until=until) from error
            raise

    def erase(self, name: str) -> None:
        """Delete every version and marker under a name; then none may be left."""
        for address, _ in list(self._under(name)):
            self.delete(address)
        if any(True for _ in self._under(name)):
            raise unfaithful(self.label, "deletion")

    def listed(self) -> Iterator[Listed]:
        """List every version and every marker."""
        for address, found in self.wire.versions():
            if address.name.startswith(SCRATCH):
                continue
            if found.last_modified is None:
                raise UnavailableError("store-failed", reason="no date")
            written_at = found.last_modified.astimezone(UTC)
            tag = (found.etag or "").strip('"')
            yield Listed(address, written_at, is_marker=found.is_delete_marker, tag=tag)

    def forget(self, name: str) -> None:
        """Let go of a name whose upload has ended."""
        with self._lock:
            self._begun.discard(name)

    def noted(self, error: KuraError) -> None:
        """Count as away for a while after no answer: depositors must not each wait for the next."""
        if error.code == UNREACHABLE:
            self._away_until = time.monotonic() + _REST_S

    def _put(self, upload: "_S3Upload") -> Facts | KuraError:
        locked_until = _whole_second(_now() + self.birth_lock)
        error: KuraError
        for _ in range(_TRIES):
            try:
                facts = self.wire.stat(self._stored(upload, locked_until))
            except UnavailableError as failed:
                error = failed
                continue
            except KuraError as failed:
                return failed
            if facts.size != upload.spool.size:
                return unfaithful(self.label, "length")
            if facts.locked_until is None or facts.locked_until < locked_until:
                return unfaithful(self.label, "lock")
            self._away_until = 0.0
            return facts
        self.noted(error)
        return error

    def _stored(self, upload: "_S3Upload", locked_until: datetime) -> Address:
        """Send the bytes, unless an earlier try, of which no answer came, did after all."""
        tag = upload.spool.md5.hex()
        if upload.is_sent:
            for address, found in self._under(upload.name):
                if (found.size, (found.etag or "").strip('"')) == (upload.spool.size, tag):
                    return address
        upload.is_sent = True
        address, answered = self.wire.put(upload.name, upload.spool, locked_until)
        if answered != tag:
            raise unfaithful(self.label, "bytes")
        return address

    def _under(self, name: str) -> Iterator[tuple[Address, Object]]:
        return ((address, found) for address, found in self.wire.versions(name) if address.name == name)


class _S3Upload:
    """One object on its way."""

    def __init__(self, store: S3Store, name: str, spool: Spool) -> None:
        self._store, self.name, self.spool = store, name, spool
        self.is_sent = False

    def write(self, data: memoryview | bytes) -> None:
        """Append bytes."""
        self.spool.write(data)

    def finish(self) -> None:
        """Nothing: it is sent when it is known to be wanted."""

    def abort(self) -> None:
        """Forget the bytes."""
        self.spool.close()
        self._store.forget(self.name)


class _S3Reader:
    """One version, read by ranges; its beginning when it is opened."""

    def __init__(self, store: S3Store, address: Address) -> None:
        self._store, self._address = store, address
        head = memoryview(bytearray(_HEAD_BYTES))
        try:
            count, self.size = self._fetch(0, head)
        except UnavailableError as error:
            cause = error.__cause__
            if not isinstance(cause, S3Error) or cause.response.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                store.noted(error)
                raise
            count, self.size = 0, store.stat(address).size  # an empty object has no range
        self._head = bytes(head[:count])

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`."""
        if offset + len(buffer) > self.size:
            raise IntegrityError("object-short")
        if offset + len(buffer) <= len(self._head):
            buffer[:] = self._head[offset : offset + len(buffer)]
        elif self._fetch(offset, buffer)[0] < len(buffer):
            raise IntegrityError("object-short")

    def close(self) -> None:
        """Nothing stays open between two ranges."""

    def _fetch(self, offset: int, buffer: memoryview) -> tuple[int, int]:
        """Read a range; give how many bytes came, and how long the object is."""
        store = self._store
        if time.monotonic() < store._away_until:  # noqa: SLF001 - its own reader
            raise UnavailableError(UNREACHABLE, store=store.label, reason="still away")
        response = store.wire.read(self._address, offset, len(buffer))
        try:
            with translated(store.label, self._address.name):
                done = 0
                while done < len(buffer) and (part := response.read(len(buffer) - done)):
                    buffer[done : done + len(part)] = part
                    done += len(part)
                return done, int(response.headers["Content-Range"].rpartition("/")[2])
        finally:
            with suppress(HTTPError, OSError):
                response.close()
                response.release_conn()


def _complete(address: Address, store: str) -> Address:
    """Insist on a version: without one, whatever was laid over it last would answer."""
    if address.version is None:
        raise NotFoundError("object-missing", name=address.name, store=store)
    return address


def _whole_second(instant: datetime) -> datetime:
    """The next whole second: an engine may cut the rest, and then the lock would be shorter than was asked."""
    return instant if instant.microsecond == 0 else instant.replace(microsecond=0) + timedelta(seconds=1)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - an engine's lock runs by real time

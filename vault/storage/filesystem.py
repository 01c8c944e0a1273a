"""Objects as files: `<folder>/<2 hex>/<name>`, written beside their place, fsynced, renamed, folder fsynced.

Several may be kept together: they are all on their way to the disk before the first fsync waits for its own, and one
fsync of the folder serves all.

What a crash leaves: before the rename a `.part` file, after it a whole object that no row names yet. Both are orphans
that the sweep removes. A name is never overwritten.
"""

import errno
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from vault.errors import IntegrityError, KuraError, NotFoundError, RefusedError, UnavailableError
from vault.storage.objects import Address, Facts, Listed, Upload, object_name

_PART = ".part"
_START_BYTES = 4 << 20  # of a large object: written out while the next bytes are being sealed
_NAMES_PER_FOLDER = 256  # then the next random folder: uploads that run together share one folder's fsync


class FilesystemStore:
    """An `ObjectStore` in a folder of a local file system."""

    def __init__(self, folder: Path, vault_id: str) -> None:
        """Use `folder`, which is never made here: a disk that is not mounted must not become an empty store."""
        self.label = folder.name
        self.locks = False
        self.max_bytes: int | None = None
        self._folder = folder
        self._vault_id = vault_id
        self._lock = threading.Lock()
        self._shard = ""
        self._left_in_shard = 0
        self._syncs: dict[str, _FolderSync] = {}

    def require_there(self) -> None:
        """Look whether the folder is there."""
        if not self._folder.is_dir():
            raise UnavailableError("store-missing", store=self.label)

    def require_on_premises(self) -> None:
        """A folder is where the vault is."""

    def probe(self) -> bool:
        """A folder promises nothing that could be tried."""
        self.require_there()
        return True

    def new_name(self) -> str:
        """Give a fresh random name."""
        with self._lock:
            if self._left_in_shard == 0:
                self._shard, self._left_in_shard = secrets.token_hex(1), _NAMES_PER_FOLDER
            self._left_in_shard -= 1
            shard = self._shard
        return object_name(self._vault_id, shard + secrets.token_hex(11))

    def upload(self, name: str) -> "_FileUpload":
        """Begin an object beside its place."""
        path = f"{self._folder}/{name[:2]}/{name}"
        try:
            try:
                return _FileUpload(name, path, self._folder_sync(name[:2]))
            except FileNotFoundError:
                self.require_there()
                with self._lock:  # another, empty disk was mounted meanwhile: its folders are still to be made
                    self._syncs.clear()
                return _FileUpload(name, path, self._folder_sync(name[:2]))
        except OSError as error:
            raise _unavailable(error) from error

    def keep(self, uploads: Sequence[Upload]) -> list[Facts | KuraError]:
        """Fsync every file, rename all into place, fsync their folders: all, or none for certain."""
        files = [upload for upload in uploads if isinstance(upload, _FileUpload)]
        if len(files) < len(uploads):
            raise TypeError("an upload of another store")  # a defect: it would be acknowledged and never kept
        try:
            for file in files:
                file.sync()
            # A crash here leaves the whole files under their .part names; no row names them.
            for file in files:
                file.rename()
            # A crash here may lose the new names; no row names them yet.
            for folder in {file.folder for file in files}:
                folder.sync()
        except OSError as error:
            for file in files:
                file.abort()
            failed: list[Facts | KuraError] = [_unavailable(error) for _ in files]
            return failed
        return [Facts(Address(file.name), file.size) for file in files]

    def open(self, address: Address) -> "_FileReader":
        """Open an object."""
        name = address.name
        try:
            # Not blocking: a pipe laid in an object's place must not hold a reader for ever.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            return _FileReader(os.open(f"{self._folder}/{name[:2]}/{name}", flags))
        except FileNotFoundError as error:
            self.require_there()
            raise NotFoundError("object-missing", name=name, store=self.label) from error
        except OSError as error:
            raise _unavailable(error) from error

    def stat(self, address: Address) -> Facts:
        """Say how long a file is."""
        reader = self.open(address)
        reader.close()
        return Facts(address, reader.size)

    def lock(self, address: Address, until: datetime) -> datetime:
        """Refuse: whoever may write into a folder may remove from it."""
        del address, until
        raise RefusedError("store-cannot-lock", store=self.label)

    def hold(self, address: Address, *, on: bool) -> None:
        """Refuse, as `lock`."""
        del address, on
        raise RefusedError("store-cannot-lock", store=self.label)

    def delete(self, address: Address) -> None:
        """Remove an object (or what a cut upload left of it) and make that durable."""
        name = address.name
        path = self._folder / name[:2] / name
        try:
            for leaf in (path, path.with_name(name + _PART)):
                leaf.unlink(missing_ok=True)
            if path.parent.is_dir():
                self._folder_sync(name[:2]).sync()
        except OSError as error:
            raise _unavailable(error) from error
        self.require_there()

    def erase(self, name: str) -> None:
        """Remove the one file there is."""
        self.delete(Address(name))

    def listed(self) -> Iterator[Listed]:
        """List every file of the store."""
        self.require_there()
        for shard in sorted(entry.name for entry in os.scandir(self._folder)):
            if not (self._folder / shard).is_dir():
                written_at = datetime.fromtimestamp((self._folder / shard).stat().st_mtime, UTC)
                yield Listed(Address(shard), written_at)
                continue
            with os.scandir(self._folder / shard) as entries:
                for entry in entries:
                    try:
                        written_at = datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC)
                    except FileNotFoundError:  # an upload that has ended, or was dropped, since the folder was read
                        continue
                    name = entry.name.removesuffix(_PART)
                    yield Listed(Address(name), written_at, is_ended=name == entry.name)

    def _folder_sync(self, shard: str) -> "_FolderSync":
        with self._lock:
            sync = self._syncs.get(shard)
            if sync is None:
                folder = self._folder / shard
                if not folder.is_dir():
                    folder.mkdir(mode=0o700)
                    _fsync_folder(self._folder)
                sync = self._syncs[shard] = _FolderSync(folder)
            return sync


class _FileUpload:
    """One file being written."""

    def __init__(self, name: str, path: str, folder: "_FolderSync") -> None:
        self.name, self.folder = name, folder
        self._path, self._part = path, path + _PART
        self._written = self._started = 0
        self._fd = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._written

    def write(self, data: memoryview | bytes) -> None:
        """Append all of `data`."""
        view = memoryview(data)
        try:
            while view:
                count = os.write(self._fd, view)
                self._written += count
                view = view[count:]
        except OSError as error:
            raise _unavailable(error) from error
        if self._written - self._started >= _START_BYTES:
            self._start()

    def finish(self) -> None:
        """Start the last bytes on their way to the disk."""
        self._start()

    def sync(self) -> None:
        """Wait until the whole file is on the disk, under its .part name."""
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1

    def rename(self) -> None:
        """Give it its name, which nothing has."""
        if os.path.lexists(self._path):
            raise FileExistsError(errno.EEXIST, "name in use")
        os.rename(self._part, self._path)  # noqa: PTH104 - a Path for each file costs more than the call

    def abort(self) -> None:
        """Drop the part file."""
        with suppress(OSError):
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            os.unlink(self._part)  # noqa: PTH108 - as above

    def _start(self) -> None:
        """Have the kernel write out what is new, without waiting.

        Linux does so on this advice before it drops what is clean; a file that is being written has next to nothing
        clean yet. Where it does nothing, the fsync does all.
        """
        with suppress(OSError):  # it is advice
            os.posix_fadvise(self._fd, self._started, self._written - self._started, os.POSIX_FADV_DONTNEED)
        self._started = self._written


class _FileReader:
    """One file open for reading."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`."""
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._fd, [buffer[done:]], offset + done)
            except OSError as error:
                raise _unavailable(error) from error
            if count == 0:
                raise IntegrityError("object-short")
            done += count

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _FolderSync:
    """Shares one folder's fsync among all who wait for one: whoever asks while one runs is served by the next."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._gate = threading.Lock()
        self._asked = 0
        self._done = 0

    def sync(self) -> None:
        """Return when an fsync that began after this call has ended."""
        with self._lock:
            self._asked += 1
            mine = self._asked
        with self._gate:
            if self._done >= mine:
                return
            with self._lock:
                covers = self._asked
            _fsync_folder(self._folder)
            self._done = covers


def _fsync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unavailable(error: OSError) -> UnavailableError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError("disk-full")
    return UnavailableError("store-failed", reason=errno.errorcode.get(error.errno or 0, "unknown"))

"""Copying files so that they are durable and their digest is known; for backups, and nothing else."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from vault.errors import UnavailableError
from vault.records.manifest import BackedUp
from vault.storage.objects import ObjectReader

_CHUNK_BYTES = 1 << 20
_NEW = ".new"


def copy_file(source: Path, target: Path) -> BackedUp:
    """Copy a file; as `copy_chunks`.

    Raises:
        UnavailableError: reading or writing failed; the target is as it was.
    """
    try:
        with source.open("rb", buffering=0) as reader:
            return copy_chunks(iter(lambda: reader.read(_CHUNK_BYTES), b""), target)
    except OSError as error:
        raise _unavailable(error) from error


def copy_object(reader: ObjectReader, target: Path) -> BackedUp:
    """Copy a stored object as it is, sealed; as `copy_chunks`."""
    return copy_chunks(_object_chunks(reader), target)


def copy_chunks(chunks: Iterable[bytes], target: Path) -> BackedUp:
    """Write beside the target, fsync, rename; the folder's own fsync is `sync_folders`'.

    Raises:
        UnavailableError: reading or writing failed; the target is as it was.
    """
    fresh = target.with_name(target.name + _NEW)
    digest, count = hashlib.sha256(), 0
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)  # what a cut attempt left
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as writer:
            for chunk in chunks:
                digest.update(chunk)
                writer.write(chunk)
                count += len(chunk)
            writer.flush()
            os.fsync(writer.fileno())
        fresh.rename(target)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise _unavailable(error) from error
    return BackedUp(count, digest.hexdigest())


def write_file(target: Path, data: bytes) -> None:
    """Write a whole small file in place of another, durably, its name included; errors as `copy_chunks`."""
    copy_chunks([data], target)
    sync_folder(target.parent)


def digest_file(path: Path) -> BackedUp:
    """Read a file to its end.

    Raises:
        UnavailableError: it cannot be read.
    """
    try:
        with path.open("rb") as reader:
            digest = hashlib.file_digest(reader, "sha256").hexdigest()
            return BackedUp(reader.tell(), digest)
    except OSError as error:
        raise _unavailable(error) from error


def sync_folders(folder: Path) -> None:
    """Make the names in a folder and everything below it durable."""
    for below, _, _ in os.walk(folder, topdown=False):
        sync_folder(Path(below))


def sync_folder(folder: Path) -> None:
    """Make the names in one folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _object_chunks(reader: ObjectReader) -> Iterator[bytes]:
    for offset in range(0, reader.size, _CHUNK_BYTES):
        chunk = bytearray(min(_CHUNK_BYTES, reader.size - offset))
        reader.read_into(offset, memoryview(chunk))
        yield bytes(chunk)


def _unavailable(error: OSError) -> UnavailableError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError("disk-full")
    return UnavailableError("copy-failed", reason=errno.errorcode.get(error.errno or 0, "unknown"))

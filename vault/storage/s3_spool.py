"""Sealed bytes on their way to an engine, which wants to know their number and digest before it takes the first.

They are ciphertext: the small ones wait in memory, larger ones in a file without a name. So memory stays flat whatever
the size, a put can be repeated, and the engine itself refuses bytes that were altered on the way.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vault.errors import RefusedError, UnavailableError

IN_MEMORY_BYTES = 4 << 20
_CHUNK_BYTES = 1 << 20


class Spool:
    """The sealed bytes of one object; written once, read as often as they must be sent."""

    def __init__(self, folder: Path, max_bytes: int, store: str) -> None:
        """Begin with none.

        Args:
            folder: on a disk: a file system in memory would defeat the purpose.
            max_bytes: the engine's limit for one put.
            store: its label, for errors.
        """
        self._folder, self._max_bytes, self._store = folder, max_bytes, store
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._md5 = hashlib.md5(usedforsecurity=False)  # S3's own check of a transfer; what proves anything is not it
        self.size = 0

    def write(self, data: memoryview | bytes) -> None:
        """Append bytes.

        Raises:
            RefusedError: they are more than the engine takes at once.
            UnavailableError: there is no room for them.
        """
        if self.size + len(data) > self._max_bytes:
            raise RefusedError("object-too-large", store=self._store, max_bytes=self._max_bytes)
        try:
            if self._file is None and self.size + len(data) > IN_MEMORY_BYTES:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - closed below
                self._write(memoryview(self._memory))
                self._memory = bytearray()
            if self._file is None:
                self._memory += data
            else:
                self._write(memoryview(data))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            reason = errno.errorcode.get(error.errno or 0, "unknown")
            raise UnavailableError("disk-full") if full else UnavailableError("store-failed", reason=reason) from error
        self._md5.update(data)
        self.size += len(data)

    @property
    def md5(self) -> bytes:
        """MD5 of all bytes so far."""
        return self._md5.digest()

    def body(self) -> "bytearray | Iterator[bytes]":
        """Give the bytes to be sent."""
        return self._memory if self._file is None else self._chunks(self._file.fileno())

    def close(self) -> None:
        """Forget them. Harmless to repeat."""
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()

    def _write(self, view: memoryview) -> None:
        while view and self._file is not None:
            view = view[os.write(self._file.fileno(), view) :]

    def _chunks(self, fd: int) -> Iterator[bytes]:
        for offset in range(0, self.size, _CHUNK_BYTES):
            yield os.pread(fd, _CHUNK_BYTES, offset)

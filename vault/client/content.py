"""What is sent: bytes in memory or a file, measured once and then given as often as it has to be sent."""

import hashlib
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vault.errors import RefusedError, UnavailableError

_PART_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes of a known size and SHA-256; a file is read anew each time and must still be what was measured."""

    source: bytes | Path
    size: int
    digest: bytes

    def parts(self) -> Iterator[bytes]:
        """Give the bytes in order, in parts of at most 1 MiB.

        Raises:
            UnavailableError: `source-changed`, before the last part: the file is not what was measured, as one that
                is still being written; `source-unreadable`.
        """
        sha256, given = hashlib.sha256(), 0
        with self.opened() as file:
            while given < self.size:
                part = file.read(min(_PART_BYTES, self.size - given))
                given += len(part)
                sha256.update(part)
                is_last = given == self.size
                if not part or (is_last and (file.read(1) or sha256.digest() != self.digest)):
                    raise UnavailableError("source-changed")
                yield part

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the bytes for reading while entered.

        Raises:
            UnavailableError: `source-unreadable`, also from reading while entered.
        """
        try:
            with io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb") as file:
                yield file
        except OSError as error:
            raise UnavailableError("source-unreadable", reason=type(error).__name__) from error


def content_of(source: bytes | Path) -> Content:
    """Measure bytes, or a file from its beginning to its end.

    Raises:
        RefusedError: `source-not-a-file`.
        UnavailableError: `source-unreadable`.
    """
    if isinstance(source, bytes):
        return Content(source, len(source), hashlib.sha256(source).digest())
    try:
        if not stat.S_ISREG(source.stat().st_mode):
            raise RefusedError("source-not-a-file")
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            return Content(source, file.tell(), digest)
    except OSError as error:
        raise UnavailableError("source-unreadable", reason=type(error).__name__) from error

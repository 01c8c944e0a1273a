"""Where a deposit's bytes come from: an open file, or anything that fills a buffer."""

import os
import stat
from typing import Protocol

from vault.errors import RefusedError, UnavailableError


class Source(Protocol):
    """Bytes in order, once."""

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` as far as there are bytes; less than its length only at the end, then 0."""

    def finish(self) -> None:
        """Check that all was given; RefusedError("source-changed") where the source shrank, grew or was rewritten."""


class FileSource:
    """A regular file, by its descriptor, read from its beginning."""

    def __init__(self, fd: int) -> None:
        """Take the size and time that the file must still have at the end.

        Raises:
            RefusedError: it is not a regular file.
        """
        self._fd = fd
        self._before = os.fstat(fd)
        self._position = 0
        if not stat.S_ISREG(self._before.st_mode):
            raise RefusedError("source-not-a-file")

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` from the file."""
        done, size = 0, self._before.st_size  # a file that grew is found out in `finish`
        while done < len(buffer) and self._position < size:
            try:
                count = os.preadv(self._fd, [buffer[done:]], self._position)
            except OSError as error:
                raise UnavailableError("source-unreadable", reason=type(error).__name__) from error
            if count == 0:
                break
            done += count
            self._position += count
        return done

    def finish(self) -> None:
        """Compare the file with how it was."""
        after = os.fstat(self._fd)
        unchanged = (after.st_size, after.st_mtime_ns) == (self._before.st_size, self._before.st_mtime_ns)
        if not unchanged or self._position != after.st_size:
            raise RefusedError("source-changed")


class BytesSource:
    """Bytes in memory."""

    def __init__(self, content: bytes | memoryview) -> None:
        """Give `content`."""
        self._rest = memoryview(content)

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer`."""
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def finish(self) -> None:
        """Nothing in memory changes on its own."""

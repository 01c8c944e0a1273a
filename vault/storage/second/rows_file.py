"""The rows file: one record for each commit of the database, framed and chained; and how it is read back.

    record = length of the payload (uint32 big endian) || SHA-256(digest of the record before || payload) || payload

A payload is JSON. The first of a file says whose it is and what it follows; each other one is a commit: its number
(SQLite's `user_version` after it), the sizes of all ledgers after it, and its statements with their parameters:

    {"after": 41, "follows": "<64 hex digits>", "format": 1, "vault": "<16 hex digits>"}
    {"do": [[0, ["a", 1]], …], "heads": {"nishinomiya": 7}, "number": 42, "sql": ["INSERT …", …]}

Bytes stand as {"b": "<base64>"}. Nothing stands here in clear that does not stand in the database in clear.
"""

import hashlib
import json
import os
import struct
import threading
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from vault.errors import IntegrityError
from vault.storage.second.recorded import Change

DIGEST_BYTES = 32
START = bytes(DIGEST_BYTES)
"""The digest that a file follows which follows no other."""

_FORMAT = 1
_FRAME = struct.Struct(">I32s")
_LAST_NUMBER = (1 << 31) - 1  # SQLite's user_version is a signed integer of 32 bits


def next_number(number: int) -> int:
    """Give the number of the commit after this one."""
    return number % _LAST_NUMBER + 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rows file stands after one of its records."""

    number: int
    digest: bytes
    end: int  # byte offset in the file


@dataclass(frozen=True, slots=True)
class Record:
    """One commit as it was written down."""

    number: int
    heads: Mapping[str, int]  # ledger -> entries
    changes: Sequence[Change]

    def encode(self) -> bytes:
        """Give the payload."""
        numbers: dict[str, int] = {}
        do = [[numbers.setdefault(sql, len(numbers)), *rows] for sql, rows in self.changes]
        values = {"do": do, "heads": dict(self.heads), "number": self.number, "sql": list(numbers)}
        return json.dumps(values, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read what `encode` wrote.

        Raises:
            IntegrityError: `rows-file-damaged`.
        """
        try:
            values = json.loads(payload, object_hook=_as_stored)
            sql = values["sql"]
            changes = [(sql[which], [tuple(row) for row in rows]) for which, *rows in values["do"]]
            return cls(values["number"], values["heads"], changes)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise IntegrityError("rows-file-damaged", record="?") from error


@dataclass(frozen=True, slots=True)
class RowsHeader:
    """The first payload of a file: of which vault, after which commit, following which record of the file before."""

    vault_id: str
    after: int
    follows: bytes

    def encode(self) -> bytes:
        """Give the payload."""
        values = {"after": self.after, "follows": self.follows.hex(), "format": _FORMAT, "vault": self.vault_id}
        return json.dumps(values, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Read what `encode` wrote.

        Raises:
            IntegrityError: `rows-file-damaged`, also for another format.
        """
        try:
            values = json.loads(payload)
            header = cls(str(values["vault"]), int(values["after"]), bytes.fromhex(values["follows"]))
            is_known = values["format"] == _FORMAT
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError("rows-file-damaged", record="header") from error
        if not is_known:
            raise IntegrityError("rows-file-damaged", record="header")
        return header


class RowsWriter:
    """A rows file being appended to. For one thread; `sync` may come from another."""

    def __init__(self, path: Path, fd: int, place: Place) -> None:
        """Go on at `place`; what stands after it is cut off by the next record."""
        self.path = path
        self._fd = fd
        self._facts = os.fstat(fd)
        self.place = place
        self._before = place
        self._synced = place.end
        self._closing = threading.Lock()

    @classmethod
    def create(cls, path: Path, header: RowsHeader) -> Self:
        """Make a file that holds its header, durably but for its name."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        writer = cls(path, fd, Place(header.after, header.follows, 0))
        writer._append(header.encode(), header.after)
        writer._before = writer.place
        writer.sync()
        return writer

    @classmethod
    def resume(cls, path: Path, place: Place) -> Self:
        """Open a file again that is whole up to `place`, and cut off what stands after it."""
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        os.ftruncate(fd, place.end)
        return cls(path, fd, place)

    def append(self, record: Record) -> None:
        """Write a record, not yet durable.

        Raises:
            OSError: it may stand there in part.
        """
        self._append(record.encode(), record.number)

    def take_back(self) -> None:
        """Forget the last record: its commit did not happen. What is written next stands in its place."""
        self.place = self._before
        os.ftruncate(self._fd, self.place.end)

    def sync(self) -> None:
        """Make durable what was written; does nothing where nothing was.

        Raises:
            OSError: the disk failed, or the file is not at its path any more.
        """
        end = self.place.end
        found = self.path.stat()  # a file that somebody unlinked would go on taking writes
        if (found.st_dev, found.st_ino) != (self._facts.st_dev, self._facts.st_ino):
            raise FileNotFoundError(self.path.name)
        with self._closing:
            if end != self._synced and self._fd >= 0:
                os.fdatasync(self._fd)
                self._synced = end

    def close(self) -> None:
        """Close the file; a `sync` that comes later does nothing."""
        with self._closing:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _append(self, payload: bytes, number: int) -> None:
        frame = framed(self.place.digest, payload)
        if os.pwrite(self._fd, frame, self.place.end) != len(frame):
            raise OSError("short write")
        self._before, self.place = self.place, Place(number, frame[4:36], self.place.end + len(frame))


@dataclass(slots=True)
class RowsReading:
    """A rows file read from its beginning, record by record.

    Attributes:
        place: where the last whole record ends.
        before: where the one before it ends; the same as `place` where there is none.
        is_cut: whether bytes follow it that are no whole record.
    """

    file: BinaryIO
    header: RowsHeader
    place: Place
    before: Place
    is_cut: bool = False

    @classmethod
    def begin(cls, file: BinaryIO) -> Self:
        """Read the header.

        Raises:
            IntegrityError: `rows-file-damaged`.
        """
        try:
            payload, digest, end = _read_frame(file)
        except (EOFError, IntegrityError) as error:
            raise IntegrityError("rows-file-damaged", record="header") from error
        header = RowsHeader.decode(payload)
        if digest != chained(header.follows, payload):
            raise IntegrityError("rows-file-damaged", record="header")
        place = Place(header.after, digest, end)
        return cls(file, header, place, place)

    def payloads(self) -> Iterator[bytes]:
        """Give the payload of each whole record, in order; `place` moves along."""
        while True:
            try:
                payload, digest, end = _read_frame(self.file)
            except EOFError:
                return
            except IntegrityError:
                self.is_cut = True
                return
            if digest != chained(self.place.digest, payload):
                self.is_cut = True
                return
            self.before, self.place = self.place, Place(next_number(self.place.number), digest, self.place.end + end)
            yield payload


def framed(before: bytes, payload: bytes) -> bytes:
    """Give a record's bytes, after a record of the digest `before`."""
    return _FRAME.pack(len(payload), chained(before, payload)) + payload


def chained(before: bytes, payload: bytes) -> bytes:
    """Give a record's digest: it stands for everything up to it."""
    return hashlib.sha256(before + payload).digest()


def _read_frame(file: BinaryIO) -> tuple[bytes, bytes, int]:
    """Give payload, digest and length of a frame; EOFError at the end of the file."""
    head = file.read(_FRAME.size)
    if not head:
        raise EOFError
    if len(head) == _FRAME.size:
        length, digest = _FRAME.unpack(head)
        payload = file.read(length)
        if len(payload) == length:
            return payload, digest, _FRAME.size + length
    raise IntegrityError("rows-file-damaged", record="?")


def _plain(value: object) -> Mapping[str, str]:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(type(value))
    return {"b": b2a_base64(value, newline=False).decode()}


def _as_stored(values: dict[str, Any]) -> object:
    return a2b_base64(values["b"]) if values.keys() == {"b"} else values

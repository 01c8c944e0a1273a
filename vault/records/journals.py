"""Machines' journals: what completeness is checked against. Records of a class of their own, their lines under a root.

A journal enters the ledger as one event with the Merkle root (RFC 6962) of its lines. Each leaf is salted, that a proof
of one line tells nothing of the next:

    leaf i = SHA-256(0x00 ‖ HMAC-SHA-256(secret, uint64 big endian of i) ‖ line i)

A line ends before its LF; bytes after the last LF are a line, too. The secret follows from the record's data key and
goes with it.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum

from vault.ledger.merkle import CompactRange

_LABEL = b"kura/journal-lines/v1\n"
_BATCH = 1024  # leaves hashed before they are joined to the tree


class JournalKind(StrEnum):
    """What machines keep a journal of; the record class of each has its name."""

    CALL_DETAIL_RECORD = "call_detail_record"
    ENTRY_LOG = "entry_log"
    CONSIGNMENT_LIST = "consignment_list"
    COUNTER_TALLY = "counter_tally"
    RECORDER_JOURNAL = "recorder_journal"


@dataclass(frozen=True, slots=True)
class Lines:
    """How many lines a journal has, and their root (32 bytes)."""

    count: int
    root: bytes


class JournalLines:
    """Hashes a journal's lines as its bytes stream by, cut anywhere."""

    def __init__(self, data_key: bytes) -> None:
        """Begin; `data_key` is the record's, 32 bytes."""
        self._secret = hmac.digest(data_key, _LABEL, "sha256")
        self._range, self._leaves, self._count = CompactRange(), list[bytes](), 0
        self._leaf = self._next()
        self._is_begun = False

    def update(self, chunk: memoryview | bytes) -> None:
        """Take the next bytes."""
        *whole, rest = bytes(chunk).split(b"\n")
        for line in whole:
            self._leaf.update(line)
            self._end_line()
        if rest:
            self._leaf.update(rest)
            self._is_begun = True

    def finish(self) -> Lines:
        """Give count and root of all lines."""
        if self._is_begun:
            self._end_line()
        self._join()
        return Lines(self._count, self._range.root())

    def _next(self) -> "hashlib._Hash":
        return hashlib.sha256(b"\x00" + hmac.digest(self._secret, self._count.to_bytes(8, "big"), "sha256"))

    def _end_line(self) -> None:
        self._leaves.append(self._leaf.digest())
        self._count += 1
        self._leaf, self._is_begun = self._next(), False
        if len(self._leaves) == _BATCH:
            self._join()

    def _join(self) -> None:
        self._range = self._range.extend(self._leaves)
        self._leaves = []


def lines_of(class_id: str, data_key: bytes) -> JournalLines | None:
    """Give what hashes the lines of a record of this class; None where it is no journal."""
    return JournalLines(data_key) if class_id in _CLASSES else None


_CLASSES = frozenset[str](JournalKind)

"""Where a deposit's time goes: wraps the calls that cost while one deposit at a time is made.

A wrapped call inside another one counts once, for the inner: the fsync of a commit is not to be seen from Python and
stays with the database, but every other fsync is its own.
"""

import hashlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import blake3

from vault.records import content, metadata, prepare
from vault.records.intake.pdf_batch import PdfCheck
from vault.records.vault import Vault
from vault.sealing.envelope import Envelope
from vault.sealing.stream import SegmentSealer
from vault.storage.statement import Statement

P = ParamSpec("P")
R = TypeVar("R")


class Stopwatch:
    """Seconds by name."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Begin at nothing; `clock` gives seconds."""
        self._clock = clock
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = threading.local()

    def wrap(self, name: str, call: Callable[P, R]) -> Callable[P, R]:
        """Give the same call, its time counted for `name`, without that of wrapped calls inside it."""

        @wraps(call)
        def timed(*arguments: P.args, **keywords: P.kwargs) -> R:
            outer = getattr(self._inner, "spent", 0.0)
            self._inner.spent = 0.0
            begin = self._clock()
            try:
                return call(*arguments, **keywords)
            finally:
                spent = self._clock() - begin
                self.seconds[name] += spent - self._inner.spent
                self._inner.spent = outer + spent

        return timed

    def patch(self, name: str, owner: object, *attributes: str) -> None:
        """Wrap attributes where they are; for the rest of this process."""
        for attribute in attributes:
            setattr(owner, attribute, self.wrap(name, getattr(owner, attribute)))


class _Hashes:
    """Stands for `hashlib` and for the `blake3` class in the module that hashes contents."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._stopwatch = stopwatch

    def sha256(self) -> "_Hash":
        return _Hash(self._stopwatch, hashlib.sha256())

    def blake3(self) -> "_Hash":
        return _Hash(self._stopwatch, blake3.blake3())


class _Hash:
    """A hash whose updates are counted as cryptography."""

    def __init__(self, stopwatch: Stopwatch, inner: "hashlib._Hash | blake3.blake3") -> None:
        self.update = stopwatch.wrap("crypto", inner.update)
        self.digest = inner.digest


def watch_vault(stopwatch: Stopwatch, vault: Vault) -> None:
    """Wrap what a deposit does besides Python: fsync, other file calls, database, cryptography, the PDF workers."""
    stopwatch.patch("fsync", os, "fsync", "fdatasync")
    stopwatch.patch("files", os, "open", "write", "pwrite", "rename", "close")
    stopwatch.patch("database", vault.ground.engine.dialect, "do_execute", "do_executemany", "do_commit", "do_rollback")
    stopwatch.patch("database", Statement, "run", "run_many", "rows")
    stopwatch.patch("crypto", SegmentSealer, "__init__", "seal_into")
    stopwatch.patch("crypto", Envelope, "seal", "wrap")
    stopwatch.patch("crypto", metadata, "seal_small")
    stopwatch.patch("crypto", prepare, "index_token")
    stopwatch.patch("crypto", vault.ground.keys, "sign")
    stopwatch.patch("pdf workers", PdfCheck, "finish")
    hashes = _Hashes(stopwatch)
    setattr(content, "hashlib", hashes)  # noqa: B010 - a module's name is replaced on purpose
    setattr(content, "blake3", hashes.blake3)  # noqa: B010

"""The yardstick: SHA-256, AES-256-GCM and a durable file for each input, as tight as Python goes; no rows, no ledger.

    put   read a file, hash it, seal it in frames of 1 MiB, write it beside its place, fsync, rename, fsync the folder
    get   read it back, open every frame, hash, and compare with the digest at the end of the file

A stored file: prefix[8] || length[8], then frames of up to 1 MiB with their tags, then the SHA-256 of the plaintext.
Nonce of frame i: prefix || i[4]. Associated data: 1 on the last frame, else 0. The key is fixed: it guards nothing.
"""

import hashlib
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

THREADS = 2
_FRAME_BYTES = 1 << 20
_TAG_BYTES = 16
_DIGEST_BYTES = 32
_PREFIX_BYTES = 8
_KEY = bytes(range(32))


def put(sources: Sequence[Path], folders: Sequence[Path], threads: int = THREADS) -> float:
    """Store every source durably in every folder, one folder after the other; give the seconds that it took."""

    def store(frames: _Frames, source: Path) -> None:
        for folder in folders:
            frames.put(source, folder)

    return _seconds(sources, store, threads)


def get(stored: Sequence[Path], threads: int = THREADS) -> float:
    """Read everything back and check it; give the seconds that it took.

    Raises:
        ValueError: a digest differs.
        InvalidTag: a frame was altered.
    """
    return _seconds(stored, lambda frames, path: frames.get(path), threads)


class _Frames:
    """Buffers and cipher of one thread: nothing is allocated for a file."""

    def __init__(self) -> None:
        self._cipher = AESGCM(_KEY)
        self._plain = memoryview(bytearray(_FRAME_BYTES))
        self._sealed = memoryview(bytearray(_FRAME_BYTES + _TAG_BYTES))

    def put(self, source: Path, folder: Path) -> None:
        """Store one file and make it durable."""
        unfinished = folder / f".{source.name}.tmp"
        target = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self._seal(source, target)
            os.fsync(target)
        finally:
            os.close(target)
        unfinished.rename(folder / source.name)
        _fsync_folder(folder)

    def get(self, stored: Path) -> None:
        """Open one file and compare its digest."""
        sha256 = hashlib.sha256()
        file = os.open(stored, os.O_RDONLY)
        try:
            head = os.read(file, 2 * _PREFIX_BYTES)
            prefix, left = head[:_PREFIX_BYTES], int.from_bytes(head[_PREFIX_BYTES:], "big")
            index = 0
            while left:
                count = min(_FRAME_BYTES, left)
                left -= count
                sealed, plain = self._sealed[: count + _TAG_BYTES], self._plain[:count]
                _require(os.readv(file, [sealed]) == len(sealed), "short file")
                self._cipher.decrypt_into(prefix + index.to_bytes(4, "big"), sealed, bytes([left == 0]), plain)
                sha256.update(plain)
                index += 1
            _require(os.read(file, _DIGEST_BYTES) == sha256.digest(), "digest differs")
        finally:
            os.close(file)

    def _seal(self, source: Path, target: int) -> None:
        sha256 = hashlib.sha256()
        prefix = os.urandom(_PREFIX_BYTES)
        file = os.open(source, os.O_RDONLY)
        try:
            left = os.fstat(file).st_size
            os.write(target, prefix + left.to_bytes(_PREFIX_BYTES, "big"))
            index = 0
            while left:
                count = os.readv(file, [self._plain])
                _require(count > 0, "short file")
                left -= count
                plain, sealed = self._plain[:count], self._sealed[: count + _TAG_BYTES]
                sha256.update(plain)
                self._cipher.encrypt_into(prefix + index.to_bytes(4, "big"), plain, bytes([left == 0]), sealed)
                _require(os.write(target, sealed) == len(sealed), "short write")
                index += 1
            os.write(target, sha256.digest())
        finally:
            os.close(file)


def _seconds(paths: Sequence[Path], work: Callable[[_Frames, Path], None], threads: int) -> float:
    """Work through the paths in a few threads; give the seconds, or raise what failed."""
    waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for path in paths:
        waiting.put(path)
    failed: list[BaseException] = []

    def loop() -> None:
        frames = _Frames()
        try:
            while True:
                work(frames, waiting.get_nowait())
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001 - raised below, by the thread that measures
            failed.append(error)

    crew = [threading.Thread(target=loop) for _ in range(threads)]
    begin = time.perf_counter()
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    seconds = time.perf_counter() - begin
    if failed:
        raise failed[0]
    return seconds


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require(condition: bool, rule: str) -> None:  # noqa: FBT001 - a private guard, read as its call
    if not condition:
        raise ValueError(rule)

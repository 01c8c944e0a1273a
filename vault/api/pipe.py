"""A body on its way from the event loop to the thread that seals it: a source that holds little at a time."""

import asyncio
import queue
import threading

from vault.api.content_digest import ContentDigest, DigestCheck

_HELD_BYTES = 1 << 20  # on its way, about; a piece is a quarter of it at most


class Pipe:
    """Written by one task, read by one thread: `Source` for that thread."""

    def __init__(self, announced: ContentDigest) -> None:
        """Begin empty; at its end the reader is told where the bytes are not as announced."""
        self._loop = asyncio.get_running_loop()
        self._pieces: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()  # None: the end
        self._room, self._lock, self._held = asyncio.Event(), threading.Lock(), 0
        self._piece, self._is_at_end = memoryview(b""), False
        self._check = DigestCheck(announced)

    async def write(self, piece: bytes) -> None:
        """Hand over a piece; wait while enough is on its way."""
        with self._lock:
            self._held += len(piece)
            is_full = self._held > _HELD_BYTES
            if is_full:
                self._room.clear()
        self._pieces.put(piece)
        if is_full:
            await self._room.wait()

    def end(self) -> None:
        """Say that all was written."""
        self._pieces.put(None)

    def fail(self, error: Exception) -> None:
        """Say that no more will come: the reader gets `error`."""
        self._pieces.put(error)

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` as far as there are bytes, waiting for them.

        Raises:
            RefusedError: `digest-not-as-announced`, at the end; or what the writer failed with.
        """
        done = 0
        while done < len(buffer):
            if not self._piece and not self._next():
                break
            count = min(len(self._piece), len(buffer) - done)
            buffer[done : done + count] = self._piece[:count]
            self._piece, done = self._piece[count:], done + count
        return done

    def finish(self) -> None:
        """Nothing is left to check: the end was told only of what is as announced."""

    def _next(self) -> bool:
        """Take the next piece; False at the end."""
        if self._is_at_end:
            return False
        piece = self._pieces.get()
        if isinstance(piece, Exception):
            self._is_at_end = True
            raise piece
        if piece is None:
            self._is_at_end = True
            self._check.finish()
            return False
        self._check.update(piece)
        self._piece = memoryview(piece)
        with self._lock:
            was_full = self._held > _HELD_BYTES
            self._held -= len(piece)
            has_room = was_full and self._held <= _HELD_BYTES
        if has_room:
            self._loop.call_soon_threadsafe(self._room.set)
        return True

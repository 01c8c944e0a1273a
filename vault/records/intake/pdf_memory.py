"""Holds PDFs in shared memory while they stream in and are looked at; nothing of them is ever in a file.

Small ones (up to 1 MiB) share an arena of slots that every worker has mapped; larger ones get a memory file each, out
of one budget. Both block until there is room. Waiting cannot end in a deadlock as long as no thread fills two
documents at once: whoever waits for the budget waits for documents that need nothing more.
"""

import fcntl
import mmap
import os
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeAlias

from vault.errors import UnavailableError
from vault.records.intake.pdf_protocol import DOCUMENT, PASSED, SLOT_BYTES

_MIB = 1 << 20
_ZEROS = memoryview(bytes(SLOT_BYTES))
_F_SEAL_FUTURE_WRITE = 0x0010  # linux/fcntl.h, since 5.1; the fcntl module does not name it yet


class DocumentMemory:
    """The memory of one pool. Safe to use from several threads.

    Attributes:
        arena_fd: descriptor of the arena, for workers. They can map it for reading only.
        arena_bytes: size of the arena.
        budget_bytes: for all large documents together, and so for one.
    """

    def __init__(self, slots: int = 64, budget_mib: int = 64) -> None:
        """Reserve the addresses; the memory itself is taken when a slot is first filled."""
        self.arena_bytes = slots * SLOT_BYTES
        self.budget_bytes = budget_mib * _MIB
        self.arena_fd = os.memfd_create("kura-pdf-arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.arena_fd, self.arena_bytes)
        self._arena = memoryview(mmap.mmap(self.arena_fd, self.arena_bytes))
        # Without these a worker could cut the file under the vault, which would then die of SIGBUS, or write into
        # documents that others are to judge. The mapping above stays writable.
        _seal(self.arena_fd, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | _F_SEAL_FUTURE_WRITE)
        # SimpleQueue's put may interrupt its get in one thread: documents are also released by the collector.
        self._free_slots: SimpleQueue[int] = SimpleQueue()
        for slot in range(slots):
            self._free_slots.put(slot)
        self._free_mib: SimpleQueue[None] = SimpleQueue()
        for _ in range(budget_mib):
            self._free_mib.put(None)
        self._one_reserves = threading.Lock()

    def slot(self) -> "SlotDocument":
        """Wait for a free slot of 1 MiB."""
        return SlotDocument(self._arena, self._free_slots.get(), self._free_slots)

    def slot_now(self) -> "SlotDocument | None":
        """Give a slot of 1 MiB if one is free."""
        try:
            return SlotDocument(self._arena, self._free_slots.get_nowait(), self._free_slots)
        except Empty:
            return None

    def large(self, capacity: int | None) -> "LargeDocument":
        """Wait for room for a document of `capacity` bytes; for all there is where its length is not known.

        Raises:
            UnavailableError: the system gave no memory.
        """
        most = self.budget_bytes if capacity is None else min(capacity, self.budget_bytes)
        reserved_mib = -(-most // _MIB)
        with self._one_reserves:  # in turn: two that hold half of what they need would wait for ever
            for _ in range(reserved_mib):
                self._free_mib.get()
        return LargeDocument(reserved_mib, self._free_mib)

    def enlarge(self, small: "SlotDocument") -> "LargeDocument":
        """Move a document that outgrew its slot; the slot is free then."""
        try:
            large = self.large(None)
            large.append(small.content())
        finally:
            small.release()
        return large

    def close(self) -> None:
        """Close the arena's descriptor; its memory goes with the last mapping."""
        if self.arena_fd >= 0:
            os.close(self.arena_fd)
            self.arena_fd = -1


class SlotDocument:
    """A document in a slot of the arena.

    Attributes:
        capacity: the most bytes it can take.
        size: bytes it holds.
    """

    capacity = SLOT_BYTES

    def __init__(self, arena: memoryview, slot: int, free_slots: "SimpleQueue[int]") -> None:
        """Take the slot, to be put among `free_slots` in the end."""
        self.size = 0
        self._memory = arena[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]
        self._slot: int | None = slot
        self._free_slots = free_slots

    def append(self, chunk: memoryview | bytes) -> None:
        """Add bytes, within the capacity."""
        end = self.size + len(chunk)
        self._memory[self.size : end] = chunk
        self.size = end

    def content(self) -> memoryview:
        """Give what it holds; only until `release`."""
        return self._memory[: self.size]

    def request(self) -> tuple[bytes, list[int]]:
        """Name it to a worker; no descriptors go with it."""
        return DOCUMENT.pack(self._slot, self.size), []

    def release(self) -> None:
        """Leave nothing of the document in the slot and free it. Harmless to repeat."""
        slot, self._slot = self._slot, None
        if slot is not None:
            self._memory[: self.size] = _ZEROS[: self.size]
            self._free_slots.put(slot)


class LargeDocument:
    """A document in a memory file of its own.

    Attributes:
        capacity: the most bytes it can take.
        size: bytes it holds.
    """

    def __init__(self, reserved_mib: int, free_mib: "SimpleQueue[None]") -> None:
        """Take the reserved memory, to be put back to `free_mib` in the end."""
        self.capacity = reserved_mib * _MIB
        self.size = 0
        self._free_mib = free_mib
        self._reserved_mib = reserved_mib
        self._is_sealed = False
        self._fd = -1
        try:
            self._fd = os.memfd_create("kura-pdf", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError as error:
            self.release()
            raise UnavailableError("pdf-pool-unavailable") from error

    def append(self, chunk: memoryview | bytes) -> None:
        """Add bytes, within the capacity.

        Raises:
            UnavailableError: the system gave no memory.
        """
        rest = memoryview(chunk)
        try:
            while rest:
                written = os.write(self._fd, rest)
                rest, self.size = rest[written:], self.size + written
        except OSError as error:
            raise UnavailableError("pdf-pool-unavailable") from error

    def request(self) -> tuple[bytes, list[int]]:
        """Name it to a worker, and give the descriptor that goes with it; nothing can be added after that."""
        if not self._is_sealed:
            _seal(self._fd, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
            self._is_sealed = True
        return DOCUMENT.pack(PASSED, self.size), [self._fd]

    def release(self) -> None:
        """Free the memory. Harmless to repeat."""
        reserved_mib, self._reserved_mib = self._reserved_mib, 0
        if reserved_mib:
            with suppress(OSError):
                os.close(self._fd)
            for _ in range(reserved_mib):
                self._free_mib.put(None)


Document: TypeAlias = SlotDocument | LargeDocument


def _seal(descriptor: int, seals: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals | fcntl.F_SEAL_SEAL)

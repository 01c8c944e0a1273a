import mmap
import os
import threading

import pytest

from vault.records.intake.pdf_memory import DocumentMemory
from vault.records.intake.pdf_protocol import SLOT_BYTES

MIB = 1 << 20


def test_a_document_leaves_nothing_in_the_arena() -> None:
    memory = DocumentMemory(slots=2)
    arena = mmap.mmap(memory.arena_fd, memory.arena_bytes, prot=mmap.PROT_READ)
    document = memory.slot()
    document.append(b"a citizen's ")
    document.append(memoryview(b"name"))
    assert arena.find(b"citizen's name") >= 0
    document.release()
    assert arena.find(b"citizen") < 0
    memory.close()


def test_the_arena_cannot_be_written_or_cut_by_who_only_has_its_descriptor() -> None:
    memory = DocumentMemory(slots=2)
    with pytest.raises(PermissionError):
        mmap.mmap(memory.arena_fd, memory.arena_bytes)
    with pytest.raises(PermissionError):
        os.ftruncate(memory.arena_fd, 0)
    with pytest.raises(PermissionError):
        os.write(memory.arena_fd, b"x")
    memory.close()


def test_a_large_document_cannot_be_changed_once_it_is_handed_over() -> None:
    memory = DocumentMemory(slots=1, budget_mib=4)
    document = memory.large(3 * MIB)
    document.append(b"x" * (2 * MIB))
    _, (descriptor,) = document.request()
    with pytest.raises(PermissionError):
        mmap.mmap(descriptor, MIB)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    document.release()
    memory.close()


def test_a_document_that_outgrows_its_slot_keeps_its_bytes() -> None:
    memory = DocumentMemory(slots=1, budget_mib=4)
    small = memory.slot()
    small.append(b"ab" * 1000)
    large = memory.enlarge(small)
    memory.slot().release()  # the slot is free again, or this would wait for ever
    _, (descriptor,) = large.request()
    assert os.pread(descriptor, SLOT_BYTES, 0) == b"ab" * 1000
    large.release()
    memory.close()


def test_large_documents_never_hold_more_than_the_budget() -> None:
    memory = DocumentMemory(slots=1, budget_mib=4)
    lock, held, most = threading.Lock(), 0, 0

    def take(capacity: int | None) -> None:
        nonlocal held, most
        for _ in range(20):
            document = memory.large(capacity)
            with lock:
                held += document.capacity
                most = max(most, held)
            document.append(b"x" * MIB)
            with lock:
                held -= document.capacity
            document.release()
            document.release()

    threads = [threading.Thread(target=take, args=(capacity,)) for capacity in (MIB, 2 * MIB, 3 * MIB, None)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 4 * MIB
    memory.close()

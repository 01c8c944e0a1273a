"""The PDF workers of a vault: long-lived processes, so that a document can harm a worker but not the vault.

    pool = PdfPool()
    batch = pool.batch()
    check = batch.check()
    check.update(chunk)     # as the document streams by
    check.begin()           # all its bytes are in
    batch.begin()           # the worker looks at what is in, while the vault does something else
    check.finish()          # raises where the document is refused

What is put to a worker, and what becomes of it, is known in `pdf_batch`; what a document does to its worker in
`pdf_worker`.
"""

import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue

from vault.records.intake.pdf_batch import PdfBatch
from vault.records.intake.pdf_child import PdfChild, WorkerLimits
from vault.records.intake.pdf_memory import DocumentMemory


class PdfPool:
    """A few PDF workers, started when there is work for them. Safe to use from several threads."""

    def __init__(
        self, workers: int = 2, memory_mib: int = 1024, timeout_s: float = 10.0, recycle_after: int = 20_000
    ) -> None:
        """Take the limits; start nothing yet.

        Args:
            workers: the most worker processes at one time.
            memory_mib: address space of a worker, at least 256: 64 are the arena's, the rest is Python's and qpdf's.
            timeout_s: the longest a worker may look at one document.
            recycle_after: documents after which a worker is replaced by a fresh one.
        """
        self._memory = DocumentMemory()
        nursery = ThreadPoolExecutor(1, thread_name_prefix="pdf-nursery")
        limits = WorkerLimits(memory_mib, timeout_s, recycle_after)
        self._crew = Crew(
            [PdfChild(self._memory.arena_fd, self._memory.arena_bytes, limits, nursery) for _ in range(workers)]
        )
        self._end = weakref.finalize(self, _end, self._crew, nursery, self._memory)

    def batch(self) -> PdfBatch:
        """Give a fresh batch, for documents that one thread fills one after the other."""
        return PdfBatch(self._memory, self._crew)

    def worker_ids(self) -> list[int]:
        """Give the process ids of the workers that run now, for health pages."""
        return [process_id for child in self._crew.children if (process_id := child.process_id) is not None]

    def close(self) -> None:
        """End the workers. Checks under way are refused or fail as unavailable; harmless to repeat."""
        self._end()


class Crew:
    """The workers of a pool; each is lent to one batch at a time."""

    def __init__(self, children: Sequence[PdfChild]) -> None:
        """Begin with all of them idle."""
        self.children = children
        self._idle = deque(children)  # last in, first out: others need not even be started while one keeps up
        # One for each idle worker. A simple queue, for its put may interrupt its get in one thread: a forgotten batch
        # is given back by the collector.
        self._tokens: SimpleQueue[None] = SimpleQueue()
        for _ in children:
            self._tokens.put(None)
        self._closed = False

    def lend_now(self) -> PdfChild | None:
        """Give a worker if one is idle."""
        with suppress(Empty):
            self._tokens.get_nowait()
            return self._idle.pop()
        return None

    def lend(self) -> PdfChild:
        """Wait for a worker."""
        self._tokens.get()
        return self._idle.pop()

    def take_back(self, child: PdfChild) -> None:
        """Have a worker that has answered everything; a closed pool ends it."""
        if self._closed:
            child.kill()
        self._idle.append(child)
        self._tokens.put(None)

    def close(self) -> None:
        """End every worker; a batch that has one lent hears nothing further from it, and can start no other."""
        self._closed = True
        for child in self.children:
            child.interrupt()
        for child in list(self._idle):
            child.kill()


def _end(crew: Crew, nursery: ThreadPoolExecutor, memory: DocumentMemory) -> None:
    """End the workers of a pool. Knows the pool's parts only, so that it does not keep the pool alive."""
    nursery.shutdown()
    crew.close()
    memory.close()

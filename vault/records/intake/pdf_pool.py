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
from concurrent.futures import ThreadPoolExecutor

from vault.records.intake.pdf_batch import PdfBatch
from vault.records.intake.pdf_child import PdfChild, WorkerLimits
from vault.records.intake.pdf_crew import Crew
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


def _end(crew: Crew, nursery: ThreadPoolExecutor, memory: DocumentMemory) -> None:
    """End the workers of a pool. Knows the pool's parts only, so that it does not keep the pool alive."""
    nursery.shutdown()
    crew.close()
    memory.close()

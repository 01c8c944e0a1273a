"""Checks PDFs in long-lived worker processes, so that a document can harm a worker but not the vault.

    pool = PdfPool()
    check = pool.check()
    check.update(chunk)     # as the document streams by
    check.begin()           # all bytes are in
    check.finish()          # raises where the document is refused

What a document does to its worker is known in `pdf_worker`; a worker that fails over a document is replaced, the
document refused, and not tried again.
"""

import weakref
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from vault.errors import RefusedError, UnavailableError
from vault.records.intake.content_check import ContentCheck
from vault.records.intake.pdf_child import PdfChild, WorkerLimits
from vault.records.intake.pdf_memory import Document, DocumentMemory, SlotDocument
from vault.records.intake.pdf_protocol import OK, SLOT_BYTES


class PdfPool:
    """A few PDF workers, started when there is work for them. Safe to use from several threads."""

    def __init__(
        self, workers: int = 2, memory_mib: int = 1024, timeout_s: float = 10.0, recycle_after: int = 2000
    ) -> None:
        """Take the limits; start nothing yet.

        Args:
            workers: the most worker processes at one time.
            memory_mib: address space of a worker, at least 256: 64 are the arena's, the rest is Python's and qpdf's.
            timeout_s: the longest a worker may look at one document.
            recycle_after: documents after which a worker is replaced by a fresh one.
        """
        self._memory = DocumentMemory()
        limits = WorkerLimits(memory_mib, timeout_s, recycle_after)
        children = [PdfChild(self._memory.arena_fd, self._memory.arena_bytes, limits) for _ in range(workers)]
        self._crew = _Crew(children, ThreadPoolExecutor(workers, thread_name_prefix="pdf-check"))
        self._end = weakref.finalize(self, _end, self._crew, self._memory)

    def check(self, content_bytes: int | None = None) -> "PdfCheck":
        """Give a fresh check of one PDF.

        Args:
            content_bytes: the document's length, where announced. Without it, a document that turns out larger than
                1 MiB waits until it is the only large one in memory.
        """
        return PdfCheck(self._memory, self._crew, content_bytes)

    def worker_ids(self) -> list[int]:
        """Give the process ids of the workers that run now, for health pages."""
        return [child.process_id for child in self._crew.children if child.process_id is not None]

    def close(self) -> None:
        """End the workers. Checks under way are refused or fail as unavailable; harmless to repeat."""
        self._end()


class PdfCheck(ContentCheck):
    """The check of one PDF: keeps its bytes in memory until a worker has judged them."""

    def __init__(self, memory: DocumentMemory, crew: "_Crew", announced_bytes: int | None) -> None:
        """Hold nothing yet: memory is asked for with the first byte."""
        self._memory, self._crew, self._announced_bytes = memory, crew, announced_bytes
        self._too_large = announced_bytes is not None and announced_bytes > memory.budget_bytes
        self._document: Document | None = None
        self._verdict: Future[bytes | None] | None = None

    def update(self, chunk: memoryview | bytes) -> None:
        """Copy the next bytes into shared memory, waiting for room where there is none."""
        if self._too_large:
            return
        document = self._roomy(len(chunk))
        if document is None:
            self._too_large = True
            self.abort()
        else:
            document.append(chunk)

    def begin(self) -> None:
        """Hand the document to a worker."""
        if self._verdict is not None or self._too_large:
            return
        document, self._document = self._document or self._memory.slot(), None  # an empty document is one, too
        try:
            self._verdict = self._crew.threads.submit(_judge, self._crew, document)
        except RuntimeError as error:  # the pool is closed
            document.release()
            raise UnavailableError("pdf-pool-unavailable") from error

    def finish(self) -> None:
        """Wait for the worker's verdict."""
        self.begin()
        if self._verdict is None:
            raise RefusedError("pdf-too-large", max_mib=self._memory.budget_bytes >> 20)
        answer = self._verdict.result()
        if answer != OK:
            raise RefusedError("pdf-check-failed" if answer is None else answer.decode("ascii"))

    def abort(self) -> None:
        """Free the memory; that of a document handed over is freed after its verdict."""
        document, self._document = self._document, None
        if document is not None:
            document.release()

    def __del__(self) -> None:
        """Free what a forgotten check still holds: a slot lost for good would in the end stop all deposits."""
        self.abort()

    def _roomy(self, more_bytes: int) -> Document | None:
        """Give the document with room for `more_bytes`; None where it would be larger than a PDF may be."""
        if self._document is None:
            expected_bytes = max(more_bytes, self._announced_bytes or 0)
            if expected_bytes <= SLOT_BYTES:
                self._document = self._memory.slot()
            else:
                self._document = self._memory.large(self._announced_bytes)
        size = self._document.size + more_bytes
        if SLOT_BYTES < size <= self._memory.budget_bytes and isinstance(self._document, SlotDocument):
            small, self._document = self._document, None
            self._document = self._memory.enlarge(small)
        return self._document if size <= self._document.capacity else None


@dataclass(slots=True)
class _Crew:
    """The workers of a pool and the threads that ask them, one for each: a thread always finds an idle worker."""

    children: list[PdfChild]
    threads: ThreadPoolExecutor
    idle: deque[PdfChild] = field(init=False)
    closed: bool = False

    def __post_init__(self) -> None:
        self.idle = deque(self.children)


def _judge(crew: _Crew, document: Document) -> bytes | None:
    """Put a document to an idle worker; None where the worker failed over it. Frees the document."""
    try:
        if crew.closed:
            raise UnavailableError("pdf-pool-unavailable")
        child = crew.idle.pop()  # the one asked last: others need not even be started while it keeps up
        try:
            return child.ask(*document.request())
        finally:
            crew.idle.append(child)
    finally:
        document.release()


def _end(crew: _Crew, memory: DocumentMemory) -> None:
    """End the threads and workers of a pool. Knows the pool's parts only, so that it does not keep the pool alive."""
    crew.closed = True
    for child in crew.children:
        child.interrupt()
    crew.threads.shutdown()
    for child in crew.children:
        child.kill()
    memory.close()

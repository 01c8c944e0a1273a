"""Documents that one thread fills, one after the other, and puts to one worker together: messages cost, too.

A worker that fails over a document is replaced, the document refused, and not tried again; what was put to it together
with that one is put to the next.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from vault.errors import RefusedError
from vault.records.intake.content_check import ContentCheck
from vault.records.intake.pdf_child import PdfChild
from vault.records.intake.pdf_crew import Crew
from vault.records.intake.pdf_memory import Document, DocumentMemory, LargeDocument, SlotDocument
from vault.records.intake.pdf_protocol import MAX_TOGETHER, OK, SLOT_BYTES


@dataclass(slots=True)
class _Question:
    """A whole document on its way to its verdict; its memory is free once that is there."""

    document: Document
    is_answered: bool = False
    answer: bytes | None = None  # None: the worker failed over it

    def settle(self, answer: bytes | None) -> None:
        self.answer, self.is_answered = answer, True
        self.document.release()


class PdfBatch:
    """Documents put to one worker together. Used by one thread at a time."""

    def __init__(self, memory: DocumentMemory, crew: Crew) -> None:
        """Begin with no document."""
        self._memory, self._crew = memory, crew
        self._waiting: deque[_Question] = deque()  # whole, and not put to a worker yet
        self._asked: deque[_Question] = deque()
        self._worker: PdfChild | None = None

    def check(self, content_bytes: int | None = None) -> "PdfCheck":
        """Give a fresh check of one PDF; `begin` it before the next one of this batch is filled.

        Args:
            content_bytes: the document's length, where announced. Without it, a document that turns out larger than
                1 MiB waits until it is the only large one in memory.
        """
        return PdfCheck(self, self._memory, content_bytes)

    def begin(self) -> None:
        """Put what is whole to a worker, if one is idle now: the verdicts are worked out while the caller goes on.

        Raises:
            UnavailableError: no worker could be started.
        """
        if self._waiting and not self._asked:
            worker = self._crew.lend_now()
            if worker is not None:
                self._ask(worker)

    def finish(self) -> None:
        """Wait until every whole document has its verdict; then none of them holds memory.

        Raises:
            UnavailableError: no worker could be started.
        """
        while self._waiting or self._asked:
            if not self._asked:
                self._ask(self._crew.lend())
            self._hear()

    def abort(self) -> None:
        """Give up all documents that have no verdict yet. Harmless to repeat."""
        if self._worker is not None:
            self._worker.kill()  # it may still be reading what is freed below
            self._give_back()
        for question in (*self._asked, *self._waiting):
            question.settle(None)
        self._asked.clear()
        self._waiting.clear()

    def __del__(self) -> None:
        """Free what a forgotten batch still holds: a slot lost for good would in the end stop all deposits."""
        self.abort()

    def add(self, document: Document) -> _Question:
        """Take a whole document."""
        question = _Question(document)
        self._waiting.append(question)
        return question

    def slot(self) -> SlotDocument:
        """Wait for room for a small document; nobody waits who holds what others wait for."""
        slot = self._memory.slot_now()
        if slot is None:
            self.finish()
            slot = self._memory.slot()
        return slot

    def large(self, capacity: int | None) -> LargeDocument:
        """Wait for room for a large document."""
        self.finish()
        return self._memory.large(capacity)

    def enlarge(self, small: SlotDocument) -> LargeDocument:
        """Move a document that outgrew its slot."""
        try:
            self.finish()
        except BaseException:
            small.release()
            raise
        return self._memory.enlarge(small)

    def _ask(self, worker: PdfChild) -> None:
        self._worker = worker
        together = [self._waiting[0]]
        if isinstance(together[0].document, SlotDocument):
            together = _small_ones(self._waiting)
        requests = [question.document.request() for question in together]
        message = b"".join(request for request, _ in requests)
        try:
            worker.ask(message, [descriptor for _, given in requests for descriptor in given], len(together))
        except BaseException:
            self._give_back()
            raise
        for question in together:
            self._waiting.popleft()
            self._asked.append(question)

    def _hear(self) -> None:
        """Hear every answer that is due."""
        worker = self._worker
        if worker is None:
            raise RuntimeError("nobody was asked")
        while self._asked:
            answer = worker.answer()
            self._asked.popleft().settle(answer)
            if answer is None:  # the others were not looked at
                self._waiting.extendleft(reversed(self._asked))
                self._asked.clear()
        worker.rest()
        self._give_back()

    def _give_back(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            self._crew.take_back(worker)


class PdfCheck(ContentCheck):
    """The check of one PDF: keeps its bytes in memory until a worker has judged them."""

    def __init__(self, batch: PdfBatch, memory: DocumentMemory, announced_bytes: int | None) -> None:
        """Hold nothing yet: memory is asked for with the first byte."""
        self._batch, self._announced_bytes = batch, announced_bytes
        self._budget_bytes = memory.budget_bytes
        self._too_large = announced_bytes is not None and announced_bytes > memory.budget_bytes
        self._document: Document | None = None
        self._question: _Question | None = None

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
        """Hand the document to the batch."""
        if self._question is None and not self._too_large:
            document, self._document = self._document or self._batch.slot(), None  # an empty document is one, too
            self._question = self._batch.add(document)

    def finish(self) -> None:
        """Wait for the worker's verdict."""
        self.begin()
        if self._question is None:
            raise RefusedError("pdf-too-large", max_mib=self._budget_bytes >> 20)
        if not self._question.is_answered:
            self._batch.finish()
        if self._question.answer != OK:
            answer = self._question.answer
            raise RefusedError("pdf-check-failed" if answer is None else answer.decode("ascii"))

    def abort(self) -> None:
        """Free the memory; that of a document handed over is freed with its verdict."""
        document, self._document = self._document, None
        if document is not None:
            document.release()

    def __del__(self) -> None:
        """Free what a forgotten check still holds."""
        self.abort()

    def _roomy(self, more_bytes: int) -> Document | None:
        """Give the document with room for `more_bytes`; None where it would be larger than a PDF may be."""
        if self._document is None:
            expected_bytes = max(more_bytes, self._announced_bytes or 0)
            if expected_bytes <= SLOT_BYTES:
                self._document = self._batch.slot()
            else:
                self._document = self._batch.large(self._announced_bytes)
        size = self._document.size + more_bytes
        if SLOT_BYTES < size <= self._budget_bytes and isinstance(self._document, SlotDocument):
            small, self._document = self._document, None
            self._document = self._batch.enlarge(small)
        return self._document if size <= self._document.capacity else None


def _small_ones(waiting: Iterable[_Question]) -> list[_Question]:
    """Give the first documents up to the next large one: they share one message."""
    small: list[_Question] = []
    for question in waiting:
        if len(small) == MAX_TOGETHER or not isinstance(question.document, SlotDocument):
            break
        small.append(question)
    return small

"""The workers of a PDF pool; each is lent to one batch at a time."""

from collections import deque
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from vault.errors import UnavailableError
from vault.records.intake.pdf_child import PdfChild


class Crew:
    """Lends the workers of a pool. Safe to use from several threads."""

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
        try:
            self._tokens.get_nowait()
        except Empty:
            return None
        return self._lent()

    def lend(self) -> PdfChild:
        """Wait for a worker.

        Raises:
            UnavailableError: the pool is closed.
        """
        self._tokens.get()
        return self._lent()

    def take_back(self, child: PdfChild) -> None:
        """Have a worker that has answered everything; a closed pool ends it."""
        if self._closed:
            child.kill()
        self._idle.append(child)
        self._tokens.put(None)

    def close(self) -> None:
        """End every worker; a batch that has one lent hears nothing further from it, and can start no other."""
        self._closed = True
        self._tokens.put(None)  # whoever waits need not wait for a batch that may never be finished
        for child in self.children:
            child.interrupt()
        for child in list(self._idle):
            child.kill()

    def _lent(self) -> PdfChild:
        if self._closed:
            self._tokens.put(None)  # for the next one who waits
            raise UnavailableError("pdf-pool-unavailable")
        return self._idle.pop()

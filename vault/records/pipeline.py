"""Threads that prepare records: some seal, as much together as waits, while others wait for the disk.

Decides nothing about a record: each is prepared or refused by `Deposits`, and one that is refused stops no other.
"""

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from vault.records.deposit import Deposits
from vault.records.deposited import Outcome
from vault.records.order import Order
from vault.records.prepare import Preparation, Prepared

SEALING_THREADS = 2
_KEEPING_THREADS = 2  # they wait for the disk
_TOGETHER = 16  # records that one thread prepares together, at most: their bytes become durable together

Result = Prepared | Outcome | Exception
"""Prepared, answered already, or failed in a way that is a defect."""


class Pipeline:
    """Prepares what is handed to it, and tells of each by the position it came with."""

    def __init__(
        self, deposits: Deposits, tell: Callable[[list[tuple[int, Result]]], object], workers: int = SEALING_THREADS
    ) -> None:
        """Start the threads.

        Args:
            deposits: where the records are to go.
            tell: called by the pipeline's threads with what is done; must not block for long.
            workers: threads that seal.
        """
        self._deposits, self._tell = deposits, tell
        self._orders: queue.SimpleQueue[tuple[int, Order] | None] = queue.SimpleQueue()  # None: no more will come
        self._sealed: queue.SimpleQueue[tuple[list[int], Preparation] | None] = queue.SimpleQueue()  # None likewise
        self._sealing, self._lock = workers, threading.Lock()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"{name}-{number}", daemon=True)
            for name, work, count in (("sealing", self._seal, workers), ("keeping", self._keep, _KEEPING_THREADS))
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, position: int, order: Order) -> None:
        """Hand over a record; never blocks."""
        self._orders.put((position, order))

    def close(self) -> None:
        """Begin nothing further, tell of what is under way, and end the threads."""
        self._closed.set()
        self._orders.put(None)
        for thread in self._threads:
            thread.join()

    def _seal(self) -> None:
        while taken := self._take():
            try:
                while taken:
                    preparation = self._deposits.begin_many([order for _, order in taken])
                    begun, taken = taken[: len(preparation)], taken[len(preparation) :]
                    self._sealed.put(([position for position, _ in begun], preparation))
            except Exception as error:  # noqa: BLE001 - a defect, or no database; told to whoever asked
                self._tell([(position, error) for position, _ in taken])
        with self._lock:
            self._sealing -= 1
            if self._sealing == 0:
                self._sealed.put(None)

    def _keep(self) -> None:
        while (sealed := self._sealed.get()) is not None:
            positions, preparation = sealed
            results: Sequence[Result]
            try:
                results = preparation.finish()
            except Exception as error:  # noqa: BLE001 - as above
                results = [error for _ in positions]
            self._tell(list(zip(positions, results, strict=True)))
        self._sealed.put(None)  # for the other threads, too

    def _take(self) -> list[tuple[int, Order]]:
        """Wait for an order, and take those that are there already; nothing when no more will come or none is wanted.

        It waits for one only: the next may not come before this one is answered.
        """
        taken: list[tuple[int, Order]] = []
        with suppress(queue.Empty):
            while len(taken) < _TOGETHER:
                one = self._orders.get_nowait() if taken else self._orders.get()
                if one is None:
                    self._orders.put(None)  # for the other threads, too
                    break
                taken.append(one)
        return [] if self._closed.is_set() else taken

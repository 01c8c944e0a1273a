"""Depositing many records: sealed by several threads at once, committed in groups, while further ones are sealed.

Memory is bounded: no more than `_OUTSTANDING` records wait between their bytes and their answer.
"""

import queue
import threading
import time
from collections.abc import Iterable, Iterator

from vault.errors import KuraError
from vault.people.actor import Actor
from vault.records.deposit import Deposits
from vault.records.deposited import Deposited, Outcome
from vault.records.order import OpenSource, Order
from vault.records.pipeline import SEALING_THREADS, Pipeline, Result
from vault.records.prepare import Prepared
from vault.records.request import DepositRequest

GROUP = 64
_OUTSTANDING = 128  # records drawn and not yet answered
_GATHER_S = 0.05  # how long the first of a group waits for others

Item = tuple[DepositRequest, OpenSource]


def deposit_many(
    deposits: Deposits,
    actor: Actor,
    contract_id: str,
    items: Iterable[Item],
    *,
    workers: int = SEALING_THREADS,
    group: int = GROUP,
) -> Iterator[tuple[int, Outcome]]:
    """Take records as `Deposits.deposit` does; give (position in `items`, receipt or error) as each is done.

    Args:
        deposits: where to.
        actor: who deposits.
        contract_id: to which contract.
        items: requests with what opens their bytes; drawn from in one thread, the bytes opened and read in others.
            It may wait for answers to what was drawn before.
        workers: threads that seal.
        group: records per commit, at most.

    What `items` raises is raised here once everything drawn before is answered. Whoever stops asking has taken
    what was committed so far; nothing of the rest is kept.
    """
    run = _Run(deposits, workers)
    orders = (Order(actor, contract_id, *item) for item in items)
    drawing = threading.Thread(target=run.draw, args=(orders,), name="drawing", daemon=True)
    drawing.start()
    try:
        yield from run.outcomes(group)
    finally:
        run.stop()
        drawing.join()
        run.discard()
    if run.failure is not None:
        raise run.failure


class _Run:
    """One run of `deposit_many`: what its threads share."""

    def __init__(self, deposits: Deposits, workers: int) -> None:
        self.failure: Exception | None = None
        self._deposits = deposits
        self._ready: queue.SimpleQueue[list[tuple[int, Result]] | None] = queue.SimpleQueue()  # None: the items ended
        self._pipeline = Pipeline(deposits, self._ready.put, workers)
        self._room = threading.Semaphore(_OUTSTANDING)
        self._stopped = threading.Event()
        self._waiting: list[tuple[int, Prepared]] = []
        self._drawn_count = self._answered = self._given_room = 0
        self._has_ended = False

    def draw(self, orders: Iterator[Order]) -> None:
        """Draw orders as there is room for them."""
        try:
            for order in orders:
                self._room.acquire()
                if self._stopped.is_set():
                    break
                self._pipeline.submit(self._drawn_count, order)
                self._drawn_count += 1
        except Exception as error:  # noqa: BLE001 - it is raised where the outcomes are asked for
            self.failure = error
        self._ready.put(None)

    def outcomes(self, group: int) -> Iterator[tuple[int, Outcome]]:
        """Give each outcome as it is there; commit what is prepared in groups."""
        while not self._is_done():
            for position, outcome in self._gather(group):
                self._answered += 1
                yield position, outcome
            if self._waiting:
                positions, prepared = zip(*self._waiting[:group], strict=True)
                del self._waiting[:group]
                for position, outcome in zip(positions, self._deposits.commit(prepared), strict=True):
                    self._answered += 1
                    yield position, outcome

    def stop(self) -> None:
        """Draw and begin nothing further."""
        self._stopped.set()
        self._room.release()  # the drawing thread may be waiting for room
        self._pipeline.close()

    def discard(self) -> None:
        """Remove the bytes of what was prepared and will not be committed; all threads have ended."""
        while not self._ready.empty():
            for position, result in self._ready.get() or ():
                if isinstance(result, Prepared):
                    self._waiting.append((position, result))
        self._deposits.discard([prepared for _, prepared in self._waiting])

    def _gather(self, group: int) -> Iterator[tuple[int, Outcome]]:
        """Collect prepared records until a group is full, time is up or no more can come; pass answers on at once."""
        deadline = None
        while len(self._waiting) < group and not self._all_are_waiting():
            self._make_room()
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                together = self._ready.get(timeout=timeout)
            except queue.Empty:
                return
            if together is None:
                self._has_ended = True
                continue
            for position, result in together:
                if isinstance(result, Prepared):
                    self._waiting.append((position, result))
                    deadline = deadline or time.monotonic() + _GATHER_S
            for position, result in together:
                if isinstance(result, Deposited | KuraError):
                    yield position, result
                elif isinstance(result, Exception):
                    raise result

    def _all_are_waiting(self) -> bool:
        return self._has_ended and self._answered + len(self._waiting) == self._drawn_count

    def _is_done(self) -> bool:
        return self._all_are_waiting() and not self._waiting

    def _make_room(self) -> None:
        """Let as many be drawn as were answered."""
        if self._answered > self._given_room:
            self._room.release(self._answered - self._given_room)
            self._given_room = self._answered

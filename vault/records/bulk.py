"""Depositing many records: sealed by several threads at once, committed in groups, while further ones are sealed.

Decides nothing about a record: each is taken or refused by `Deposits`, and one that is refused stops no other.
Memory is bounded: no more than `_OUTSTANDING` records wait between their bytes and their answer.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vault.errors import KuraError
from vault.people.actor import Actor
from vault.records.deposit import Deposited, Deposits, Prepared
from vault.records.request import DepositRequest
from vault.records.source import Source

WORKERS = 8
GROUP = 64
_OUTSTANDING = 128  # records handed over and not yet answered
_GATHER_S = 0.05  # how long the first of a group waits for others

OpenSource = Callable[[], Source]
Outcome = Deposited | KuraError


def deposit_many(
    deposits: Deposits,
    actor: Actor,
    contract_id: str,
    items: Iterable[tuple[DepositRequest, OpenSource]],
    *,
    workers: int = WORKERS,
    group: int = GROUP,
) -> Iterator[tuple[int, Outcome]]:
    """Take records as `Deposits.deposit` does; give (position in `items`, receipt or error) as each is done.

    Args:
        deposits: where to.
        actor: who deposits.
        contract_id: to which contract.
        items: requests with what opens their bytes; drawn from in one thread, the bytes opened and read in others.
        workers: threads that seal.
        group: records per commit, at most.

    What `items` raises is raised here once everything drawn before is answered. Whoever stops asking has taken
    what was committed so far; nothing of the rest is kept.
    """
    run = _Run(deposits, actor, contract_id, iter(items))
    with ThreadPoolExecutor(workers, "sealing") as pool:
        feeder = threading.Thread(target=run.feed, args=(pool,), name="feeding", daemon=True)
        feeder.start()
        try:
            yield from run.outcomes(group)
        finally:
            run.stop()
            feeder.join()
            pool.shutdown()
            run.discard()
    if run.failure is not None:
        raise run.failure


@dataclass(frozen=True, slots=True)
class _Ready:
    """One record whose sealing has ended: prepared, answered already, or failed in a way that is a defect."""

    position: int
    result: Prepared | Outcome | Exception


class _Run:
    """One run of `deposit_many`: what its threads share."""

    def __init__(
        self, deposits: Deposits, actor: Actor, contract_id: str, items: Iterator[tuple[DepositRequest, OpenSource]]
    ) -> None:
        self.failure: Exception | None = None
        self._deposits, self._actor, self._contract_id, self._items = deposits, actor, contract_id, items
        self._ready: queue.SimpleQueue[_Ready | None] = queue.SimpleQueue()  # None: the items have ended
        self._room = threading.Semaphore(_OUTSTANDING)
        self._stopped = threading.Event()
        self._waiting: list[tuple[int, Prepared]] = []
        self._fed, self._answered = 0, 0
        self._has_ended = False

    def feed(self, pool: ThreadPoolExecutor) -> None:
        """Draw items as there is room for them, and hand them to the sealing threads."""
        try:
            for request, open_source in self._items:
                self._room.acquire()
                if self._stopped.is_set():
                    break
                pool.submit(self._prepare, self._fed, request, open_source)
                self._fed += 1
        except Exception as error:  # noqa: BLE001 - it is raised where the outcomes are asked for
            self.failure = error
        self._ready.put(None)

    def outcomes(self, group: int) -> Iterator[tuple[int, Outcome]]:
        """Give each outcome as it is there; commit what is prepared in groups."""
        while not self._is_done():
            for position, outcome in self._gather(group):
                yield position, outcome
                self._answer()
            if self._waiting:
                positions, prepared = zip(*self._waiting, strict=True)
                self._waiting = []
                for position, outcome in zip(positions, self._deposits.commit(prepared), strict=True):
                    yield position, outcome
                    self._answer()

    def stop(self) -> None:
        """Draw no further item."""
        self._stopped.set()
        self._room.release()  # the feeder may be waiting for room

    def discard(self) -> None:
        """Remove the bytes of what was prepared and will not be committed; all threads have ended."""
        while not self._ready.empty():
            ready = self._ready.get()
            if ready is not None and isinstance(ready.result, Prepared):
                self._waiting.append((ready.position, ready.result))
        self._deposits.discard([prepared for _, prepared in self._waiting])

    def _prepare(self, position: int, request: DepositRequest, open_source: OpenSource) -> None:
        result: Prepared | Outcome | Exception
        try:
            result = self._deposits.prepare(self._actor, self._contract_id, request, open_source())
        except Exception as error:  # noqa: BLE001 - raised in the thread that asks, if it is not an answer
            result = error
        self._ready.put(_Ready(position, result))

    def _gather(self, group: int) -> Iterator[tuple[int, Outcome]]:
        """Collect prepared records until a group is full, time is up or no more can come; pass answers on at once."""
        deadline = None
        while len(self._waiting) < group and not self._all_are_waiting():
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                ready = self._ready.get(timeout=timeout)
            except queue.Empty:
                return
            if ready is None:
                self._has_ended = True
            elif isinstance(ready.result, Prepared):
                self._waiting.append((ready.position, ready.result))
                deadline = deadline or time.monotonic() + _GATHER_S
            elif isinstance(ready.result, Deposited | KuraError):
                yield ready.position, ready.result
            else:
                raise ready.result

    def _all_are_waiting(self) -> bool:
        return self._has_ended and self._answered + len(self._waiting) == self._fed

    def _is_done(self) -> bool:
        return self._all_are_waiting() and not self._waiting

    def _answer(self) -> None:
        self._answered += 1
        self._room.release()

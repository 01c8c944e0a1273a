"""Depositing many records: sealed by several threads at once, committed in groups, while further ones are sealed.

Decides nothing about a record: each is taken or refused by `Deposits`, and one that is refused stops no other.
Memory is bounded: no more than `_OUTSTANDING` records wait between their bytes and their answer.
"""

import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from vault.errors import KuraError
from vault.people.actor import Actor
from vault.records.deposit import Deposits
from vault.records.deposited import Deposited
from vault.records.prepare import OpenSource, Preparation, Prepared
from vault.records.request import DepositRequest

WORKERS = 2
_KEEPERS = 2  # threads that wait for the disk
GROUP = 64
_TOGETHER = 16  # records that one thread prepares together, at most: their bytes become durable together
_OUTSTANDING = 128  # records drawn and not yet answered
_GATHER_S = 0.05  # how long the first of a group waits for others

Item = tuple[DepositRequest, OpenSource]
Outcome = Deposited | KuraError
_Drawn = tuple[int, Item]


def deposit_many(
    deposits: Deposits,
    actor: Actor,
    contract_id: str,
    items: Iterable[Item],
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
            It may wait for answers to what was drawn before.
        workers: threads that seal.
        group: records per commit, at most.

    What `items` raises is raised here once everything drawn before is answered. Whoever stops asking has taken
    what was committed so far; nothing of the rest is kept.
    """
    run = _Run(deposits, actor, contract_id, workers)
    threads = [threading.Thread(target=run.keep, name=f"keeping-{number}", daemon=True) for number in range(_KEEPERS)]
    threads += [threading.Thread(target=run.seal, name=f"sealing-{number}", daemon=True) for number in range(workers)]
    threads.append(threading.Thread(target=run.draw, args=(iter(items),), name="drawing", daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield from run.outcomes(group)
    finally:
        run.stop()
        for thread in reversed(threads):
            thread.join()
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

    def __init__(self, deposits: Deposits, actor: Actor, contract_id: str, workers: int) -> None:
        self.failure: Exception | None = None
        self._deposits, self._actor, self._contract_id = deposits, actor, contract_id
        self._drawn: queue.SimpleQueue[_Drawn | None] = queue.SimpleQueue()  # None: the items have ended
        self._sealed: queue.SimpleQueue[tuple[list[int], Preparation] | None] = queue.SimpleQueue()  # None likewise
        self._sealing, self._lock = workers, threading.Lock()
        self._ready: queue.SimpleQueue[list[_Ready] | None] = queue.SimpleQueue()  # None likewise
        self._room = threading.Semaphore(_OUTSTANDING)
        self._stopped = threading.Event()
        self._waiting: list[tuple[int, Prepared]] = []
        self._drawn_count = self._answered = self._given_room = 0
        self._has_ended = False

    def draw(self, items: Iterator[Item]) -> None:
        """Draw items as there is room for them."""
        try:
            for item in items:
                self._room.acquire()
                if self._stopped.is_set():
                    break
                self._drawn.put((self._drawn_count, item))
                self._drawn_count += 1
        except Exception as error:  # noqa: BLE001 - it is raised where the outcomes are asked for
            self.failure = error
        self._drawn.put(None)
        self._ready.put(None)

    def seal(self) -> None:
        """Seal what is drawn, as much together as is there, until the items have ended."""
        while drawn := self._take():
            try:
                while drawn:
                    items = [item for _, item in drawn]
                    preparation = self._deposits.begin_many(self._actor, self._contract_id, items)
                    begun, drawn = drawn[: len(preparation)], drawn[len(preparation) :]
                    self._sealed.put(([position for position, _ in begun], preparation))
            except Exception as error:  # noqa: BLE001 - a defect; raised in the thread that asks
                self._ready.put([_Ready(position, error) for position, _ in drawn])
        with self._lock:
            self._sealing -= 1
            if self._sealing == 0:
                self._sealed.put(None)

    def keep(self) -> None:
        """Make durable what is sealed, until all sealing threads have ended."""
        while (sealed := self._sealed.get()) is not None:
            positions, preparation = sealed
            results: Sequence[Prepared | Outcome | Exception]
            try:
                results = preparation.finish()
            except Exception as error:  # noqa: BLE001 - as above
                results = [error for _ in positions]
            self._ready.put([_Ready(*one) for one in zip(positions, results, strict=True)])
        self._sealed.put(None)  # for the other threads, too

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
        """Draw no further item."""
        self._stopped.set()
        self._room.release()  # the drawing thread may be waiting for room

    def discard(self) -> None:
        """Remove the bytes of what was prepared and will not be committed; all threads have ended."""
        while not self._ready.empty():
            for ready in self._ready.get() or ():
                if isinstance(ready.result, Prepared):
                    self._waiting.append((ready.position, ready.result))
        self._deposits.discard([prepared for _, prepared in self._waiting])

    def _take(self) -> list[_Drawn]:
        """Wait for an item, and take those that are there already; nothing when the items have ended or none is wanted.

        It waits for one only: the next may not come before this one is answered.
        """
        drawn: list[_Drawn] = []
        with suppress(queue.Empty):
            while len(drawn) < _TOGETHER:
                one = self._drawn.get_nowait() if drawn else self._drawn.get()
                if one is None:
                    self._drawn.put(None)  # for the other threads, too
                    break
                drawn.append(one)
        return [] if self._stopped.is_set() else drawn

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
            for ready in together:
                if isinstance(ready.result, Prepared):
                    self._waiting.append((ready.position, ready.result))
                    deadline = deadline or time.monotonic() + _GATHER_S
            for ready in together:
                if isinstance(ready.result, Deposited | KuraError):
                    yield ready.position, ready.result
                elif isinstance(ready.result, Exception):
                    raise ready.result

    def _all_are_waiting(self) -> bool:
        return self._has_ended and self._answered + len(self._waiting) == self._drawn_count

    def _is_done(self) -> bool:
        return self._all_are_waiting() and not self._waiting

    def _make_room(self) -> None:
        """Let as many be drawn as were answered."""
        if self._answered > self._given_room:
            self._room.release(self._answered - self._given_room)
            self._given_room = self._answered

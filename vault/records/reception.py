"""The reception: takes single records of many depositors; prepares together what waits, commits together what is ready.

reception = Reception(vault.deposits)
future = reception.deposit(order)   # a Deposited, durable, or the error
reception.close()                   # when all that was handed over is answered
"""

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

from vault.errors import KuraError
from vault.records.deposit import Deposits
from vault.records.deposited import Deposited, Outcome
from vault.records.order import Order
from vault.records.pipeline import Pipeline, Result
from vault.records.prepare import Prepared

_GROUP = 64  # records per commit, at most
_LINGER_S = 0.01  # a commit costs as much as several records: it waits so long for the half of those under way

Answer = Future[Deposited]


_Waiting = list[tuple[Answer, Prepared]]


class _Together:
    """Records that are to share a commit, until the last of them is prepared or answered."""

    def __init__(self, count: int) -> None:
        self._lock, self._left = threading.Lock(), count
        self._prepared: _Waiting = []

    def add(self, answer: Answer, result: Result) -> _Waiting:
        """Take what became of one; give all that are prepared when it was the last."""
        with self._lock:
            if isinstance(result, Prepared):
                self._prepared.append((answer, result))
            self._left -= 1
            return self._prepared if self._left == 0 else []


class Reception:
    """Takes records from any thread: small ones whole, large ones prepared in a thread of the caller's."""

    def __init__(self, deposits: Deposits) -> None:
        """Start the threads."""
        self._deposits = deposits
        self._lock, self._under_way = threading.Lock(), 0  # handed over and not answered
        self._ready: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()  # None: the end
        self._pipeline: Pipeline[tuple[Answer, _Together]] = Pipeline(deposits, self._hear)
        self._committing = threading.Thread(target=self._commit, name="committing", daemon=True)
        self._committing.start()

    def deposit(self, order: Order) -> Answer:
        """Take one record: the answer is a receipt, durable, or the error."""
        [answer] = self.deposit_together([order])
        return answer

    def deposit_together(self, orders: Sequence[Order]) -> list[Answer]:
        """Take several records, all that are good under one commit; an answer for each, in order."""
        together = _Together(len(orders))
        answers = [_answer() for _ in orders]
        self._count(len(orders))
        for answer, order in zip(answers, orders, strict=True):
            self._pipeline.submit((answer, together), order)
        return answers

    def prepare_and_deposit(self, order: Order) -> Deposited:
        """Take one record whose bytes this thread reads: whoever sends them may be slow, and stops nobody else.

        Raises:
            KuraError: as `Deposits.deposit`.
        """
        [prepared] = self._deposits.prepare_many([order])
        if isinstance(prepared, KuraError):
            raise prepared
        if isinstance(prepared, Deposited):
            return prepared
        answer = _answer()
        self._count(1)
        self._ready.put([(answer, prepared)])
        return answer.result()

    def close(self) -> None:
        """Answer all that was handed over, then end."""
        self._pipeline.close()
        self._ready.put(None)
        self._committing.join()

    def _hear(self, results: list[tuple[tuple[Answer, _Together], Result]]) -> None:
        ready: _Waiting = []
        for (answer, together), result in results:
            ready += together.add(answer, result)
            if not isinstance(result, Prepared):
                self._tell(answer, result)
        if ready:
            self._ready.put(ready)

    def _commit(self) -> None:
        is_last = False
        while not is_last:
            waiting, is_last = self._gather()
            if not waiting:
                continue
            try:
                outcomes: Sequence[Outcome | Exception] = self._deposits.commit([item for _, item in waiting])
            except Exception as error:  # noqa: BLE001 - a defect; told to whoever asked
                outcomes = [error for _ in waiting]
            for (answer, _), outcome in zip(waiting, outcomes, strict=True):
                self._tell(answer, outcome)

    def _gather(self) -> tuple[_Waiting, bool]:
        """Wait for what is ready, take what is there already, and linger for some of what is under way."""
        waiting: _Waiting = []
        deadline = 0.0
        with suppress(queue.Empty):
            while len(waiting) < _GROUP:
                rest_s = max(0.0, deadline - time.monotonic()) if 2 * len(waiting) < self._under_way else 0.0
                more = self._ready.get(timeout=rest_s) if waiting else self._ready.get()
                if more is None:
                    return waiting, True
                waiting += more
                deadline = deadline or time.monotonic() + _LINGER_S
        return waiting, False

    def _count(self, more: int) -> None:
        with self._lock:
            self._under_way += more

    def _tell(self, answer: Answer, outcome: Result) -> None:
        self._count(-1)
        if isinstance(outcome, Deposited):
            answer.set_result(outcome)
        elif isinstance(outcome, Exception):
            answer.set_exception(outcome)


def _answer() -> Answer:
    answer = Answer()
    answer.set_running_or_notify_cancel()  # nobody may cancel it: the record may be on its way into the ledger
    return answer

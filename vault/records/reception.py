"""The reception: takes single records of many depositors; what waits is prepared and committed together.

    reception = Reception(vault.deposits)
    future = reception.deposit(order)   # a Deposited, durable, or the error
    reception.close()                   # once all that was handed over is answered

Each thread takes what is there, and sees it through: while it works, the next group gathers. Handing records from
thread to thread on their way costs more than it gains.
"""

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

from vault.errors import KuraError
from vault.records.deposit import Deposits
from vault.records.deposited import Deposited
from vault.records.order import Order
from vault.records.prepare import Prepared

_THREADS = 2
_TOGETHER = 16  # single records that one thread takes at a time, at most

Answer = Future[Deposited]
_Waiting = list[tuple[Answer, Order]]


class Reception:
    """Takes records from any thread: small ones whole, large ones prepared in a thread of the caller's."""

    def __init__(self, deposits: Deposits) -> None:
        """Start the threads."""
        self._deposits = deposits
        self._orders: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()  # None: no more will come
        self._threads = [
            threading.Thread(target=self._work, name=f"reception-{number}", daemon=True) for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def deposit(self, order: Order) -> Answer:
        """Take one record: the answer is a receipt, durable, or the error."""
        [answer] = self.deposit_together([order])
        return answer

    def deposit_together(self, orders: Sequence[Order]) -> list[Answer]:
        """Take several records, all that are good under one commit; an answer for each, in order."""
        waiting = [(_answer(), order) for order in orders]
        if waiting:
            self._orders.put(waiting)
        return [answer for answer, _ in waiting]

    def prepare_and_deposit(self, order: Order) -> Deposited:
        """Take one record whose bytes this thread reads: whoever sends them may be slow, and stops nobody else.

        Raises:
            KuraError: as `Deposits.deposit`.
        """
        answer = _answer()
        self._see_through([(answer, order)])
        return answer.result()

    def close(self) -> None:
        """Answer all that was handed over, then end."""
        self._orders.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while taken := self._take():
            self._see_through(taken)

    def _take(self) -> _Waiting:
        """Wait for records, and take those that are there already; nothing when no more will come."""
        taken: _Waiting = []
        with suppress(queue.Empty):
            while len(taken) < _TOGETHER:
                more = self._orders.get_nowait() if taken else self._orders.get()
                if more is None:
                    self._orders.put(None)  # for the other threads, too
                    break
                taken += more
        return taken

    def _see_through(self, taken: _Waiting) -> None:
        """Prepare records, commit what is prepared, and answer everything."""
        try:
            results = self._deposits.prepare_many([order for _, order in taken])
            prepared: list[tuple[Answer, Prepared]] = []
            for (answer, _), result in zip(taken, results, strict=True):
                if isinstance(result, Prepared):
                    prepared.append((answer, result))
                else:
                    _tell(answer, result)
            outcomes = self._deposits.commit([one for _, one in prepared]) if prepared else []
            for (answer, _), outcome in zip(prepared, outcomes, strict=True):
                _tell(answer, outcome)
        except Exception as error:  # noqa: BLE001 - no database, or a defect; told to whoever asked
            for answer, _ in taken:
                if not answer.done():
                    answer.set_exception(error)


def _answer() -> Answer:
    answer = Answer()
    answer.set_running_or_notify_cancel()  # nobody may cancel it: the record may be on its way into the ledger
    return answer


def _tell(answer: Answer, outcome: Deposited | KuraError) -> None:
    if isinstance(outcome, Deposited):
        answer.set_result(outcome)
    else:
        answer.set_exception(outcome)

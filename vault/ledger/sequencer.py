"""The sequencer: runs changes in shared transactions, appends their events, and answers when all is durable.

Order of writes, and what a crash after each step leaves:
1. one transaction: the changes, each in a savepoint where there are several, then entries, tiles, heads, signed
   checkpoints – nothing is kept;
2. commit – the change is whole and durable, but nobody was told; a retry finds it;
3. the guard holds the new checkpoint outside the database – likewise;
4. the answer.
A change that fails takes down only itself. Throughput comes from sharing commits, not from risk.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from vault.errors import KuraError, UnavailableError
from vault.ledger.guard import Guard
from vault.ledger.log import Log, NextHead
from vault.ledger.transaction import Transaction
from vault.storage.database import writing
from vault.storage.tables import LedgerRow

T = TypeVar("T")
OUTCOME_UNKNOWN = frozenset({"commit-unknown", "guard-unwritable"})
"""Codes of errors after which a change may be durable all the same: whoever gets one must not clean up after it."""

_LINGER_S = 0.001  # a good commit's time
_MAX_BATCH = 256  # changes per commit: bounds how long the first one waits


@dataclass(frozen=True, slots=True)
class Appended:
    """One event of a change, with the durable checkpoint that covers it."""

    ledger_id: str
    index: int
    entry: bytes
    size: int
    note: str


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What a change returned, and the events it appended, in order."""

    value: T
    appended: tuple[Appended, ...]


@dataclass(slots=True)
class _Job:
    change: Callable[[Transaction], object]
    answer: Future[Done[object]] = field(default_factory=Future)
    value: object = None
    begin: int = 0
    end: int = 0


class Sequencer:
    """The one writer of all ledgers of a database."""

    def __init__(self, engine: Engine, logs: Iterable[Log], guard: Guard, *, max_batch: int = _MAX_BATCH) -> None:
        """Take up the logs; nothing is written before `start`."""
        self._engine = writing(engine)
        self._logs = {log.id: log for log in logs}
        self._guard = guard
        self._max_batch = max_batch
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._durable: queue.SimpleQueue[_Commit | None] = queue.SimpleQueue()
        self._stopped: KuraError | None = None
        self._threads = [
            threading.Thread(target=self._sequence, name="sequencer", daemon=True),
            threading.Thread(target=self._answer, name="sequencer-guard", daemon=True),
        ]

    def start(self) -> None:
        """Begin to take changes; what keeps the database from being opened is raised here."""
        # One connection for all: to take one from the pool and give it back costs as much as a small change.
        self._connection = self._engine.connect()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what was handed over, then end."""
        self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def log(self, ledger_id: str) -> Log:
        """Give a ledger."""
        return self._logs[ledger_id]

    def logs(self) -> list[Log]:
        """Give every ledger."""
        return list(self._logs.values())

    def halt(self, reason: KuraError) -> None:
        """Refuse every further change with `reason`: a ledger went back, or an outcome is unknown."""
        self._stopped = reason

    @property
    def halted(self) -> KuraError | None:
        """Why no change is taken, or None."""
        return self._stopped

    def resume(self) -> None:
        """Take changes again, after a recovery."""
        self._stopped = None

    def submit(self, change: Callable[[Transaction], T]) -> "Future[Done[T]]":
        """Hand over a change; the answer comes when it is durable, or with the error that refused it."""
        job = _Job(change)
        if self._stopped is not None:
            job.answer.set_exception(self._stopped)
        else:
            self._jobs.put(job)
        return job.answer  # type: ignore[return-value]  # a job forgets its type in the queue

    def run(self, change: Callable[[Transaction], T]) -> Done[T]:
        """Hand over a change and wait for it."""
        return self.submit(change).result()

    def _sequence(self) -> None:
        with self._connection as connection:
            expected, is_last = 1, False
            while not is_last:
                batch, is_last = self._gather(expected)
                if batch:
                    self._commit(connection, batch)
                expected = max(len(batch), expected - 1)
        self._durable.put(None)

    def _gather(self, expected: int) -> tuple[list[_Job], bool]:
        """Wait for a change, and take those that wait already; linger for as many as there were the last time.

        Whoever was answered with the last commit may be about to hand over the next change; one who is alone never
        waits.
        """
        batch: list[_Job] = []
        deadline = 0.0
        while len(batch) < self._max_batch:
            try:
                job = self._jobs.get_nowait() if batch else self._jobs.get()
            except queue.Empty:
                rest = deadline - time.monotonic()
                if len(batch) >= expected or rest <= 0:
                    break
                try:
                    job = self._jobs.get(timeout=rest)
                except queue.Empty:
                    break
            if job is None:
                return batch, True
            deadline = deadline or time.monotonic() + _LINGER_S
            batch.append(job)
        return batch, False

    def _commit(self, connection: Connection, batch: list[_Job]) -> None:
        heads: dict[str, NextHead] = {}
        pending: list[tuple[str, int, bytes]] = []
        logs = self._logs
        try:
            with connection.begin():
                transaction = Transaction(connection, self._logs)
                if len(batch) == 1:  # there is nobody to be kept apart from: what fails takes the transaction down
                    self._run_alone(batch[0], transaction)
                else:
                    batch = [job for job in batch if self._run_change(job, transaction)]
                pending, logs = transaction.pending, transaction.logs
                heads = transaction.write()
        except Exception as error:  # noqa: BLE001 - whatever it was, the waiting changes must be told
            with suppress(Exception):  # a commit that was refused leaves its transaction open
                connection.connection.rollback()
            if not self._is_committed(heads):
                self._fail(batch, self._stopped or error)
                return
        self._logs = logs
        for ledger_id, head in heads.items():
            logs[ledger_id].adopt(head)
        self._durable.put(_Commit(batch, pending, heads))

    def _run_alone(self, job: _Job, transaction: Transaction) -> None:
        if self._stopped is not None:
            raise self._stopped
        job.value = job.change(transaction)
        job.end = len(transaction.pending)

    def _run_change(self, job: _Job, transaction: Transaction) -> bool:
        if self._stopped is not None:
            job.answer.set_exception(self._stopped)
            return False
        mark = transaction.mark()
        job.begin = mark.count
        # Standard SQL through the driver: SQLAlchemy's own savepoint costs as much as the rest of a small change.
        savepoint = transaction.connection.connection.cursor()
        savepoint.execute("SAVEPOINT change")
        try:
            job.value = job.change(transaction)
        except Exception as error:  # noqa: BLE001 - whatever it was, it takes down this change only
            # A database out of room may have given up the whole transaction. Then there is nothing to return to: this
            # raises, as the release below does, and no change of this commit is kept.
            savepoint.execute("ROLLBACK TO SAVEPOINT change")
            savepoint.execute("RELEASE SAVEPOINT change")
            transaction.return_to(mark)
            job.answer.set_exception(_told(error))
            return False
        savepoint.execute("RELEASE SAVEPOINT change")
        job.end = len(transaction.pending)
        return True

    def _is_committed(self, heads: dict[str, NextHead]) -> bool:
        """Ask the database what became of a commit that raised; where it cannot say, stop for good."""
        if not heads:
            return False
        try:
            with self._engine.connect() as connection:
                sizes = dict(connection.execute(select(LedgerRow.id, LedgerRow.size)).all())
        except SQLAlchemyError:
            self.halt(UnavailableError("commit-unknown"))
            return False
        return all(sizes.get(ledger_id) == head.compact_range.size for ledger_id, head in heads.items())

    def _fail(self, batch: list[_Job], error: Exception) -> None:
        for job in batch:
            if not job.answer.done():
                job.answer.set_exception(_told(error))

    def _answer(self) -> None:
        is_last = False
        while not is_last:
            commits, is_last = self._drain()
            newest = {ledger_id: head.note for commit in commits for ledger_id, head in commit.heads.items()}
            try:
                for ledger_id, note in newest.items():
                    self._guard.store(ledger_id, note)
            except OSError as error:
                # The events are durable but not guarded: nobody is told, and nothing further is taken.
                self.halt(UnavailableError("guard-unwritable", reason=type(error).__name__))
                for commit in commits:
                    self._fail(commit.jobs, self._stopped or error)
                continue
            for commit in commits:
                commit.answer()

    def _drain(self) -> tuple[list["_Commit"], bool]:
        """Take all commits that wait: one write of the guard serves them all."""
        item = self._durable.get()
        commits: list[_Commit] = []
        while item is not None:
            commits.append(item)
            try:
                item = self._durable.get_nowait()
            except queue.Empty:
                return commits, False
        return commits, True


@dataclass(frozen=True, slots=True)
class _Commit:
    """A durable commit whose changes wait for the guard."""

    jobs: list[_Job]
    pending: list[tuple[str, int, bytes]]
    heads: dict[str, NextHead]

    def answer(self) -> None:
        """Tell every change what became of it."""
        for job in self.jobs:
            appended = tuple(
                Appended(ledger_id, index, entry, self.heads[ledger_id].checkpoint.size, self.heads[ledger_id].note)
                for ledger_id, index, entry in self.pending[job.begin : job.end]
            )
            job.answer.set_result(Done(job.value, appended))


def _told(error: Exception) -> KuraError:
    """What a waiting change is told: our own errors as they are, a database's as unavailable."""
    if isinstance(error, KuraError):
        return error
    told = UnavailableError(
        "commit-failed", reason="disk full" if "full" in str(error).lower() else type(error).__name__
    )
    told.__cause__ = error
    return told

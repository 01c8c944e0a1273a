"""The sequencer: runs changes in shared transactions, appends their events, and answers when all is durable.

Order of writes, and what a crash after each step leaves:
1. one transaction: the heads locked, the changes, each in a savepoint where there are several, then entries, tiles,
   heads, signed checkpoints – nothing is kept;
2. commit – the change is whole and durable, but nobody was told; a retry finds it;
3. the guard holds the new checkpoint outside the database – likewise;
4. the answer.
A change that fails takes down only itself. Throughput comes from sharing commits, not from risk. Several processes may
do this on one PostgreSQL database; what they append to the same ledger they append in turn.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from sqlalchemy import Engine

from vault.errors import IntegrityError, KuraError, UnavailableError
from vault.ledger.attempt import Attempt
from vault.ledger.batch import Appended, Commit, Done, Job, told
from vault.ledger.guard import Guard
from vault.ledger.ledgers import Ledgers, TakeUp
from vault.ledger.log import Log, NextHead
from vault.ledger.transaction import Transaction
from vault.ledger.writer import PATIENCE_S, OutcomeUnknownError, Writer

__all__ = ["OUTCOME_UNKNOWN", "Appended", "Done", "Sequencer"]

T = TypeVar("T")
OUTCOME_UNKNOWN = frozenset({"commit-unknown", "guard-unwritable"})
"""Codes of errors after which a change may be durable all the same: whoever gets one must not clean up after it."""

_LINGER_S = 0.001  # a good commit's time
_MAX_BATCH = 256  # changes per commit: bounds how long the first one waits
_ASK_AGAIN_S = 1.0  # what became of a commit, of a database that is away


class Sequencer:
    """The one writer of this process: of all ledgers, with others on the same database where it is shared."""

    def __init__(
        self,
        engine: Engine,
        logs: Iterable[Log],
        guard: Guard,
        *,
        take_up: TakeUp,
        max_batch: int = _MAX_BATCH,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Take up the logs; nothing is written before `start`.

        Args:
            engine: the database.
            logs: the ledgers that there are.
            guard: keeps every new checkpoint.
            take_up: makes the log of a ledger that another process opens.
            max_batch: changes per commit.
            patience_s: how long a shared database may be away before changes are told so.
        """
        self._engine, self._guard = engine, guard
        self._ledgers = Ledgers(engine, logs, guard, take_up)
        self._writer = Writer(engine, self._ledgers, lambda: self._stopped, self.halt, patience_s)
        self._max_batch = max_batch
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._durable: queue.SimpleQueue[Commit | None] = queue.SimpleQueue()
        self._stopped: KuraError | None = None
        self._unknown: tuple[Attempt, KuraError] | None = None
        self._threads = [
            threading.Thread(target=self._sequence, name="sequencer", daemon=True),
            threading.Thread(target=self._answer, name="sequencer-guard", daemon=True),
        ]

    def start(self) -> None:
        """Begin to take changes; what keeps the database from being opened is raised here."""
        # One connection for all: to take one from the pool and give it back costs as much as a small change.
        self._writer.connect()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what was handed over, then end."""
        self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def log(self, ledger_id: str) -> Log:
        """Give a ledger; KeyError where there is none such."""
        return self._ledgers.get(ledger_id)

    def logs(self) -> list[Log]:
        """Give every ledger."""
        return self._ledgers.all()

    def follow(self) -> None:
        """Bring the heads in memory up to the database, to which other processes write; what they appended is checked.

        Raises:
            IntegrityError: a ledger went back: everything is halted.
            UnavailableError: `database-away`.
        """
        if not self._ledgers.is_shared or self._stopped is not None:
            return
        try:
            with self._engine.connect() as connection:
                heads = self._ledgers.follow(connection)
        except IntegrityError as error:
            self.halt(error)
            raise
        except Exception as error:
            raise told(error) from error
        if heads:
            self._durable.put(Commit((), (), heads))

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write to the same database."""
        return self._ledgers.is_shared

    def read_again(self) -> None:
        """Take up every ledger from its rows, after a halt: for a recovery, which compares them anew."""
        self._ledgers.read_again()

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

    def submit(self, change: Callable[[Transaction], T], *ledger_ids: str) -> "Future[Done[T]]":
        """Hand over a change; the answer comes when it is durable, or with the error that refused it.

        Args:
            change: writes rows and appends events; it may be run several times before it is kept once.
            ledger_ids: the ledgers that it appends to, but for those that it opens itself.
        """
        job = Job(change, frozenset(ledger_ids))
        if self._stopped is not None:
            job.answer.set_exception(self._stopped)
        else:
            self._jobs.put(job)
        return job.answer  # type: ignore[return-value]  # a job forgets its type in the queue

    def run(self, change: Callable[[Transaction], T], *ledger_ids: str) -> Done[T]:
        """Hand over a change and wait for it; arguments as `submit`."""
        return self.submit(change, *ledger_ids).result()

    def _sequence(self) -> None:
        expected, is_last = 1, False
        while not is_last:
            batch, is_last = self._gather(expected)
            if self._unknown is not None:
                self._ask_again(*self._unknown)
            if batch:
                self._commit(batch)
            expected = max(len(batch), expected - 1)
        self._writer.close()
        self._durable.put(None)

    def _gather(self, expected: int) -> tuple[list[Job], bool]:
        """Wait for a change, and take those that wait already; linger for as many as there were the last time.

        Whoever was answered with the last commit may be about to hand over the next change; one who is alone never
        waits.
        """
        batch: list[Job] = []
        deadline = 0.0
        patience = None if self._unknown is None else _ASK_AGAIN_S
        while len(batch) < self._max_batch:
            try:
                job = self._jobs.get_nowait() if batch else self._jobs.get(timeout=patience)
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

    def _commit(self, batch: list[Job]) -> None:
        try:
            commit = self._writer.commit(batch)
        except OutcomeUnknownError as unknown:
            reason = UnavailableError("commit-unknown")
            self._unknown = unknown.attempt, reason
            self.halt(reason)
            unknown.attempt.fail(reason)
        else:
            if commit is not None:
                self._durable.put(commit)

    def _ask_again(self, attempt: Attempt, reason: KuraError) -> None:
        """Go on as soon as the outcome of a commit can be read: what was kept is taken over, and guarded."""
        if not self._ledgers.is_shared:  # of a file that came back nobody knows whether it is the same
            return
        with suppress(OutcomeUnknownError):
            if self._writer.was_committed(attempt):
                self._durable.put(attempt.take_over())
            self._unknown = None
            if self._stopped is reason:
                self._stopped = None

    def _answer(self) -> None:
        guarded: dict[str, int] = {}
        is_last = False
        while not is_last:
            commits, is_last = self._drain()
            try:
                for ledger_id, head in _newest(commits).items():
                    if head.checkpoint.size > guarded.get(ledger_id, 0):  # a follower may tell of what is older
                        self._guard.store(ledger_id, head.note)
                        guarded[ledger_id] = head.checkpoint.size
            except OSError as error:
                # The events are durable but not guarded: nobody is told, and nothing further is taken.
                self.halt(UnavailableError("guard-unwritable", reason=type(error).__name__))
                for commit in commits:
                    for job in commit.jobs:
                        job.fail(self._stopped or error)
                continue
            for commit in commits:
                commit.answer()

    def _drain(self) -> tuple[list[Commit], bool]:
        """Take all commits that wait: one write of the guard serves them all."""
        item = self._durable.get()
        commits: list[Commit] = []
        while item is not None:
            commits.append(item)
            try:
                item = self._durable.get_nowait()
            except queue.Empty:
                return commits, False
        return commits, True


def _newest(commits: Iterable[Commit]) -> dict[str, NextHead]:
    newest: dict[str, NextHead] = {}
    for commit in commits:
        for ledger_id, head in commit.heads.items():
            if ledger_id not in newest or head.checkpoint.size > newest[ledger_id].checkpoint.size:
                newest[ledger_id] = head
    return newest

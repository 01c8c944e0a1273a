"""One attempt at committing a batch: lock, run, write, commit; and what became of it where the answer was lost.

A change that fails takes down only itself: several are run together first, without anything between them, and where one
of them fails all are run again, each in a savepoint. One that meets a row which another process wrote after it had
looked is run again, and then sees that row: what it says of it is its own refusal.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Text, bindparam, cast, func, literal_column, select

from vault.errors import KuraError, UnavailableError
from vault.ledger.batch import Commit, Job
from vault.ledger.ledgers import Ledgers
from vault.ledger.log import Log, NextHead
from vault.ledger.transaction import Transaction
from vault.storage.losses import is_passing, is_taken
from vault.storage.statement import Statement
from vault.storage.tables import CheckpointRow

_LOOKS = 3  # at rows that other processes write, too
_ID = Statement(select(cast(func.pg_current_xact_id(), Text)))
_STATUS = Statement(select(func.pg_xact_status(cast(bindparam("id"), Text).op("::")(literal_column("xid8")))))
_NOTE = Statement(
    select(CheckpointRow.note).where(
        CheckpointRow.ledger_id == bindparam("ledger"), CheckpointRow.size == bindparam("size")
    )
)

Stopped = Callable[[], KuraError | None]
"""Says why no change is taken, or None."""


class NotTogetherError(Exception):
    """One of several changes failed: run them again, kept apart."""


class Attempt:
    """Runs a batch in one transaction. Used once: another attempt at the same batch is another object."""

    def __init__(self, ledgers: Ledgers, jobs: Sequence[Job], *, apart: bool) -> None:
        """Begin with nothing done; `apart` keeps each change in a savepoint, which costs as much as a small change."""
        self._ledgers, self._jobs, self._apart = ledgers, jobs, apart
        self._kept: list[Job] = []
        self._refused: list[tuple[Job, Exception]] = []
        self._pending: list[tuple[str, int, bytes]] = []
        self._logs: dict[str, Log] = {}
        self._heads: dict[str, NextHead] = {}
        self._transaction_id: str | None = None
        self.was_sent = False
        """Whether the database was asked to commit: before that, whatever happens, nothing is kept."""

    def run(self, connection: Connection, *, stopped: Stopped) -> None:
        """Run every change and commit. Whatever is raised ends the whole attempt.

        Raises:
            FarBehindError: follow the ledgers, then attempt it again.
            NotTogetherError: attempt it again, apart.
            KuraError: of a change that is alone; or a ledger went back.
        """
        with connection.begin() as begun:
            logs, self._transaction_id = self._ledgers.locked(
                connection, {ledger_id for job in self._jobs for ledger_id in job.ledger_ids}
            )
            if self._ledgers.is_shared and self._transaction_id is None:
                [self._transaction_id] = _ID.first(connection, {}) or (None,)
            transaction = Transaction(connection, logs)
            if len(self._jobs) == 1:  # there is nobody to be kept apart from: what fails takes the transaction down
                self._run_alone(self._jobs[0], transaction, stopped)
            else:
                for job in self._jobs:
                    if self._apart:
                        self._run_apart(job, transaction, stopped)
                    else:
                        self._run_together(job, transaction, stopped)
            self._pending, self._logs = transaction.pending, transaction.logs
            self._heads = transaction.write()
            self.was_sent = True
            begun.commit()

    def finish(self) -> Commit:
        """Take over what is durable now; tell those that were refused. Give what the guard must hold before others."""
        self.take_over()
        for job, error in self._refused:
            job.fail(error)
        return Commit(self._kept, self._pending, self._heads)

    def take_over(self) -> Commit:
        """Take over what is durable after all, when everybody has been told that nobody knows."""
        self._ledgers.adopt(self._logs)
        for ledger_id, head in self._heads.items():
            self._logs[ledger_id].adopt(head)
        return Commit((), (), self._heads)

    def fail(self, error: Exception) -> None:
        """Tell every change that nothing was kept, each its own reason where it has one."""
        refused = {id(job): own for job, own in self._refused}
        for job in self._jobs:
            job.fail(refused.get(id(job), error))

    def was_committed(self, connection: Connection) -> bool:
        """Ask on another connection what became of an attempt that was sent, and whose answer was lost.

        A head is told by its note: signatures are the same for the same content only.

        Raises:
            UnavailableError: `commit-unknown`: the old connection's transaction has not ended yet.
        """
        if self._transaction_id is not None:
            status = (_STATUS.first(connection, {"id": self._transaction_id}) or (None,))[0]
            if status == "in progress":
                raise UnavailableError("commit-unknown")
            if not self._heads:
                return bool(status == "committed")
        notes = {
            ledger_id: _NOTE.first(connection, {"ledger": ledger_id, "size": head.checkpoint.size})
            for ledger_id, head in self._heads.items()
        }
        return bool(notes) and all(notes[ledger_id] == (head.note,) for ledger_id, head in self._heads.items())

    def _run_alone(self, job: Job, transaction: Transaction, stopped: Stopped) -> None:
        if (reason := stopped()) is not None:
            raise reason
        job.value = job.change(transaction)
        job.begin, job.end = 0, len(transaction.pending)
        self._kept.append(job)

    def _run_together(self, job: Job, transaction: Transaction, stopped: Stopped) -> None:
        if stopped() is not None:
            raise NotTogetherError
        job.begin = len(transaction.pending)
        try:
            job.value = job.change(transaction)
        except Exception as error:
            if is_passing(error):
                raise
            raise NotTogetherError from error
        job.end = len(transaction.pending)
        self._kept.append(job)

    def _run_apart(self, job: Job, transaction: Transaction, stopped: Stopped) -> None:
        if (reason := stopped()) is not None:
            self._refused.append((job, reason))
            return
        mark = transaction.mark()
        job.begin = mark.count
        # Standard SQL through the driver: SQLAlchemy's own savepoint costs as much as the rest of a small change.
        savepoint = transaction.connection.connection.cursor()
        for looks_left in reversed(range(_LOOKS)):
            savepoint.execute("SAVEPOINT change")
            try:
                job.value = job.change(transaction)
            except Exception as error:
                if is_passing(error):
                    raise  # no change of this transaction can be kept: all are run again in another
                # A database out of room may have given up the whole transaction. Then there is nothing to return to:
                # this raises, as the release below does, and no change of this commit is kept.
                savepoint.execute("ROLLBACK TO SAVEPOINT change")
                savepoint.execute("RELEASE SAVEPOINT change")
                transaction.return_to(mark)
                if is_taken(error) and looks_left:
                    continue
                self._refused.append((job, error))
                return
            savepoint.execute("RELEASE SAVEPOINT change")
            job.end = len(transaction.pending)
            self._kept.append(job)
            return

"""Leases: of several processes on one database, one at a time does a job that is everybody's.

A lease is a row that ends by itself: a holder that was killed stands in nobody's way for longer than `LEASE_S`. Time is
the database's, so the clocks of the machines do not matter. What a lease saves is work, and nothing rests on it: a
holder that stood still for longer than its lease may do the job beside its successor, and every job is harmless then.
A database in a file has one owner, who needs no lease.
"""

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select, update

from vault.errors import ConflictError, KuraError
from vault.ledger.sequencer import Sequencer
from vault.ledger.transaction import Transaction
from vault.storage.tables import LeaseRow

LEASE_S = 60.0
_RENEWALS = 3  # in the time of a lease


class Leases:
    """Takes leases for the owner of one folder. Safe to use from several threads, each for jobs of its own."""

    def __init__(self, sequencer: Sequencer, holder: str, lease_s: float = LEASE_S) -> None:
        """Hold nothing yet.

        Args:
            sequencer: of the database.
            holder: names the folder, not the process: who is started again after a kill has its leases still.
            lease_s: how long a lease lasts that is not renewed.
        """
        self._sequencer, self._holder, self._lease = sequencer, holder, timedelta(seconds=lease_s)

    @contextmanager
    def held(self, job: str) -> Iterator[bool]:
        """Hold a job's lease while it is done, renewed as long as that takes; False where another process does it.

        Raises:
            UnavailableError: the database cannot say.
        """
        if not self._sequencer.is_shared:
            yield True
            return
        if not self._take(job):
            yield False
            return
        release = self._keep(job, lambda: None)
        try:
            yield True
        finally:
            release()

    def owned(self, what: str, lost: Callable[[], object]) -> Callable[[], None]:
        """Hold for as long as this process runs what only one may have; give what releases it.

        Args:
            what: the lease.
            lost: called where another took it after all: the database was away for longer than it lasts.

        Raises:
            ConflictError: `keys-owned`: another has it.
        """
        try:
            is_mine = self._take(what)
        except KuraError:  # a halted vault takes no lease: it is tried again while it runs
            is_mine = True
        if not is_mine:
            raise ConflictError("keys-owned")
        return self._keep(what, lost)

    def _keep(self, job: str, lost: Callable[[], object]) -> Callable[[], None]:
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(job, ended, lost), name="lease", daemon=True)
        renewing.start()

        def release() -> None:
            ended.set()
            renewing.join()
            with suppress(KuraError):  # what is not released ends by itself
                self._release(job)

        return release

    def _renew(self, job: str, ended: threading.Event, lost: Callable[[], object]) -> None:
        while not ended.wait(self._lease.total_seconds() / _RENEWALS):
            with suppress(KuraError):  # the database is away: the next renewal may be in time
                if not self._take(job):
                    lost()
                    return

    def _take(self, job: str) -> bool:
        def change(transaction: Transaction) -> bool:
            connection = transaction.connection
            until = _now(connection) + self._lease
            row = connection.execute(
                select(LeaseRow.holder, LeaseRow.until).where(LeaseRow.job == job).with_for_update()
            ).first()
            if row is None:  # whoever else finds it so at this moment runs this again, and finds the lease taken
                connection.execute(insert(LeaseRow), [{"job": job, "holder": self._holder, "until": until}])
                return True
            if row.holder != self._holder and row.until > until - self._lease:
                return False
            taken = update(LeaseRow).where(LeaseRow.job == job).values(holder=self._holder, until=until)
            connection.execute(taken)
            return True

        return self._sequencer.run(change).value

    def _release(self, job: str) -> None:
        mine = delete(LeaseRow).where(LeaseRow.job == job, LeaseRow.holder == self._holder)
        self._sequencer.run(lambda transaction: transaction.connection.execute(mine).rowcount)


def holder_of(folder: Path) -> str:
    """Name this folder among all that reach the database; a copy of it has another name."""
    place = folder.resolve()
    return hashlib.sha256(f"{socket.gethostname()}\n{place}\n{place.stat().st_ino}".encode()).hexdigest()


def _now(connection: Connection) -> datetime:
    """The database's clock; microseconds since 1970, as instants are stored."""
    seconds = connection.scalar(select(func.extract("epoch", func.clock_timestamp())))
    return datetime.fromtimestamp(float(seconds or 0), UTC)

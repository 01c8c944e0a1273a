"""Leases: of several processes on one database, one at a time does a job that is everybody's.

A lease is a row that ends by itself: a holder that was killed stands in nobody's way for longer than `LEASE_S`. Time is
the database's, so the clocks of the machines do not matter. What a lease saves is work, and nothing rests on it: a
holder that stood still for longer than its lease may do the job beside its successor, and every job is harmless then.
A database in a file has one owner, who needs no lease.
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select, update

from vault.errors import KuraError
from vault.ledger.sequencer import Sequencer
from vault.ledger.transaction import Transaction
from vault.storage.tables import LeaseRow

LEASE_S = 60.0
_RENEWALS = 3  # in the time of a lease


class Leases:
    """Takes leases for one process. Safe to use from several threads, each for jobs of its own."""

    def __init__(self, sequencer: Sequencer, lease_s: float = LEASE_S) -> None:
        """Hold nothing yet."""
        self._sequencer, self._lease = sequencer, timedelta(seconds=lease_s)
        self._holder = secrets.token_hex(16)

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
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(job, ended), name="lease", daemon=True)
        renewing.start()
        try:
            yield True
        finally:
            ended.set()
            renewing.join()
            with suppress(KuraError):  # what is not released ends by itself
                self._release(job)

    def _renew(self, job: str, ended: threading.Event) -> None:
        while not ended.wait(self._lease.total_seconds() / _RENEWALS):
            with suppress(KuraError):  # the database is away: the next renewal may be in time
                self._take(job)

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


def _now(connection: Connection) -> datetime:
    """The database's clock; microseconds since 1970, as instants are stored."""
    seconds = connection.scalar(select(func.extract("epoch", func.clock_timestamp())))
    return datetime.fromtimestamp(float(seconds or 0), UTC)

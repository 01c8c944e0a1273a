"""The one connection on which a process writes, remade when it is lost; and batches that outlive a lost one.

What is done where a commit does not answer:
- nothing was sent yet: nothing is kept; the batch is run again on a new connection;
- the commit was sent: its outcome is read on a new connection, and a batch that was not kept is run again;
- nothing can be read within the patience: the outcome is unknown, and nothing further may be taken until it is known.
A deposit that was under way while the database restarted gets its receipt afterwards.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from sqlalchemy import Connection, Engine

from vault.errors import IntegrityError, KuraError, UnavailableError
from vault.ledger.attempt import Attempt, NotTogetherError, Stopped
from vault.ledger.batch import Commit, Job
from vault.ledger.ledgers import FarBehindError, Ledgers
from vault.storage.database import writing
from vault.storage.losses import is_passing, is_taken

AWAY_FOR = 2.0
"""How long a database may be away before a change is told so: so many times as long as one statement may take."""

PATIENCE_S = AWAY_FOR * 30.0

_TRIES = 20  # of one batch: others' transactions may be in its way, but not for ever
_PAUSE_S = 0.25  # between attempts to connect

WENT_BACK = frozenset({"ledger-went-back", "ledger-beside"})
"""Codes that say: the database does not continue what this process knew of a ledger."""


class OutcomeUnknownError(Exception):
    """Nobody can say yet whether an attempt was kept."""

    def __init__(self, attempt: Attempt) -> None:
        """Keep the attempt, to ask again later."""
        super().__init__()
        self.attempt = attempt


class Writer:
    """Commits batches, one after the other. Used by one thread."""

    def __init__(
        self,
        engine: Engine,
        ledgers: Ledgers,
        stopped: Stopped,
        halt: Callable[[KuraError], None],
        patience_s: float,
    ) -> None:
        """Write to this database; nothing is opened before `connect`.

        Args:
            engine: the database.
            ledgers: what is appended to.
            stopped: says why no change is taken, or None.
            halt: called where a ledger went back.
            patience_s: how long a database that went away is waited for.
        """
        self._engine, self._ledgers = writing(engine), ledgers
        self._stopped, self._halt = stopped, halt
        self._patience_s = patience_s if ledgers.is_shared else 0.0  # a file comes back by nobody's waiting
        self._connection: Connection | None = None
        self._away_since: float | None = None

    def connect(self) -> Connection:
        """Give the connection; waits for a database that is away, within the patience.

        Raises:
            UnavailableError: `database-away`.
        """
        while self._connection is None:
            try:
                self._connection = self._engine.connect()
            except Exception as error:
                if not is_passing(error):
                    raise
                self._wait(error)
        return self._connection

    def close(self) -> None:
        """Let go of the connection."""
        self._lose()

    def commit(self, jobs: Sequence[Job]) -> Commit | None:
        """Commit a batch; None where nothing was kept, and everybody was told why.

        Raises:
            OutcomeUnknownError: it may have been kept. Nobody was told.
        """
        tries_left, apart = _TRIES, False
        while True:
            attempt, tries_left = Attempt(self._ledgers, jobs, apart=apart), tries_left - 1
            try:
                self._run(attempt)
            except NotTogetherError:
                apart = True
            except Exception as error:  # noqa: BLE001 - whatever it was, the waiting changes must be told
                if attempt.was_sent and self.was_committed(attempt):
                    return attempt.finish()
                again = is_passing(error) or is_taken(error) or isinstance(error, FarBehindError)
                if again and tries_left and self._stopped() is None:
                    continue
                if isinstance(error, IntegrityError) and error.code in WENT_BACK:
                    self._halt(error)
                attempt.fail(self._stopped() or error)
                return None
            else:
                return attempt.finish()

    def was_committed(self, attempt: Attempt) -> bool:
        """Find out what became of an attempt whose answer was lost, within the patience.

        Raises:
            OutcomeUnknownError: it could not be read, or is still under way.
        """
        self._lose()
        self._away_since = self._away_since or time.monotonic()
        while True:
            try:
                was_committed = attempt.was_committed(self.connect())
            except Exception as error:
                is_under_way = isinstance(error, UnavailableError) and error.code == "commit-unknown"
                if self._is_over() or not (is_under_way or is_passing(error)):
                    raise OutcomeUnknownError(attempt) from error
                if is_under_way:
                    time.sleep(_PAUSE_S)
                else:
                    self._lose()
            else:
                self._away_since = None
                return was_committed

    def _run(self, attempt: Attempt) -> None:
        try:
            attempt.run(self.connect(), stopped=self._stopped)
        except FarBehindError:
            self._ledgers.follow(self.connect())
            raise
        except Exception as error:
            if is_passing(error):
                self._lose()
            raise
        self._away_since = None

    def _lose(self) -> None:
        """Give up the connection, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _discard(connection)

    def _wait(self, error: Exception) -> None:
        """Wait a moment for a database that is away."""
        if self._away_since is None:
            self._away_since = time.monotonic()
        if self._is_over():
            raise UnavailableError("database-away", reason=type(error).__name__) from None  # not passing any more
        time.sleep(_PAUSE_S)

    def _is_over(self) -> bool:
        """Whether the database has been away for longer than anybody waits."""
        return self._away_since is None or time.monotonic() - self._away_since > self._patience_s


def _discard(connection: Connection) -> None:
    """End a connection instead of giving it back: nobody else may be handed one that is lost."""
    with suppress(Exception):  # it cannot be worse than lost
        connection.invalidate()
    with suppress(Exception):
        connection.close()

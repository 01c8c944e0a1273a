"""Changes that wait for a commit, and what each is told: its value and its events, or why it was refused."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from vault.errors import KuraError, UnavailableError
from vault.ledger.log import NextHead
from vault.ledger.transaction import Transaction
from vault.storage.losses import is_passing

T = TypeVar("T")


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
class Job:
    """A change that was handed over, with the ledgers it appends to. It may be run several times, and is kept once."""

    change: Callable[[Transaction], object]
    ledger_ids: frozenset[str]
    answer: Future[Done[object]] = field(default_factory=Future)
    value: object = None
    begin: int = 0
    end: int = 0

    def fail(self, error: Exception) -> None:
        """Tell that nothing of it was kept."""
        self.answer.set_exception(told(error))


@dataclass(frozen=True, slots=True)
class Commit:
    """A durable commit whose changes wait for the guard."""

    jobs: Sequence[Job]
    pending: Sequence[tuple[str, int, bytes]]
    heads: Mapping[str, NextHead]

    def answer(self) -> None:
        """Tell every change what became of it."""
        for job in self.jobs:
            appended = tuple(
                Appended(ledger_id, index, entry, self.heads[ledger_id].checkpoint.size, self.heads[ledger_id].note)
                for ledger_id, index, entry in self.pending[job.begin : job.end]
            )
            job.answer.set_result(Done(job.value, appended))


def told(error: Exception) -> KuraError:
    """What a waiting change is told: our own errors as they are, a database's as unavailable."""
    if isinstance(error, KuraError):
        return error
    reason = type(error).__name__
    if is_passing(error):
        unavailable = UnavailableError("database-away", reason=reason)
    else:
        unavailable = UnavailableError("commit-failed", reason="disk full" if "full" in str(error).lower() else reason)
    unavailable.__cause__ = error
    return unavailable

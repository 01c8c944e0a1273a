"""Errors of PostgreSQL after which the same transaction may succeed when it is run again. SQLite has none of them."""

import psycopg
from psycopg import errors

from vault.errors import UnavailableError

_NO_ROOM = (errors.DiskFull, errors.OutOfMemory, errors.ConfigurationLimitExceeded, errors.QueryCanceled)
_ALSO_PASSING = (
    psycopg.InterfaceError,  # the connection was closed before
    errors.IdleInTransactionSessionTimeout,  # this process stood still while it held locks
    errors.ReadOnlySqlTransaction,  # a standby that has not taken over yet
)


def is_passing(error: BaseException) -> bool:
    """Tell whether the connection was lost or could not be made, or the server gave the transaction up for another."""
    cause = _cause(error)
    if isinstance(cause, psycopg.OperationalError):
        return not isinstance(cause, _NO_ROOM)
    return isinstance(cause, _ALSO_PASSING)


def is_taken(error: BaseException) -> bool:
    """Tell whether another transaction wrote the same key since this one looked for it."""
    return isinstance(_cause(error), errors.UniqueViolation)


def _cause(error: BaseException) -> BaseException:
    """Give the driver's own error, which SQLAlchemy wraps, or which we have said to be a database that is away."""
    if isinstance(error, UnavailableError) and error.__cause__ is not None:
        return error.__cause__
    return getattr(error, "orig", None) or error

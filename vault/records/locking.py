"""Locks of objects in engines: born short, extended to the disposal day once a row names the object.

The queue is the rows themselves (`locked_until < lock_wanted`), worked off in the background. Every step may be
repeated: a lock that is long enough already stays as it is.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, func, select, update

from retention.periods import JST
from vault.errors import KuraError
from vault.ledger.transaction import Transaction
from vault.records.ground import Ground
from vault.records.placement import KEPT
from vault.service_log import service_log
from vault.storage.objects import LAST_LOCK, Address
from vault.storage.tables import BucketRow, CopyRow, EnvelopeRow, ObjectRow, RecordRow

ROLLING = timedelta(days=400)
"""How long ahead an object is locked whose disposal day is not known, or lies beyond what an engine can be told."""
_RENEWED_BEFORE = timedelta(days=370)
_PER_ROUND = 256
_THREADS = 8


def wanted_lock(scope: str, now: datetime) -> datetime:
    """Say until when the objects of a bucket are to be locked: to the start of its disposal day, Japanese time.

    Args:
        scope: the bucket's.
        now: present instant, from which a rolling lock counts.
    """
    try:
        start = datetime.combine(date.fromisoformat(scope), time.min, JST).astimezone(UTC)
    except ValueError:  # "trigger:…": the day is not known yet
        return now + ROLLING
    return start if start <= LAST_LOCK else now + ROLLING


@dataclass(frozen=True, slots=True)
class LockQueue:
    """Locks still to be extended.

    Attributes:
        length: how many.
        oldest_s: for how long the oldest has waited, in seconds.
        is_late: whether it has waited for more than half of the time for which objects are born locked.
    """

    length: int
    oldest_s: float
    is_late: bool


def lock_queue(ground: Ground) -> LockQueue:
    """Say how many locks wait, and for how long; changes nothing."""
    with ground.engine.connect() as connection:
        query = select(func.count(), func.min(CopyRow.written_at), func.min(CopyRow.locked_until)).where(
            CopyRow.locked_until < CopyRow.lock_wanted
        )
        length, oldest, until = connection.execute(query).one()
    if oldest is None or until is None:
        return LockQueue(0, 0.0, is_late=False)
    now = ground.clock()
    is_late = now - oldest > (until - oldest) / 2
    return LockQueue(length, (now - oldest).total_seconds(), is_late=is_late)


def extend_locks(ground: Ground, is_over: Callable[[], bool] = lambda: False) -> int:
    """Extend the oldest of what waits, so many that it takes a moment; give how many were.

    Args:
        ground: the vault's.
        is_over: asked before each; once it says yes the rest waits on.
    """
    waiting = _waiting(ground)
    with ThreadPoolExecutor(_THREADS) as pool:
        outcomes = list(pool.map(lambda row: None if is_over() else _extended(ground, row), waiting))
    done = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    _note(ground, done)
    for code, count in Counter(outcome.code for outcome in outcomes if isinstance(outcome, KuraError)).items():
        service_log().warning("locks-not-extended", code=code, count=count)
    return len(done)


def renew_rolling(ground: Ground) -> int:
    """Ask for longer locks where a disposal day is still not known; give how many. The queue does the rest."""
    now, renewed = ground.clock(), 0
    with ground.engine.connect() as connection:
        query = (
            select(CopyRow.object_name, CopyRow.store, BucketRow.scope)
            .join(ObjectRow, ObjectRow.name == CopyRow.object_name)
            .join(RecordRow, RecordRow.id == ObjectRow.record_id)
            .join(EnvelopeRow, EnvelopeRow.id == RecordRow.envelope_id)
            .join(BucketRow, BucketRow.id == EnvelopeRow.bucket_id)
            .where(CopyRow.lock_wanted < now + _RENEWED_BEFORE, CopyRow.state == KEPT)
        )
        rows = connection.execute(query).all()
    wanted = [
        {"name": row.object_name, "place": row.store, "wanted": wanted_lock(row.scope, now)}
        for row in rows
        if wanted_lock(row.scope, now) >= now + _RENEWED_BEFORE
    ]
    for first in range(0, len(wanted), _PER_ROUND):
        _change(ground, {"lock_wanted": bindparam("wanted")}, wanted[first : first + _PER_ROUND])
        renewed += len(wanted[first : first + _PER_ROUND])
    return renewed


def _waiting(ground: Ground) -> list[Row[Any]]:
    query = (
        select(CopyRow.object_name, CopyRow.store, CopyRow.version, CopyRow.lock_wanted)
        .where(CopyRow.locked_until < CopyRow.lock_wanted)
        .order_by(CopyRow.written_at)
        .limit(_PER_ROUND)
    )
    with ground.engine.connect() as connection:
        return list(connection.execute(query))


def _extended(ground: Ground, row: Row[Any]) -> dict[str, Any] | KuraError:
    """Extend one lock; the error where it could not be, and then it waits on."""
    try:
        until = ground.stores[row.store].lock(Address(row.object_name, row.version), row.lock_wanted)
    except KuraError as error:
        return error
    return {"name": row.object_name, "place": row.store, "until": until}


def _note(ground: Ground, done: list[dict[str, Any]]) -> None:
    # A crash before this asks for the same locks again.
    if done:
        _change(ground, {"locked_until": bindparam("until")}, done)


def _change(ground: Ground, values: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    statement = (
        update(CopyRow.__table__)  # type: ignore[arg-type]  # many rows by one statement: not the mapped class
        .where(CopyRow.object_name == bindparam("name"), CopyRow.store == bindparam("place"))
        .values(values)
    )

    def change(transaction: Transaction) -> None:
        transaction.connection.execute(statement, rows)

    ground.sequencer.run(change)

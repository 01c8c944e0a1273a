"""Trying an engine's promises on scratch objects: what locks are worth is seen by what still stands, not by answers.

Lookalikes accept lock headers and ignore them, or let a lock be shortened. Whoever does so holds no record.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from minio.commonconfig import COMPLIANCE, GOVERNANCE

from vault.errors import KuraError, NotFoundError, RefusedError, UnavailableError
from vault.storage.objects import Address, Facts
from vault.storage.s3_errors import unfaithful
from vault.storage.s3_spool import Spool

if TYPE_CHECKING:
    from vault.storage.s3 import S3Store

SCRATCH = "kura-probe-"
"""What the names of scratch objects begin with; no object of a record has such a name."""

_LOCK, _SHORTER = timedelta(seconds=60), timedelta(seconds=20)
_CLOCK_S = 5.0
_BYTES = b"kura tries whether this stays"


def probe(store: "S3Store") -> bool:
    """Try a bucket; give whether its locks were proven.

    They are not where no user of ours may delete even what is not locked: then the engine's own rights keep the
    objects, and nothing is known of its locks.

    Raises:
        IntegrityError: a promise is not kept.
        RefusedError: the clocks differ by more than five seconds, or the bucket keeps no versions or knows no locks.
        UnavailableError: the engine is away, or a right is missing that depositing needs.
    """
    store.require_there()
    _require_clock(store)
    for address, _ in list(store.wire.versions(SCRATCH)):  # of earlier probes
        with suppress(KuraError):
            store.disposer.delete(address)
    until = datetime.now(UTC).replace(microsecond=0) + _LOCK  # noqa: TID251 - an engine's lock runs by real time
    locked = _put(store, until)
    if _facts(store, locked).locked_until != until:
        raise unfaithful(store.label, "lock")
    for wire in (store.wire, store.disposer):
        _try(lambda wire=wire: wire.delete(locked))  # type: ignore[misc]  # a default argument
        _require_locked(store, locked, until, "deletion of a locked object")
    _try(lambda: store.wire.lock(locked, until - _LOCK + _SHORTER, COMPLIANCE))
    _require_locked(store, locked, until, "shortening of a lock")
    _try(lambda: store.wire.lock(locked, until, GOVERNANCE))
    _require_locked(store, locked, until, "loosening of a lock")
    free = _put(store, None)
    _try(lambda: store.disposer.delete(free))
    try:
        store.wire.stat(free)
    except NotFoundError:
        return True
    return False


def _require_clock(store: "S3Store") -> None:
    before = datetime.now(UTC)  # noqa: TID251 - two clocks are compared
    theirs = store.wire.now()
    after = datetime.now(UTC)  # noqa: TID251 - as above
    # Their answer is cut to the second, and was given at some moment between ours.
    behind, ahead = (before - theirs).total_seconds() - 1, (theirs - after).total_seconds()
    if max(behind, ahead) > _CLOCK_S:
        raise RefusedError("store-clock-differs", store=store.label, seconds=round(max(behind, ahead)))


def _put(store: "S3Store", until: datetime | None) -> Address:
    spool = Spool(Path(), len(_BYTES), store.label)
    spool.write(_BYTES)
    return store.wire.put(SCRATCH + secrets.token_hex(12), spool, until)[0]


def _facts(store: "S3Store", address: Address) -> Facts:
    try:
        return store.wire.stat(address)
    except NotFoundError as error:
        raise unfaithful(store.label, "deletion of a locked object") from error


def _require_locked(store: "S3Store", address: Address, until: datetime, what: str) -> None:
    found = _facts(store, address).locked_until
    if found is None or found < until:
        raise unfaithful(store.label, what)


def _try(forbidden: Callable[[], object]) -> None:
    """Ask for what must be refused; what became of it is looked at afterwards. No answer is no trial."""
    try:
        forbidden()
    except UnavailableError as error:
        if error.code != "store-denied":
            raise
    except KuraError:
        return

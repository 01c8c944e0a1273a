"""How an opened vault stands: facts and numbers for whoever looks after it; they hold nothing of any record."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from retention.periods import trigger_date
from vault.errors import KuraError, UnavailableError
from vault.records.buckets import wanted_ahead
from vault.records.engines import DATABASE, missing_engines
from vault.records.ground import Contract, Ground
from vault.records.healing import owed_count
from vault.records.locking import LockQueue, lock_queue
from vault.records.orphans import find_orphans
from vault.sealing.bucket import BucketId
from vault.storage.objects import ObjectStore
from vault.storage.tables import BucketRow, RecordRow

BUCKET_ALARM_DAYS = 7
"""A sealed vault that can take deposits for fewer days than this needs its custodians soon."""


@dataclass(frozen=True, slots=True)
class ContractHealth:
    """One contract: its records, and for how many days beside today buckets stand ready (-1: not even today)."""

    id: str
    record_count: int
    bucket_days_ahead: int


@dataclass(frozen=True, slots=True)
class LedgerHealth:
    """One ledger, open or closed by a recovery."""

    id: str
    contract_id: str | None
    is_open: bool
    size: int
    vkey: str


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """One object store: why it takes and gives nothing now, or None."""

    label: str
    problem: KuraError | None


@dataclass(frozen=True, slots=True)
class Health:
    """How a vault stands.

    Attributes:
        is_sealed: whether custodians must open it before anything can be found or read.
        halted: why it takes no changes, or None.
        missing: engines that do not answer. Without the database nothing is known of contracts and orphans; without a
            store nothing of orphans.
        orphan_count: stored objects that no row names, of any age.
        stores: each, in the settings' order.
        owed_copies: copies still to be made, because their store was away.
        locks: those still to be extended to the disposal day.
    """

    is_sealed: bool
    halted: KuraError | None
    missing: tuple[str, ...]
    contracts: tuple[ContractHealth, ...]
    ledgers: tuple[LedgerHealth, ...]
    orphan_count: int
    stores: tuple[StoreHealth, ...]
    owed_copies: int
    locks: LockQueue


def health_of(ground: Ground) -> Health:
    """Look at a vault; works while it is sealed or halted or an engine is away, and changes nothing."""
    missing = missing_engines(ground)
    if DATABASE not in missing and ground.sequencer.halted is None:
        ground.follow()
    contracts = [] if DATABASE in missing else sorted(ground.contracts.items())
    return Health(
        ground.keys.is_sealed,
        _halted(ground),
        missing,
        tuple(_contract(ground, contract) for _, contract in contracts),
        tuple(
            LedgerHealth(log.id, log.contract_id, log.is_open, log.size, log.key.encode())
            for log in sorted(ground.sequencer.logs(), key=lambda log: log.id)
        ),
        0 if DATABASE in missing else len(find_orphans(ground)),
        tuple(_store(store) for store in ground.stores),
        0 if DATABASE in missing else owed_count(ground),
        LockQueue(0, 0.0, is_late=False) if DATABASE in missing else lock_queue(ground),
    )


def _halted(ground: Ground) -> KuraError | None:
    if ground.second is not None and ground.second.is_first_away:
        return UnavailableError("first-disk-away")
    return ground.sequencer.halted


def _store(store: ObjectStore) -> StoreHealth:
    try:
        store.require_there()
    except KuraError as error:
        return StoreHealth(store.label, error)
    return StoreHealth(store.label, None)


def _contract(ground: Ground, contract: Contract) -> ContractHealth:
    with ground.engine.connect() as connection:
        count = connection.scalar(
            select(func.count()).select_from(RecordRow).where(RecordRow.contract_id == contract.id)
        )
        rows = connection.execute(
            select(BucketRow.class_id, BucketRow.scope).where(
                BucketRow.contract_id == contract.id, BucketRow.state == "open"
            )
        ).all()
    ready = {BucketId(contract.id, row.class_id, row.scope) for row in rows}
    today, days = trigger_date(ground.clock()), 0  # buckets go by the Japanese day
    while days <= ground.days_ahead and ready.issuperset(wanted_ahead(contract, today + timedelta(days=days), 0)):
        days += 1
    return ContractHealth(contract.id, count or 0, days - 1)

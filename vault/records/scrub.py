"""The fixity check: every copy of every record read to its end and compared; with progress, resumable, rate-limited.

While it reads it shows nothing to anybody; what it found is one event at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from vault.canonical_json import Json
from vault.errors import IntegrityError, NotFoundError, SealedError
from vault.ledger.event import EventKind
from vault.ledger.transaction import Transaction
from vault.people.actor import Actor
from vault.people.authority import Act, require
from vault.records.buckets import Buckets
from vault.records.ground import Ground
from vault.records.opening import opener_for, read_records
from vault.records.reading import Reading
from vault.records.shadows import find_shadows
from vault.storage.tables import RecordRow, ScrubRow

_RECORDS_PER_STEP = 64
_NAMED_AT_MOST = 600  # damaged records, and shadowed objects, that one event names; an entry holds 65,535 bytes

Pause = Callable[[int], None]
"""Called with the bytes just read; waits as long as the rate asks."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fixity check has come."""

    checked: int
    total: int
    damaged: tuple[str, ...]  # record ids found in this run
    shadowed: tuple[str, ...] = ()  # names of objects over which an engine holds another version; no data is lost


def scrub(
    ground: Ground, buckets: Buckets, actor: Actor, contract_id: str, pause: Pause, report: Callable[[Progress], None]
) -> Progress:
    """Check a contract's records from where the last check stopped; then log the result and begin anew next time.

    Raises:
        RefusedError: the actor may not.
        SealedError: the vault is sealed.
    """
    require(actor, Act.CHECK_FIXITY, contract_id)
    if ground.keys.is_sealed:
        raise SealedError("vault-sealed")
    row = _begin(ground, contract_id)
    checked, damaged_before, damaged = row.checked_count, row.damaged_count, list[str]()
    last = row.last_record_id
    with ground.engine.connect() as connection:
        query = select(func.count()).select_from(RecordRow).where(RecordRow.contract_id == contract_id)
        total = connection.scalar(query) or 0
    while ids := _next(ground, contract_id, last):
        for record_id, size, is_whole in _check(ground, buckets, ids):
            if not is_whole:
                damaged.append(record_id)
            pause(size)
        checked, last = checked + len(ids), ids[-1]
        _keep(ground, contract_id, last, checked, damaged_before + len(damaged))
        report(Progress(checked, total, tuple(damaged)))
    with ground.engine.connect() as connection:
        found = find_shadows(connection, ground.vault_id, enumerate(ground.stores), contract_id)
        shadowed = sorted({name for _, name in found})
    body: dict[str, Json] = {
        "checked": checked,
        "damaged": damaged_before + len(damaged),
        "records": damaged[:_NAMED_AT_MOST],
    }
    if shadowed:
        body["shadowed"] = shadowed[:_NAMED_AT_MOST]
    _finish(ground, actor, contract_id, body)
    return Progress(checked, total, tuple(damaged), tuple(shadowed))


def _check(ground: Ground, buckets: Buckets, ids: list[str]) -> list[tuple[str, int, bool]]:
    with ground.engine.connect() as connection:
        records = read_records(connection, ids)
        opener = opener_for(connection, buckets.secrets, records.values())
    results = []
    for record_id, record in records.items():
        try:
            Reading(record, opener.open(record), ground.stores).check()
        except (IntegrityError, NotFoundError):
            results.append((record_id, 0, False))
            continue
        stored = record.objects[0]
        results.append((record_id, stored["sealed_bytes"] * stored["copies"], True))
    return results


def _begin(ground: Ground, contract_id: str) -> ScrubRow:
    names = ("last_record_id", "started_at", "checked_count", "damaged_count")
    with ground.engine.connect() as connection:
        found = connection.execute(
            select(*(getattr(ScrubRow, name) for name in names)).where(ScrubRow.contract_id == contract_id)
        ).first()
    if found is not None:
        return ScrubRow(contract_id=contract_id, **found._mapping)  # noqa: SLF001 - SQLAlchemy's documented way
    now: datetime = ground.clock()
    values = {"last_record_id": "", "started_at": now, "checked_count": 0, "damaged_count": 0}

    def change(transaction: Transaction) -> None:
        transaction.connection.execute(insert(ScrubRow), [values | {"contract_id": contract_id}])

    ground.sequencer.run(change)
    return ScrubRow(contract_id=contract_id, **values)


def _next(ground: Ground, contract_id: str, last: str) -> list[str]:
    query = (
        select(RecordRow.id)
        .where(RecordRow.contract_id == contract_id, RecordRow.id > last)
        .order_by(RecordRow.id)
        .limit(_RECORDS_PER_STEP)
    )
    with ground.engine.connect() as connection:
        return list(connection.scalars(query))


def _keep(ground: Ground, contract_id: str, last: str, checked: int, damaged: int) -> None:
    def change(transaction: Transaction) -> None:
        transaction.connection.execute(
            update(ScrubRow)
            .where(ScrubRow.contract_id == contract_id)
            .values(last_record_id=last, checked_count=checked, damaged_count=damaged)
        )

    ground.sequencer.run(change)


def _finish(ground: Ground, actor: Actor, contract_id: str, body: dict[str, Json]) -> None:
    ledger_id = ground.contract(contract_id).ledger_id

    def change(transaction: Transaction) -> None:
        transaction.append(ledger_id, actor.did(EventKind.FIXITY_CHECKED, ground.clock(), body))
        transaction.connection.execute(delete(ScrubRow).where(ScrubRow.contract_id == contract_id))

    ground.sequencer.run(change, ledger_id)

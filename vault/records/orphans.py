"""The orphan sweep: removes objects that no row names, a day after they were written.

Swept are only names that this vault gave, whose upload has ended or was cut, and which have had no row for a day. It
stands still while a rollback check is open, and spares what was written before a recovery: those may be the objects of
records that the lost database had. More than a hundred orphans is an alarm, not a sweep.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from vault.canonical_json import Json
from vault.errors import IntegrityError
from vault.ledger.event import EventKind, decode_entry
from vault.people.actor import VAULT
from vault.records.ground import Ground, append_operator_event
from vault.storage.objects import ObjectStore, is_object_name
from vault.storage.tables import EventRow, LedgerRow, ObjectRow

AGE = timedelta(days=1)
ALARM_ABOVE = 100
_NAMES_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file of a store that no row names."""

    store: ObjectStore
    name: str
    written_at: datetime


def find_orphans(ground: Ground) -> list[Orphan]:
    """List every object of this vault's naming that has no row, of any age."""
    orphans: list[Orphan] = []
    for store in ground.stores:
        waiting: list[Orphan] = []
        for name, written_at, _ in store.names():
            if is_object_name(ground.vault_id, name):
                waiting.append(Orphan(store, name, written_at))
            if len(waiting) == _NAMES_PER_QUERY:
                orphans += _without_row(ground, waiting)
                waiting = []
        orphans += _without_row(ground, waiting)
    return orphans


def sweep_orphans(ground: Ground) -> int:
    """Remove orphans of more than a day; give their number.

    Raises:
        IntegrityError: a rollback check is open, or there are more than a hundred.
    """
    if ground.sequencer.halted is not None:
        raise IntegrityError("sweep-stands-still")
    oldest, newest = _last_recovery(ground), ground.clock() - AGE
    due = [
        orphan
        for orphan in find_orphans(ground)
        if orphan.written_at < newest and (oldest is None or orphan.written_at > oldest)
    ]
    if len(due) > ALARM_ABOVE:
        raise IntegrityError("too-many-orphans", count=len(due))
    if not due:
        return 0
    for orphan in due:
        # A crash here leaves the rest for the next sweep.
        orphan.store.delete(orphan.name)

    body: dict[str, Json] = {"names": sorted({orphan.name for orphan in due})}
    append_operator_event(ground, VAULT.did(EventKind.ORPHANS_SWEPT, ground.clock(), body))
    return len(due)


def _without_row(ground: Ground, found: list[Orphan]) -> list[Orphan]:
    with ground.engine.connect() as connection:
        query = select(ObjectRow.name).where(ObjectRow.name.in_([orphan.name for orphan in found]))
        known = set(connection.scalars(query))
    return [orphan for orphan in found if orphan.name not in known]


def _last_recovery(ground: Ground) -> datetime | None:
    """When a ledger of this vault was last recovered: a recovered ledger begins with that event."""
    with ground.engine.connect() as connection:
        first = (
            select(EventRow.entry).join(LedgerRow, LedgerRow.id == EventRow.ledger_id).where(EventRow.entry_index == 0)
        )
        events = [decode_entry(entry).event for entry in connection.scalars(first)]
    return max((event.at for event in events if event.kind is EventKind.LEDGER_RECOVERED), default=None)

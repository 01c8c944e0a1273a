"""The orphan sweep: removes objects that no row names, a day after they were written, or when their lock has lapsed.

Swept are only names that this vault gave, whose upload has ended or was cut, and which have had no row for a day. It
stands still while a rollback check is open, and spares what was written before a recovery: those may be the objects of
records that the lost database had. More than a hundred orphans is an alarm, not a sweep. In an engine every version is
looked at by itself: one that a put without an answer left, or that somebody laid over ours, is an orphan as well.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from vault.canonical_json import Json
from vault.errors import ConflictError, IntegrityError, UnavailableError
from vault.ledger.event import EventKind, decode_entry
from vault.people.actor import VAULT
from vault.records.ground import Ground, append_operator_event
from vault.service_log import service_log
from vault.storage.objects import Address, ObjectStore, is_object_name
from vault.storage.tables import CopyRow, EventRow, LedgerRow, ObjectRow

AGE = timedelta(days=1)
ALARM_ABOVE = 100
_NAMES_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file of a store, or a version in an engine, that no row names."""

    store: ObjectStore
    address: Address
    written_at: datetime

    @property
    def name(self) -> str:
        """Its name."""
        return self.address.name


def find_orphans(ground: Ground) -> list[Orphan]:
    """List every object of this vault's naming that has no row, of any age; of the stores that are there.

    Raises:
        UnavailableError: `database-away`.
    """
    orphans: list[Orphan] = []
    for place, store in enumerate(ground.stores):
        try:
            orphans += _orphans_of(ground, place, store)
        except UnavailableError as error:
            if not error.code.startswith("store-"):
                raise  # without the database nothing is known of any object
    return orphans


def sweep_orphans(ground: Ground) -> int:
    """Remove orphans of more than a day that are not locked any more; give their number.

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
    swept = [orphan for orphan in due if _delete(orphan)]
    if not swept:
        return 0

    body: dict[str, Json] = {"names": sorted({orphan.name for orphan in swept})}
    append_operator_event(ground, VAULT.did(EventKind.ORPHANS_SWEPT, ground.clock(), body))
    return len(swept)


def _orphans_of(ground: Ground, place: int, store: ObjectStore) -> list[Orphan]:
    orphans: list[Orphan] = []
    waiting: list[Orphan] = []
    for found in store.listed():
        if is_object_name(ground.vault_id, found.address.name):
            waiting.append(Orphan(store, found.address, found.written_at))
        if len(waiting) == _NAMES_PER_QUERY:
            orphans += _without_row(ground, place, waiting)
            waiting = []
    return orphans + _without_row(ground, place, waiting)


def _delete(orphan: Orphan) -> bool:
    """Delete one. A crash between two leaves the rest for the next sweep; so does a lock that still holds."""
    try:
        orphan.store.delete(orphan.address)
    except ConflictError as error:
        service_log().info("orphan-locked", object=orphan.name, code=error.code)
        return False
    return True


def _without_row(ground: Ground, place: int, found: list[Orphan]) -> list[Orphan]:
    names = [orphan.name for orphan in found]
    with ground.engine.connect() as connection:
        if ground.stores[place].locks:
            query = select(CopyRow.object_name, CopyRow.version).where(
                CopyRow.object_name.in_(names), CopyRow.store == place
            )
            addresses = {Address(*row) for row in connection.execute(query)}
            return [orphan for orphan in found if orphan.address not in addresses]
        known = set(connection.scalars(select(ObjectRow.name).where(ObjectRow.name.in_(names))))
    return [orphan for orphan in found if orphan.name not in known]


def _last_recovery(ground: Ground) -> datetime | None:
    """When a ledger of this vault was last recovered: a recovered ledger begins with that event."""
    with ground.engine.connect() as connection:
        first = (
            select(EventRow.entry).join(LedgerRow, LedgerRow.id == EventRow.ledger_id).where(EventRow.entry_index == 0)
        )
        events = [decode_entry(entry).event for entry in connection.scalars(first)]
    return max((event.at for event in events if event.kind is EventKind.LEDGER_RECOVERED), default=None)

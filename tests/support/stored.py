"""What a vault holds, as values that a test compares before and after."""

from typing import Any

import engines
from sqlalchemy import func, select

from vault.ledger.event import Event, EventKind, decode_entry
from vault.records.vault import Vault
from vault.storage.objects import Address
from vault.storage.tables import Base, EventRow

_COPIES = "SELECT object_name, store, version FROM copies"


def objects(vault: Vault) -> set[str]:
    """Every file of every store, unfinished ones too; in engines every version that a row names: the others lapse."""
    if not engines.is_engines():
        folder = vault.folder / "objects"
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    named = {(place, Address(name, version)) for name, place, version in rows(vault, _COPIES)}
    return {
        f"{'ab'[place]}/{found.address.name[:2]}/{found.address.name}"
        for place, store in enumerate(vault.ground.stores)
        for found in store.listed()
        if (place, found.address) in named
    }


def content(vault: Vault, place: int, name: str) -> bytes:
    """The sealed bytes of an object in one store."""
    versions = {row[1]: row[2] for row in rows(vault, _COPIES) if row[0] == name}
    reader = vault.ground.stores[place].open(Address(name, versions.get(place)))
    data = bytearray(reader.size)
    reader.read_into(0, memoryview(data))
    reader.close()
    return bytes(data)


def everything(vault: Vault) -> tuple[dict[str, int], set[str]]:
    """The number of rows of each table, and every file of the stores."""
    with vault.ground.engine.connect() as connection:
        counts = {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }
    return counts, objects(vault)


def events(vault: Vault, ledger_id: str, *kinds: EventKind) -> list[Event]:
    """The events of a ledger in order; of all kinds, or of some."""
    with vault.ground.engine.connect() as connection:
        query = select(EventRow.entry).where(EventRow.ledger_id == ledger_id).order_by(EventRow.entry_index)
        found = [decode_entry(entry).event for entry in connection.scalars(query)]
    return [event for event in found if not kinds or event.kind in kinds]


def rows(vault: Vault, statement: str, **values: object) -> list[tuple[Any, ...]]:
    """Read rows by a statement in SQL."""
    with vault.ground.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement, values or None)]


def change(vault: Vault, statement: str, **values: object) -> None:
    """Change rows behind the vault's back."""
    with vault.ground.engine.begin() as connection:
        connection.exec_driver_sql(statement, values or None)

"""What a vault holds, as values that a test compares before and after; and what a dishonest administrator does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import engines
from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select, text

from vault.ledger.event import Event, EventKind, decode_entry
from vault.records.vault import Vault
from vault.settings import read_settings
from vault.storage.objects import Address
from vault.storage.tables import Base, EventRow

_COPIES = "SELECT object_name, store, version FROM copies"


def objects(vault: Vault) -> set[str]:
    """Every file of every store, unfinished ones too; in engines every version that a row names: the others lapse."""
    if not any(store.locks for store in vault.ground.stores):
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
        return [tuple(row) for row in connection.execute(text(statement), values)]


def change(vault: Vault, statement: str, **values: object) -> None:
    """Change rows behind the vault's back."""
    with tampering(vault.folder) as connection:
        connection.execute(text(statement), values)


@contextmanager
def tampering(folder: Path) -> Iterator[Connection]:
    """Connect to the rows of a vault's folder as whoever has the machine: nothing is refused, each change stands."""
    url = read_settings(folder).database.url
    if url is None:
        engine = create_engine(f"sqlite:///{folder}/kura.db", isolation_level="AUTOCOMMIT")
        switches = ["PRAGMA foreign_keys = OFF", "PRAGMA ignore_check_constraints = ON"]
    else:
        place = make_url(engines.superuser_url(url)).set(drivername="postgresql+psycopg")
        engine = create_engine(place, isolation_level="AUTOCOMMIT")
        switches = ["SET session_replication_role = replica"]  # triggers and foreign keys look away

    @event.listens_for(engine, "connect")
    def _switch(connection: Any, _entry: object) -> None:  # noqa: ANN401 - either driver's
        for switch in switches:
            connection.cursor().execute(switch)
        if url is not None:
            connection.commit()

    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def whole(vault: Vault) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    return whole_of(vault.ground.engine)


def whole_of(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of a database."""
    with engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
        }

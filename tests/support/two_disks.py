"""Vaults on two disks, in folders beside each other; their databases compared row by row; pulling a disk."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from vaults import CONTRACT, OPERATOR, pdf, request, source

from vault.ledger.event import EventKind, decode_entry
from vault.records.deposited import Deposited
from vault.records.rebuild import Rebuilt, rebuild
from vault.records.vault import Vault


def rows_of(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, and the number of the last commit."""
    with closing(sqlite3.connect(database)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in names}  # noqa: S608
        return rows | {"user_version": connection.execute("PRAGMA user_version").fetchall()}


def take(vault: Vault, folder: Path, count: int = 1) -> list[Deposited]:
    """Deposit a few forms."""
    return [
        vault.deposits.deposit(vault.actor(OPERATOR), CONTRACT, request(), source(pdf(number), folder))
        for number in range(count)
    ]


def pull_first(folder: Path) -> None:
    """Delete the first disk: the vault's folder, its epoch slots and its guard."""
    for name in ("vault", "vault.epoch"):
        while (folder / name).exists():  # a vault at work still makes and removes files there
            shutil.rmtree(folder / name, ignore_errors=True)


def pull_second(folder: Path) -> None:
    """Take the second disk's rows, keys and settings away; its object store stays, as stores are pulled elsewhere."""
    (folder / "elsewhere").mkdir()
    for name in ("rows", "keys", "kura.toml"):
        (folder / "second" / name).rename(folder / "elsewhere" / name)


def bring_second_back(folder: Path) -> None:
    """Put back what `pull_second` took."""
    for path in (folder / "elsewhere").iterdir():
        path.rename(folder / "second" / path.name)


def rebuilt(folder: Path) -> Rebuilt:
    """Make the vault of `folder` anew from its second disk, in `folder`/new."""
    return rebuild(folder / "second", folder / "new", folder / "new.epoch")


def operator_events(vault: Vault) -> list[EventKind]:
    """The kinds of all events in the operator's ledger, in order."""
    with vault.ground.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT entry FROM events WHERE ledger_id = 'operator' ORDER BY entry_index"
        ).all()
    return [decode_entry(row[0]).event.kind for row in found]

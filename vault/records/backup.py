"""Backing a vault up into a folder, again and again: what is there already is not copied twice, and nothing removed.

Order of writes, and what a crash after each step leaves: a backup as it was, with more files in it.
1. every object (they never change);
2. the event in the operator's ledger, so that the backup tells of itself; what is published of the ledgers;
3. the database, as of one moment, and so not behind what was published; then the objects that came since step 1, and
   the key store: a row without its object or key cannot be among them, an object or key without a row is harmless;
4. the manifest, which makes it the newest backup.
Keys in an HSM stay there: a backup then holds at most the file of those that it wrapped, and opens with that HSM alone.
Never copied: epoch slots, rollback guard, the custodians' secret. Without the live epoch no backup opens anything.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from vault.canonical_json import Json
from vault.errors import IntegrityError, NotFoundError, RefusedError, UnavailableError
from vault.ledger.event import EventKind
from vault.people.actor import Actor
from vault.people.authority import Act, require
from vault.records.copying import copy_file, copy_object, digest_file, sync_folders, write_file
from vault.records.ground import append_operator_event
from vault.records.manifest import DATABASE, KEY_FILE, SETTINGS, BackedUp, Keeper, Manifest, object_file, objects_digest
from vault.records.placement import KEPT
from vault.records.vault import Vault
from vault.settings import read_settings
from vault.storage.objects import Address, ObjectStore, is_object_name
from vault.storage.tables import CopyRow
from vault.storage.transfer import copy_to_file

MANIFEST = "manifest.json"
_PART = ".part"

Report = Callable[[int, int], None]
"""Told (objects looked at, objects in all)."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made: what it holds, how many files were new, and its manifest's SHA-256 in hex."""

    file_count: int
    byte_count: int
    copied_count: int
    manifest: str


def back_up(vault: Vault, actor: Actor, folder: Path, report: Report) -> Made:
    """Make or renew the backup in `folder`; works while the vault is sealed, and while it takes deposits.

    Raises:
        RefusedError: the actor may not, or the folder lies in the vault or holds another vault's backup.
        IntegrityError: the vault is halted, or a copy is not what it was.
        UnavailableError: a disk failed.
    """
    for contract_id in sorted(vault.ground.contracts):
        require(actor, Act.BACK_UP, contract_id)
    if vault.problem is not None:
        raise vault.problem
    if folder.resolve().is_relative_to(vault.folder.resolve()):
        raise RefusedError("backup-inside-vault")
    backup = _Backup(vault, folder)
    backup.copy_objects(report)
    backup.copy(vault.folder / SETTINGS, SETTINGS)
    body: dict[str, Json] = backup.summary()
    append_operator_event(vault.ground, actor.did(EventKind.VAULT_BACKED_UP, vault.ground.clock(), body))
    vault.publish(backup.copy_ledgers)
    backup.copy_database()
    backup.copy_objects(report)
    hsm = read_settings(vault.folder).keys.hsm
    if hsm is None or (vault.folder / KEY_FILE).exists():
        backup.copy(vault.folder / KEY_FILE, KEY_FILE)
    return backup.finish("file" if hsm is None else "hsm")


def read_manifest(folder: Path) -> Manifest | None:
    """Read a backup's manifest, or None where there is none.

    Raises:
        IntegrityError: it is not one.
        UnavailableError: it cannot be read.
    """
    try:
        return Manifest.decode((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError("copy-failed", reason=type(error).__name__) from error


class _Backup:
    """A backup being made."""

    def __init__(self, vault: Vault, folder: Path) -> None:
        before = read_manifest(folder)
        if before is not None and before.vault_id != vault.ground.vault_id:
            raise RefusedError("backup-of-another-vault")
        self._vault, self._folder = vault, folder
        self._before = dict(before.files) if before is not None else {}
        self._files: dict[str, BackedUp] = {}
        self._copied = 0

    def copy_objects(self, report: Report) -> None:
        """Copy every object that the backup does not hold yet."""
        found = [
            (store, address, object_file(number, address.name))
            for number, store in enumerate(self._vault.ground.stores)
            for address in self._addresses(number, store)
        ]
        for done, (store, address, target) in enumerate(found, 1):
            if target not in self._files:
                self._copy_object(store, address, target)
            report(done, len(found))

    def copy_ledgers(self) -> None:
        """Copy the published checkpoints and tiles; nothing is published meanwhile."""
        published = self._vault.folder / "ledgers"
        for path in sorted(published.rglob("*")):
            if path.is_file() and path.suffix != ".new":
                self.copy(path, f"ledgers/{path.relative_to(published)}")

    def copy(self, source: Path, name: str) -> None:
        """Copy a file that may have changed since the last backup."""
        self._files[name] = copy_file(source, self._folder / name)
        self._copied += 1

    def copy_database(self) -> None:
        """Copy the database as of one moment, into an SQLite file."""
        part = self._folder / (DATABASE + _PART)
        part.unlink(missing_ok=True)
        try:
            copy_to_file(self._vault.ground.engine, part)
            self.copy(part, DATABASE)
        finally:
            for path in self._folder.glob(f"{part.name}*"):
                path.unlink()

    def summary(self) -> dict[str, Json]:
        """Say in the ledger what is there so far."""
        objects = [file for name, file in self._files.items() if name.startswith("objects/")]
        return {
            "bytes": sum(file.byte_count for file in objects),
            "manifest": objects_digest(self._files),
            "objects": len(objects),
        }

    def finish(self, keys: Keeper) -> Made:
        """Make every name durable, then write the manifest, which says who keeps the keys."""
        sync_folders(self._folder)
        kept = {name: file for name, file in self._before.items() if name.startswith("objects/")}
        manifest = Manifest(self._vault.ground.vault_id, self._vault.ground.clock(), kept | self._files, keys)
        write_file(self._folder / MANIFEST, manifest.encode())
        size = sum(file.byte_count for file in manifest.files.values())
        return Made(len(manifest.files), size, self._copied, digest_file(self._folder / MANIFEST).sha256)

    def _addresses(self, place: int, store: ObjectStore) -> Iterable[Address]:
        """Say what to copy of a store: of a folder what lies there, of an engine the versions that rows name."""
        if store.locks:
            with self._vault.ground.engine.connect() as connection:
                query = select(CopyRow.object_name, CopyRow.version).where(
                    CopyRow.store == place, CopyRow.state == KEPT
                )
                return [Address(*row) for row in connection.execute(query)]
        vault_id = self._vault.ground.vault_id
        return [
            found.address for found in store.listed() if found.is_ended and is_object_name(vault_id, found.address.name)
        ]

    def _copy_object(self, store: ObjectStore, address: Address, target: str) -> None:
        known, there = self._before.get(target), self._folder / target
        if there.is_file():
            held = known or digest_file(there)  # without an entry: a backup was cut before its manifest
            if there.stat().st_size != held.byte_count:
                raise IntegrityError("backup-damaged", file=target)
            self._files[target] = held
            return
        try:
            reader = store.open(address)
        except NotFoundError:
            return  # an orphan that was swept meanwhile
        try:
            self._files[target] = copy_object(reader, there)
            self._copied += 1
        finally:
            reader.close()

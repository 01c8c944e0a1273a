"""Restoring a backup into a new folder: never over a vault, never without the live epoch, never back in time unseen.

Order of writes: the key store is tried against the live epoch, or the HSM asked whether it is this vault's; then every
file is copied and compared with the manifest; then rows go into PostgreSQL where they belong there, in one transaction;
then `kura.toml`: a folder without it is no vault, so that a cut restore is removed and begun again.
What was destroyed since the backup stays destroyed. A ledger that goes on after the backup shows when the vault is
opened: it takes nothing before `kura recover`. Objects that stood in an engine stand in folders afterwards, and their
rows say so.
"""

import json
import shutil
import sqlite3
import tomllib
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from vault.keys.file_keystore import FileKeyStore
from vault.keys.pkcs11_keystore import Pkcs11KeyStore
from vault.keys.pkcs11_uri import parse_hsm_uri
from vault.records.backup import read_manifest
from vault.records.copying import copy_file, digest_file, sync_folders, write_file
from vault.records.manifest import DATABASE, KEY_FILE, SETTINGS, Manifest, store_of
from vault.storage.transfer import fill_from_file

_STORES = ("objects/a", "objects/b")

Report = Callable[[int, int], None]
"""Told (files done, files in all)."""


@dataclass(frozen=True, slots=True)
class ServedDatabase:
    """A database of PostgreSQL without a vault, into which rows go."""

    url: str  # of the role that will serve
    owner_url: str


def restore(
    backup: Path,
    folder: Path,
    epoch_dir: Path,
    key_file: Path | None,
    report: Report,
    database: ServedDatabase | None = None,
) -> Manifest:
    """Make the vault of a backup anew in an empty or new folder; give the backup's manifest.

    Args:
        backup: folder that `back_up` made.
        folder: where the vault shall be.
        epoch_dir: the live epoch slots and rollback guard.
        key_file: a newer copy of the key store than the backup's, where there is one.
        report: hears of the progress.
        database: where rows shall be; None: in the folder, wherever they were when the backup was made.

    Raises:
        NotFoundError: there is no finished backup.
        ConflictError: the folder, or the database, holds something.
        RefusedError: `backup-outdated`: keys were destroyed since, and the key store opens with no live epoch.
        IntegrityError: a file is not what was backed up.
        UnavailableError: a disk failed, or the epoch slots or the vault's HSM are not there.
    """
    manifest = read_manifest(backup)
    if manifest is None:
        raise NotFoundError("backup-unfinished")
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError("folder-not-empty", folder=str(folder))
    keys = key_file or backup / KEY_FILE
    if manifest.keys == "file":
        _require_live(keys, epoch_dir)
    settings = _settings(backup / SETTINGS, manifest, epoch_dir, database)
    if manifest.keys == "hsm":
        hsm = tomllib.loads(settings)["keys"]["hsm"]
        Pkcs11KeyStore(parse_hsm_uri(hsm), manifest.vault_id, keys, read_only=True)
    try:
        _copy(manifest, backup, folder, report)
        if key_file is not None:
            copy_file(key_file, folder / KEY_FILE)
        _place_in_folders(folder / DATABASE)
        if database is not None:
            fill_from_file(folder / DATABASE, database.owner_url, database.url)
            (folder / DATABASE).unlink()
        sync_folders(folder)
        write_file(folder / SETTINGS, settings.encode())
    except BaseException:
        clear(folder)
        raise
    return manifest


def _require_live(keys: Path, epoch_dir: Path) -> None:
    """Check that the key store opens with the epoch that is live now; changes nothing."""
    try:
        FileKeyStore(keys, epoch_dir, read_only=True)
    except IntegrityError as error:
        if error.code == "key-file-outdated":
            raise RefusedError("backup-outdated") from error
        raise


def _copy(manifest: Manifest, backup: Path, folder: Path, report: Report) -> None:
    for store in _STORES:
        (folder / store).mkdir(mode=0o700, parents=True, exist_ok=True)
    for done, (name, file) in enumerate(sorted(manifest.files.items()), 1):
        if name != SETTINGS:
            source = backup / name
            if not source.is_file() or copy_file(source, folder / _place(name)) != file:
                raise IntegrityError("backup-damaged", file=name)
        report(done, len(manifest.files))
    (folder / "ledgers").mkdir(mode=0o700, exist_ok=True)


def _place(name: str) -> str:
    """Say where a file of a backup belongs in a vault."""
    store = store_of(name)
    return name if store is None else f"{_STORES[store]}/{name.split('/', 2)[2]}"


def _settings(path: Path, manifest: Manifest, epoch_dir: Path, database: ServedDatabase | None) -> str:
    """Give the backed up settings with this vault's places: inside its folder, the live epoch, its own database."""
    if not path.is_file() or digest_file(path) != manifest.files[SETTINGS]:
        raise IntegrityError("backup-damaged", file=SETTINGS)
    values: dict[str, dict[str, Any]] = tomllib.loads(path.read_text("utf-8"))
    values["keys"]["epoch_dir"] = str(epoch_dir.resolve())
    stores = values.get("storage", {}).get("stores", _STORES)
    # Never the database of the vault that was backed up: it may be alive.
    rows = {name: value for name, value in values.pop("database", {}).items() if name != "url"}
    if rows or database is not None:
        values["database"] = rows | ({"url": database.url} if database is not None else {})
    values["storage"] = {"stores": list(_STORES[: len(stores)])}
    values.pop("second", None)  # the second disk is the lost vault's, and may hold more than the backup
    return settings_text(values)


def settings_text(values: Mapping[str, Mapping[str, Any]]) -> str:
    """Write settings as TOML."""
    lines = []
    for section, keys in values.items():
        # Strings, numbers, booleans and lists of strings: of these JSON's form is TOML's as well.
        lines += [
            f"[{section}]",
            *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()),
            "",
        ]
    return "\n".join(lines)


def _place_in_folders(database: Path) -> None:
    """Make the rows of copies those of folders: no versions, no locks, and none for a copy that is simply in place."""
    try:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE copies SET version = NULL, locked_until = NULL, lock_wanted = NULL")
            connection.execute(
                "DELETE FROM copies WHERE state = 'kept' AND store <"
                " (SELECT copies FROM objects WHERE name = copies.object_name)"
            )
    except sqlite3.Error as error:
        raise IntegrityError("backup-damaged", file=DATABASE) from error


def clear(folder: Path) -> None:
    """Remove what a failed attempt left in a folder that was empty."""
    with suppress(OSError):
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

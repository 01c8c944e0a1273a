"""Making a vault anew from its second disk, in a new folder; what stands on the second disk is only read.

Order of writes: database from base and rows file, key store, epoch slots and guard where they are missing, and last
`kura.toml`: a folder without it is no vault, so that a cut attempt is removed and begun again. Copies of objects that
stood on the first disk alone are not there; `kura verify` names each of them. Ledgers are published anew when the vault
is opened, and compared with the guard then: rows that are missing show as a ledger that went back.
"""

import sqlite3
import tomllib
from dataclasses import dataclass
from pathlib import Path

from vault.errors import ConflictError, NotFoundError, UnavailableError
from vault.records.copying import copy_file, sync_folders, write_file
from vault.records.manifest import DATABASE, KEY_FILE, SETTINGS
from vault.records.restore import clear, settings_text
from vault.storage.second.rows_folder import RowsFolder


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How far the second disk went.

    Attributes:
        change_count: number of the last change that stands in the new vault.
        is_cut: whether something follows it that is no whole change: cut, or damaged.
    """

    change_count: int
    is_cut: bool


def rebuild(second: Path, folder: Path, epoch_dir: Path) -> Rebuilt:
    """Make a vault anew.

    Args:
        second: the second disk's folder; it goes on as the new vault's second disk.
        folder: empty or new.
        epoch_dir: where the new vault's epoch slots and guard shall be, or where the old ones still are.

    Raises:
        NotFoundError: `rebuild-nothing`: that is no second disk.
        ConflictError: the folder holds something.
        IntegrityError: rows file or base are damaged or do not fit.
        UnavailableError: a disk failed.
    """
    try:
        values = tomllib.loads((second / SETTINGS).read_text("utf-8"))
        vault_id, second_epoch_dir = str(values["vault"]["id"]), Path(values["second"]["epoch_dir"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotFoundError("rebuild-nothing", folder=str(second)) from error
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError("folder-not-empty", folder=str(folder))
    former, second, folder = Path(values["second"]["folder"]), second.resolve(), folder.resolve()
    if not second_epoch_dir.is_dir():
        raise NotFoundError("rebuild-nothing", folder=str(second_epoch_dir))
    values["second"]["folder"] = str(second)
    values["keys"]["epoch_dir"] = str(epoch_dir.resolve())
    # What auto_unseal would read stood on the first disk alone.
    values["keys"]["auto_unseal"] = False
    stores = [_moved(Path(store), former, second) for store in values["storage"]["stores"]]
    values["storage"]["stores"] = [str(store) for store in stores]
    try:
        for place in (folder, folder / "ledgers", *(folder / store for store in stores)):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        standing = RowsFolder(second / "rows", vault_id).rebuild(folder / DATABASE)
        copy_file(second / KEY_FILE, folder / KEY_FILE)
        _fill(second_epoch_dir, epoch_dir)
        sync_folders(folder)
        write_file(folder / SETTINGS, settings_text(values).encode())
    except (OSError, sqlite3.Error) as error:
        clear(folder)
        raise UnavailableError("copy-failed", reason=type(error).__name__) from error
    except BaseException:
        clear(folder)
        raise
    return Rebuilt(standing.place.number, standing.is_cut)


def _moved(store: Path, former: Path, second: Path) -> Path:
    """Name a store by where the second disk is now; one of the first disk by its place in the new folder."""
    if store.is_relative_to(former):
        return second / store.relative_to(former)
    return store if not store.is_absolute() else Path("objects") / store.name


def _fill(source: Path, target: Path) -> None:
    """Copy the epoch slots and guard files that are missing; those that are there are the first disk's own."""
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.is_file() and not (target / path.name).exists():
            copy_file(path, target / path.name)
    sync_folders(target)

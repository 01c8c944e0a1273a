"""A further owner of a vault's database: a folder with the same settings, and its own lock, socket, guards and tiles.

What the owners share lies outside their folders: rows in PostgreSQL, objects in S3, keys in an HSM. A vault that keeps
any of them in its folder has one owner, and is refused here. Nothing is written to what is shared.
"""

from dataclasses import dataclass
from pathlib import Path

from vault.errors import ConflictError, RefusedError
from vault.settings import ListenerSettings, Settings, read_settings, write_settings


@dataclass(frozen=True, slots=True)
class Joining:
    """Where the further owner keeps what is its own."""

    epoch_dir: Path  # of its rollback guards
    listener: ListenerSettings


def join_vault(folder: Path, other: Path, own: Joining) -> Settings:
    """Make `folder` a further owner of the vault whose settings lie in the folder `other`; give its settings.

    Only `kura.toml` is read there. The custodians' secret of a trial vault is not taken along.

    Raises:
        ConflictError: the folder holds something already.
        RefusedError: `join-not-shared`: the vault keeps rows, objects or keys in its folder.
    """
    settings = read_settings(other)
    for what in _in_the_folder(settings):
        raise RefusedError("join-not-shared", what=what)
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError("folder-not-empty", folder=str(folder))
    for path in (folder, folder / "ledgers", own.epoch_dir):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = settings.keys.model_copy(update={"epoch_dir": own.epoch_dir.resolve(), "auto_unseal": False})
    joined = settings.model_copy(update={"keys": keys, "listener": own.listener})
    write_settings(folder, joined)
    return joined


def _in_the_folder(settings: Settings) -> list[str]:
    """Name what of a vault nobody else can reach."""
    found = [store for store in settings.storage.stores if "://" not in store]
    if settings.keys.hsm is None:
        found.insert(0, "keys/store")
    if settings.database.url is None:
        found.insert(0, "kura.db")
    return found

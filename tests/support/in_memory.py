"""Vaults whose objects and keys stand in memory, in the strict stores; these outlive a restart, as disks do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from memory_keystore import MemoryDisk, MemoryKeyStore
from memory_store import MemoryStore

from vault.bootstrap import opening, verifying
from vault.keys.custodian import CustodianSecret
from vault.settings import Settings


@contextmanager
def in_memory() -> Iterator[list[MemoryStore]]:
    """Have the one vault that is made meanwhile keep objects and keys in memory; give its stores."""
    stores: list[MemoryStore] = []
    disks: list[MemoryDisk] = []

    def make_stores(_: Path, settings: Settings) -> None:
        stores.extend(MemoryStore(settings.vault.id) for _ in settings.storage.stores)

    def make_keys(_folder: Path, _settings: Settings, custodian: CustodianSecret, *, scrypt_log2_n: int) -> None:
        assert scrypt_log2_n, "a passphrase that costs nothing"
        disks.append(MemoryKeyStore.new_disk(custodian))

    def open_stores(_folder: Path, _settings: Settings) -> list[MemoryStore]:
        return stores

    def open_keys(_folder: Path, _settings: Settings, *, read_only: bool = False) -> MemoryKeyStore:
        [disk] = disks
        return MemoryKeyStore(disk, read_only=read_only)

    with pytest.MonkeyPatch.context() as patch:
        for made in (make_stores, make_keys):
            patch.setattr(opening, made.__name__, made)
        for opened in (open_stores, open_keys):
            for room in (opening, verifying):
                patch.setattr(room, opened.__name__, opened)
        yield stores

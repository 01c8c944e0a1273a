"""A check that could not finish is never a pass."""

import os
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import engines
import pytest
from full_vault import FullVault, make_full_vault
from vaults import custodian

from vault.bootstrap import opened_files, verify_vault
from vault.evidence.verify import verify
from vault.settings import read_settings
from vault.storage.filesystem import FilesystemStore
from vault.storage.objects import Address


class KillingStore(FilesystemStore):
    """A store that kills whichever process opens an object in it."""

    def open(self, address: Address) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError(address)


class FailingStore(FilesystemStore):
    """A store whose reading ends in an error that nobody foresaw."""

    def open(self, address: Address) -> NoReturn:
        raise ZeroDivisionError(address)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> FullVault:
    return make_full_vault(tmp_path_factory.mktemp("unfinished"))


@pytest.mark.parametrize("store", [KillingStore, FailingStore])
def test_a_checker_that_crashes_is_a_finding(full: FullVault, store: type[FilesystemStore]) -> None:
    settings = read_settings(full.folder)
    with opened_files(full.folder, settings, custodian(), keyless=False) as files:
        damaged = replace(files, stores=[store(full.folder / "objects/a", files.vault_id)] * 2)
        verdict = verify(damaged, lambda *_: None)
    assert not verdict.is_sound
    assert "check-unfinished" in {finding.code for finding in verdict.findings}


@pytest.mark.both_worlds
def test_a_vault_whose_files_cannot_be_opened_is_a_finding(full: FullVault) -> None:
    settings: Path = full.folder / "kura.toml"
    text = settings.read_text()
    if engines.is_engines():
        settings.write_text(re.sub(r"127\.0\.0\.1:[0-9]+", "127.0.0.1:1", text))  # where nobody listens
    database: Path = full.folder / "kura.db"
    whole = database.read_bytes() if database.exists() else b""
    database.write_bytes(b"not a database at all" * 100)
    verdict = verify_vault(full.folder, custodian())
    database.write_bytes(whole)
    settings.write_text(text)
    assert not verdict.is_sound

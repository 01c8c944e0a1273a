"""Served vaults for the tests of this folder: one for each test, or one that a module's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import vaults
from narrow_api import Api, PlainStation, listening

from vault.records.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """A new vault, opened, for one test."""
    vault = vaults.new_vault(tmp_path)
    yield vault
    vault.close()


@pytest.fixture
def api(vault: Vault, tmp_path: Path) -> Iterator[Api]:
    """That vault, served."""
    with listening(vault, tmp_path) as api:
        yield api


@pytest.fixture
def counter(api: Api) -> PlainStation:
    """A counter's station."""
    return api.station()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """One opened vault for all tests of a module that leave it as they found it, or only add to it."""
    vault = vaults.new_vault(tmp_path_factory.mktemp("shared"))
    yield vault
    vault.close()

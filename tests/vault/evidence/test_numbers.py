"""The proof `complete`: what stations numbered and never sent shows, and nothing else does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import vaults
from narrow_api import listening

from vault.bootstrap import verify_vault
from vault.evidence.verdict import Verdict
from vault.records.numbering import Numbers
from vault.records.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = vaults.new_vault(tmp_path)
    yield vault
    vault.close()


def verdict_after(vault: Vault, tmp_path: Path, sent: dict[str, list[int]]) -> Verdict:
    with listening(vault, tmp_path) as api:
        for name, numbers in sent.items():
            station = api.station(name)
            for number in numbers:
                assert station.deposit(vaults.pdf(number), sequence=number).status == 201
            station.close()
    vault.publish()  # as its owner does every few seconds
    return verify_vault(vault.folder, vaults.custodian())


@pytest.mark.both_worlds
def test_where_all_numbers_arrived_it_holds(vault: Vault, tmp_path: Path) -> None:
    verdict = verdict_after(vault, tmp_path, {"counter-1": [1, 2, 3], "counter-2": [2, 1], "idle": []})
    assert verdict.is_sound
    assert verdict.is_complete is True
    assert verdict.numbers["counter-2"] == Numbers(2, 2, [])


@pytest.mark.parametrize("numbers", [pytest.param([1, 2, 4], marks=pytest.mark.both_worlds), [2], [1, 2, 3, 9]])
def test_a_number_that_never_arrived_is_named(vault: Vault, tmp_path: Path, numbers: list[int]) -> None:
    verdict = verdict_after(vault, tmp_path, {"counter-1": numbers, "counter-2": [1, 2]})
    assert verdict.is_sound
    assert verdict.is_complete is False
    missing = {number for first, last in verdict.numbers["counter-1"].missing for number in range(first, last + 1)}
    assert missing == set(range(1, max(numbers))) - set(numbers)


def test_where_nothing_is_numbered_nothing_is_claimed(vault: Vault) -> None:
    assert verify_vault(vault.folder, vaults.custodian()).is_complete is None

"""The sample day, and that its proofs say no where they should."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import engines
import pytest
from vaults import policy_text

from vault.cli.day import Day, live_day, proofs
from vault.cli.engines import TrialEngines
from vault.settings import read_settings

HOLDS = {"intact": True, "complete": True}
FAILS = {"intact": False, "complete": False}  # what is not intact proves nothing


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return live_day(tmp_path_factory.mktemp("demo") / "vault", policy_text(), None, lambda *_: None)


@dataclass(frozen=True)
class Damage:
    """A way to make the proof `intact` false."""

    pattern: str

    def do(self, top: Path) -> None:
        path = min(path for path in top.rglob(self.pattern) if path.is_file())
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def test_every_proof_of_the_sample_day_holds(day: Day) -> None:
    assert day.proofs == HOLDS
    assert day.counts["receipts"] == day.counts["records"] == len(list(day.receipts.glob("*.tlog-proof")))
    assert proofs(day.folder, day.receipts) == HOLDS


@pytest.mark.parametrize(
    "damage",
    [Damage("vault/objects/a/*/*"), Damage("vault/objects/b/*/*"), Damage("vault/keys/store"), Damage("*.tlog-proof")],
)
def test_a_damaged_day_is_not_intact(day: Day, damage: Damage) -> None:
    top = day.folder.parent
    paths = [path for path in top.rglob(damage.pattern.removeprefix("vault/")) if path.is_file()]
    kept = {path: path.read_bytes() for path in paths}
    damage.do(top)
    assert proofs(day.folder, day.receipts) == FAILS
    for path, content in kept.items():
        path.write_bytes(content)
    assert proofs(day.folder, day.receipts) == HOLDS


def test_a_day_without_receipts_is_not_intact(day: Day, tmp_path: Path) -> None:
    (tmp_path / "receipts").mkdir()
    shutil.copy(day.receipts / "log.vkey", tmp_path / "receipts")
    assert proofs(day.folder, tmp_path / "receipts") == FAILS


@pytest.mark.engines
def test_the_sample_day_holds_on_engines_and_says_no_where_a_row_was_altered(tmp_path: Path) -> None:
    trial = TrialEngines(Path(os.environ["KURA_ENGINES"]))
    trial.start()
    day = live_day(tmp_path / "vault", policy_text(), None, lambda *_: None, trial)
    settings = read_settings(day.folder)
    assert (settings.database.url or "").startswith("postgresql://")
    assert all(store.startswith("s3+") for store in settings.storage.stores)
    assert (settings.keys.hsm or "").startswith("pkcs11:")
    assert day.proofs == HOLDS
    assert day.counts["receipts"] == day.counts["records"] > 20
    database = engines.name_of(settings.database.url or "")
    engines.sql(database, "UPDATE records SET site = 'elsewhere' WHERE id = (SELECT min(id) FROM records)")
    assert proofs(day.folder, day.receipts) == FAILS

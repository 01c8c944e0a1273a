import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from vaults import ADMIN, CONTRACT, OPERATOR, custodian, new_vault, pdf, request, source

from vault.bootstrap import open_vault, verify_vault
from vault.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from vault.ledger.event import EventKind, decode_entry
from vault.records.backup import MANIFEST, Made, back_up
from vault.records.manifest import BackedUp, Manifest, objects_digest
from vault.records.restore import restore
from vault.records.vault import Vault
from vault.storage.tables import EventRow

pytestmark = pytest.mark.both_worlds


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = new_vault(tmp_path)
    yield vault
    vault.close()


def silent(_done: int, _total: int) -> None:
    """Report to nobody."""


def take(vault: Vault, folder: Path, count: int = 1) -> None:
    for _ in range(count):
        vault.deposits.deposit(vault.actor(OPERATOR), CONTRACT, request(), source(pdf(1), folder))


def made(vault: Vault, tmp_path: Path) -> Made:
    (tmp_path / "copy").mkdir(exist_ok=True)
    return back_up(vault, vault.actor(ADMIN), tmp_path / "copy", silent)


def restored(tmp_path: Path, name: str = "second") -> Path:
    restore(tmp_path / "copy", tmp_path / name, tmp_path / "vault.epoch", None, silent)
    return tmp_path / name


def test_a_backup_holds_its_own_event(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path, 3)
    done = made(vault, tmp_path)
    vault.close()
    second = open_vault(restored(tmp_path), custodian())
    with second.ground.engine.connect() as connection:
        entries = connection.execute(EventRow.__table__.select().order_by("entry_index")).all()
    events = [decode_entry(row.entry).event for row in entries if row.ledger_id == "operator"]
    [event] = [event for event in events if event.kind is EventKind.VAULT_BACKED_UP]
    manifest = Manifest.decode((tmp_path / "copy" / MANIFEST).read_bytes())
    assert event.body["manifest"] == objects_digest(manifest.files)
    assert (event.body["objects"], event.actor, done.file_count) == (3, f"person:{ADMIN}", len(manifest.files))
    second.close()


def test_a_backup_renewed_copies_what_is_new_and_removes_nothing(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path, 5)
    first = made(vault, tmp_path)
    held = {path for path in (tmp_path / "copy/objects").rglob("*") if path.is_file()}
    times = {path: path.stat().st_mtime_ns for path in held}
    take(vault, tmp_path, 2)
    again = made(vault, tmp_path)
    assert again.copied_count < first.copied_count + 2
    assert {path: path.stat().st_mtime_ns for path in held} == times
    assert again.file_count >= first.file_count + 2
    vault.close()
    assert verify_vault(restored(tmp_path), custodian()).is_sound


def test_a_backup_of_a_sealed_vault(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)
    vault.seal()
    made(vault, tmp_path)
    vault.close()
    assert verify_vault(restored(tmp_path), custodian()).is_sound


def test_no_secret_is_copied(vault: Vault, tmp_path: Path) -> None:
    (vault.folder / "keys/custodian").write_text("a secret")
    made(vault, tmp_path)
    names = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    assert not [name for name in names if "custodian" in name or "epoch" in name or "guard" in name or "lock" in name]
    assert {"kura.db", "kura.toml", "keys/store", MANIFEST} <= names


def test_a_backup_that_was_cut_is_no_backup_and_goes_on(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path, 2)
    made(vault, tmp_path)
    (tmp_path / "copy" / MANIFEST).unlink()
    with pytest.raises(NotFoundError):
        restored(tmp_path)
    assert made(vault, tmp_path).file_count > 2
    vault.close()
    assert verify_vault(restored(tmp_path), custodian()).is_sound


def test_another_vaults_backup_is_not_written_over(vault: Vault, tmp_path: Path) -> None:
    made(vault, tmp_path)
    (tmp_path / "other").mkdir()
    other = new_vault(tmp_path / "other")
    with pytest.raises(RefusedError, match="another vault"):
        made(other, tmp_path)
    other.close()


def test_every_damaged_file_of_a_backup_is_found_and_leaves_no_vault(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)
    made(vault, tmp_path)
    manifest = Manifest.decode((tmp_path / "copy" / MANIFEST).read_bytes())
    for name in [*manifest.files, MANIFEST]:
        path = tmp_path / "copy" / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(IntegrityError):
            restored(tmp_path)
        path.unlink()
        with pytest.raises((IntegrityError, NotFoundError)):
            restored(tmp_path)
        path.write_bytes(whole)
        assert not (tmp_path / "second").exists() or not any((tmp_path / "second").iterdir())


def test_a_restore_writes_over_nothing(vault: Vault, tmp_path: Path) -> None:
    made(vault, tmp_path)
    with pytest.raises(ConflictError):
        restored(tmp_path, "vault")


def test_restored_settings_keep_what_was_set_and_stay_inside(vault: Vault, tmp_path: Path) -> None:
    settings = vault.folder / "kura.toml"
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(vault.folder / "objects/a", elsewhere)
    text = settings.read_text().replace('"objects/a"', f'"{elsewhere}"')
    settings.write_text(text + "[intake]\npdf_workers = 1\npdf_timeout_s = 2.5\n")
    made(vault, tmp_path)
    vault.close()
    text = (restored(tmp_path) / "kura.toml").read_text()
    assert str(elsewhere) not in text
    assert "pdf_timeout_s = 2.5" in text
    assert verify_vault(tmp_path / "second", custodian()).is_sound


SOUND = {name: BackedUp(1, "0" * 64) for name in ("kura.db", "keys/store", "kura.toml")}


@pytest.mark.parametrize(
    "name",
    [
        "../kura.db",
        "/etc/passwd",
        "objects/0/ab/../../../../x",
        "objects/2/ab/" + "ab" * 16,
        "objects/0/cd/" + "ab" * 16,
        "objects/0/ab/" + "AB" * 16,
        "ledgers/../../x",
        "ledgers/a/../b",
        "ledgers//a",
        "keys/custodian",
        "lock",
        "",
    ],
)
def test_a_manifest_leads_nowhere_else(name: str) -> None:
    text = Manifest("0" * 16, datetime(2026, 1, 1, tzinfo=UTC), SOUND | {name: BackedUp(1, "0" * 64)}).encode()
    with pytest.raises(IntegrityError):
        Manifest.decode(text)


def test_a_manifest_survives_its_encoding_and_nothing_else_does() -> None:
    manifest = Manifest("0" * 16, datetime(2026, 1, 1, tzinfo=UTC), SOUND)
    text = manifest.encode()
    assert Manifest.decode(text) == manifest
    values = json.loads(text)
    for wrong in (b"", b"[]", b"{}", text + b" ", json.dumps(values | {"v": 2}).encode()):
        with pytest.raises(IntegrityError):
            Manifest.decode(wrong)
    del values["files"]["kura.db"]
    with pytest.raises(IntegrityError):
        Manifest.decode(json.dumps(values, separators=(",", ":")).encode())

import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import engines
import pytest
import stored
import vaults
from sqlalchemy import Connection, RowMapping, Table
from vaults import ADMIN, CONTRACT, OPERATOR, custodian, new_vault, pdf, request, source

from vault.bootstrap import open_vault, verify_vault
from vault.bootstrap.parts import open_rows
from vault.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from vault.ledger.event import EventKind, decode_entry
from vault.records.backup import MANIFEST, Made, back_up
from vault.records.manifest import BackedUp, Manifest, objects_digest
from vault.records.restore import ServedDatabase, restore
from vault.records.vault import Vault
from vault.settings import read_settings
from vault.storage import transfer
from vault.storage.tables import EventRow


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


@pytest.mark.both_worlds
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


@pytest.mark.both_worlds
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


@pytest.mark.both_worlds
def test_a_restore_has_its_rows_in_the_folder_wherever_they_were(vault: Vault, tmp_path: Path) -> None:
    """A vault that lives in PostgreSQL is never reached by its restored double."""
    take(vault, tmp_path)
    before = stored.whole(vault)
    made(vault, tmp_path)
    folder = restored(tmp_path)
    assert read_settings(folder).database.url is None
    with closing(sqlite3.connect(folder / "kura.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM events").fetchone()[0] > len(before["events"])


@pytest.mark.engines
def test_a_backup_of_either_database_is_restored_into_postgresql_and_is_the_same_to_the_last_value(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder into PostgreSQL, and from one PostgreSQL into another."""
    monkeypatch.setattr(engines, "is_engines", lambda: False)
    (tmp_path / "embedded").mkdir()
    embedded = vaults.new_vault(tmp_path / "embedded")
    for moved in (embedded, vault):
        take(moved, tmp_path, 3)
        at = moved.folder.parent
        made(moved, at)
        moved.close()
        owner_url = engines.empty_database()
        served = ServedDatabase(engines.service_url(owner_url), owner_url)
        restore(at / "copy", at / "served", at / "vault.epoch", None, silent, served)
        assert not (at / "served/kura.db").exists()
        one, other = (open_rows(folder, read_settings(folder)) for folder in (at / "served", restored(at)))
        assert stored.whole_of(one) == stored.whole_of(other)
        for engine in (one, other):
            engine.dispose()
        second = open_vault(at / "served", custodian())
        take(second, tmp_path)
        second.close()
        assert verify_vault(at / "served", custodian()).is_sound


@pytest.mark.engines
def test_a_database_that_holds_a_vault_is_not_restored_into(vault: Vault, tmp_path: Path) -> None:
    made(vault, tmp_path)
    before = stored.whole(vault)
    url = read_settings(vault.folder).database.url
    assert url is not None
    served = ServedDatabase(url, engines.owner_url(url))
    with pytest.raises(ConflictError, match="vault in this database"):
        restore(tmp_path / "copy", tmp_path / "second", tmp_path / "vault.epoch", None, silent, served)
    assert stored.whole(vault) == before
    assert not any((tmp_path / "second").iterdir())


@pytest.mark.engines
def test_a_backup_is_of_one_moment_while_others_write(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page of a table is followed by a deposit, which must not be in the copy by half."""
    monkeypatch.setattr(transfer, "_ROWS_PER_PAGE", 3)
    take(vault, tmp_path, 4)
    copy_page = transfer.add_page
    taken = 0

    def add_page(target: Connection, table: Table, page: Sequence[RowMapping]) -> None:
        nonlocal taken
        copy_page(target, table, page)
        if taken < 10:
            take(vault, tmp_path)
            taken += 1

    monkeypatch.setattr(transfer, "add_page", add_page)
    made(vault, tmp_path)
    assert taken == 10
    vault.close()
    verdict = verify_vault(restored(tmp_path), custodian())
    assert {finding.code for finding in verdict.findings} == {"ledger-went-back"}  # it went on since, and says so
    assert verdict.counts["records"] == 4


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

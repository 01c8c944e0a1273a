"""Yesterday's state put back: noticed, refused, recovered; and backups, which cannot bring back what was destroyed."""

import shutil
from pathlib import Path

import pytest
from kura_command import DEPOSIT, Kura, deposited
from vaults import custodian

from vault.bootstrap import open_vault

pytestmark = pytest.mark.both_worlds


def put_back(home: Path, kept: Path) -> None:
    for name in ("kura.db-wal", "kura.db-shm"):
        (home / "vault" / name).unlink(missing_ok=True)
    shutil.copy(kept, home / "vault/kura.db")


def test_yesterdays_database_takes_nothing_until_it_is_recovered(home: Path, kura: Kura) -> None:
    deposited(kura)
    shutil.copy(home / "vault/kura.db", home / "yesterday.db")
    lost = deposited(kura)["record"]
    put_back(home, home / "yesterday.db")

    refused = kura("deposit", "form.pdf", *DEPOSIT)
    assert (refused.code, refused.error_code) == (1, "ledger-went-back")
    assert kura("backup", "copy", "--as", "9001", "--json").error_code == "ledger-went-back"
    examined = kura("doctor", "--json")
    assert (examined.code, examined.json["halted"]["code"]) == (1, "ledger-went-back")
    assert kura("recover", "--as", "1001", "--json").error_code == "not-allowed"
    objects = sorted(path.name for path in (home / "vault/objects").rglob("*"))

    recovered = kura("recover", "--as", "9001", "--json")
    assert recovered.code == 0
    assert "nishinomiya.2" in [log["id"] for log in recovered.json["recovered"]]
    assert sorted(path.name for path in (home / "vault/objects").rglob("*")) == objects
    assert kura("doctor", "--json").code == 0
    show = ("open", lost, "-o", "lost.pdf", "--purpose", "restore_test", "--as", "1001", "--json")
    assert kura(*show).error_code == "record-unknown"
    assert kura("deposit", "form.pdf", *DEPOSIT).code == 0
    assert kura("verify", "--json").json["findings"] == []


def test_a_backup_brings_the_vault_back_elsewhere(home: Path, kura: Kura) -> None:
    record = deposited(kura)["record"]
    made = kura("backup", "copy", "--as", "9001", "--json")
    assert made.code == 0
    assert not [path for path in (home / "copy").rglob("*") if "custodian" in path.name or "epoch" in path.name]
    restored = kura("restore", "copy", "second", "--epoch-dir", "vault.epoch", "--json")
    assert (restored.code, restored.json["halted"]) == (0, None)
    show = ("open", record, "-o", "out.pdf", "--purpose", "restore_test", "--as", "1001")
    assert kura(*show, "--dir", "second").code == 0
    assert (home / "out.pdf").read_bytes() == (home / "form.pdf").read_bytes()
    assert kura("verify", "second", "--json").json["findings"] == []


def test_a_backup_behind_the_guard_is_halted_until_recovered(home: Path, kura: Kura) -> None:
    assert home.is_dir()
    deposited(kura)
    assert kura("backup", "copy", "--as", "9001").code == 0
    deposited(kura)
    restored = kura("restore", "copy", "second", "--epoch-dir", "vault.epoch", "--json")
    assert restored.json["halted"]["code"] == "ledger-went-back"
    assert "kura recover" in restored.err
    in_second = ("--dir", "second")
    assert kura("deposit", "form.pdf", *DEPOSIT, *in_second).error_code == "ledger-went-back"
    assert kura("recover", "--as", "9001", *in_second).code == 0
    assert kura("deposit", "form.pdf", *DEPOSIT, *in_second).code == 0


def test_a_backup_from_before_a_destruction_is_refused(home: Path, kura: Kura) -> None:
    record = deposited(kura)["record"]
    assert kura("backup", "copy", "--as", "9001").code == 0
    vault = open_vault(home / "vault", custodian())
    vault.ground.keys.destroy(vault.ground.keys.create_disposal_keys(1), vault.ground.clock())
    vault.close()
    words = ("restore", "copy", "second", "--epoch-dir", "vault.epoch", "--json")
    assert kura(*words).error_code == "backup-outdated"
    assert not (home / "second").exists()
    assert kura(*words, "--key-file", "vault/keys/store").code == 0  # the newest copy of the key store serves
    assert kura("recover", "--as", "9001", "--dir", "second").code == 0  # opening it above was one more event
    show = ("open", record, "-o", "out.pdf", "--purpose", "restore_test", "--as", "1001", "--dir", "second")
    assert kura(*show).code == 0


def test_a_backup_without_the_epoch_opens_nothing(home: Path, kura: Kura) -> None:
    assert kura("backup", "copy", "--as", "9001").code == 0
    (home / "empty").mkdir()
    assert kura("restore", "copy", "second", "--epoch-dir", "empty", "--json").error_code == "key-store-unreadable"
    assert not (home / "second").exists()


def test_only_an_administrator_backs_up_and_never_into_the_vault(home: Path, kura: Kura) -> None:
    assert kura("backup", "copy", "--as", "1001", "--json").error_code == "not-allowed"
    assert kura("backup", "vault/copy", "--as", "9001", "--json").error_code == "backup-inside-vault"
    assert kura("restore", "copy", "second", "--epoch-dir", "vault.epoch", "--json").error_code == "backup-unfinished"
    assert home.is_dir()

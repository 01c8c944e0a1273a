"""A vault on two disks by its commands: made, served while a disk is pulled, made anew, and what it says of itself."""

import shutil
import time
from pathlib import Path

import pytest
from kura_command import DEPOSIT, Kura, deposited, served
from two_disks import bring_second_back, pull_first, pull_second
from vaults import PASSPHRASE, PEOPLE, pdf

from vault.storage.second.disk import SecondDisk

MAKE = ("init", "vault", "--policy", "nishinomiya", "--second-disk", "second", "--json")


@pytest.fixture
def home(tmp_path: Path, kura: Kura, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a vault on two disks as a user does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("KURA_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    (tmp_path / "form.pdf").write_bytes(pdf(1))
    people = [word for person in PEOPLE for word in ("--person", person)]
    assert kura(*MAKE, *people).code == 0
    monkeypatch.setenv("KURA_DIR", str(tmp_path / "vault"))
    return tmp_path


def second_disk(kura: Kura) -> dict[str, object]:
    state: dict[str, object] = kura("doctor", "--json").json["second_disk"]
    return state


def test_a_vault_lost_with_its_disk_is_made_anew(home: Path, kura: Kura) -> None:
    record = deposited(kura, "--receipts", "receipts")
    assert second_disk(kura) == {"folder": str(home / "second"), "whole": True, "reason": None, "keys": True}
    assert kura("verify", "--json").json["findings"] == []
    pull_first(home)
    made = kura("rebuild", "second", "new", "--json")
    assert (made.code, made.json["halted"], made.json["cut"]) == (0, None, False)
    verified = kura("verify", "new", "--json")
    assert verified.code != 0
    assert {finding["code"] for finding in verified.json["findings"]} == {"object-missing"}
    assert kura("receipt", "check", record["receipt"], "--log-key", record["log_vkey"]).code == 0
    assert kura("deposit", "form.pdf", *DEPOSIT, "--dir", "new").code == 0
    assert len(kura("find", "--as", "1001", "--json", "--dir", "new").json["records"]) == 2
    assert kura("rebuild", "second", "new", "--json").error_code == "folder-not-empty"


def test_a_rows_file_that_was_cut_makes_a_vault_that_says_what_it_lacks(home: Path, kura: Kura) -> None:
    deposited(kura)
    [rows] = (home / "second" / "rows").glob("rows-*")
    rows.write_bytes(rows.read_bytes()[:-100])
    assert {finding["code"] for finding in kura("verify", "--json").json["findings"]} == {"second-disk-behind"}
    pull_first(home)
    made = kura("rebuild", "second", "new", "--json")
    assert made.code != 0
    assert (made.json["cut"], made.json["halted"]["code"]) == (True, "ledger-went-back")
    assert kura("deposit", "form.pdf", *DEPOSIT, "--dir", "new").error_code == "ledger-went-back"


def test_serving_goes_on_while_the_second_disk_is_away_and_says_so(home: Path, kura: Kura) -> None:
    log: list[str] = []
    with served(home, log=log):
        deposited(kura)
        pull_second(home)
        deposited(kura)
        examined = kura("doctor", "--json")
        assert examined.code != 0
        assert examined.json["second_disk"]["reason"] == "FileNotFoundError"
        bring_second_back(home)
        while not second_disk(kura)["whole"]:
            time.sleep(0.2)
        deposited(kura)
    assert "second-disk-away" in log[0]
    assert kura("verify", "--json").json["findings"] == []


def test_another_disk_in_its_place_is_not_written_to(home: Path, kura: Kura) -> None:
    deposited(kura)
    pull_second(home)
    shutil.copytree(home / "elsewhere", home / "second", dirs_exist_ok=True)
    settings = home / "second" / "kura.toml"
    settings.write_text(settings.read_text().replace('id = "', 'id = "f'))
    before = sorted(path.name for path in (home / "second" / "rows").iterdir())
    settings.write_text("[vault]\n")
    deposited(kura)
    assert sorted(path.name for path in (home / "second" / "rows").iterdir()) == before
    assert second_disk(kura)["whole"] is False
    assert not SecondDisk(home / "second", "0" * 16, home / "vault" / "kura.db").is_there


@pytest.mark.parametrize(
    ("second", "epoch", "code"),
    [("vault/second", "e", "settings-wrong"), ("s", "s/epoch", "settings-wrong"), ("full", "e", "folder-not-empty")],
)
def test_places_that_are_no_second_disk_are_refused(
    tmp_path: Path, kura: Kura, monkeypatch: pytest.MonkeyPatch, second: str, epoch: str, code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "passphrase").write_text(PASSPHRASE + "\n")
    words = ("--person", PEOPLE[0], "--passphrase-file", "passphrase")
    made = kura(
        "init",
        "vault",
        "--policy",
        "nishinomiya",
        "--second-disk",
        second,
        "--second-epoch-dir",
        epoch,
        *words,
        "--json",
    )
    assert made.error_code == code
    assert not (tmp_path / "vault").exists()


def test_a_vault_on_one_disk_says_so(tmp_path: Path, kura: Kura, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert kura("init", "vault", "--policy", "nishinomiya", "--person", PEOPLE[0], "--auto-unseal").code == 0
    checks = kura("doctor", "--dir", "vault", "--json").json["checks"]
    assert [check["level"] for check in checks if check["check"] == "second disk"] == ["warning"]

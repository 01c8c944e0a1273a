"""The main journey, each command a process of its own, as on a vault's host."""

import os
from pathlib import Path

import engines
import pytest
from kura_command import Kura
from vaults import pdf


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KURA_DIR", str(tmp_path / "vault"))
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("KURA_PASSPHRASE_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "scans"
    (folder / "morning").mkdir(parents=True)
    for number in range(3):
        (folder / "morning" / f"NIS-0000{number}.pdf").write_bytes(pdf(number))
    (folder / "notes.txt").write_text("not a PDF")
    return tmp_path


def database() -> tuple[str, ...]:
    """Where rows shall be in the world of engines."""
    if not engines.is_engines():
        return ()
    owner_url = engines.empty_database()
    return ("--database", engines.service_url(owner_url), "--owner-url", owner_url)


@pytest.mark.both_worlds
def test_a_day_from_init_to_verify(empty: Path, kura_process: Kura) -> None:
    kura = kura_process
    founders = ("--person", "1001:山田花子:scan_operator", "--person", "9001:佐藤:vault_admin")
    made = kura("init", "vault", "--policy", "nishinomiya", *founders, "--auto-unseal", *database(), "--json")
    assert made.code == 0, made.err
    assert made.json["epoch_dir"] == str(empty / "vault.epoch")
    (empty / "log.vkey").write_text(made.json["log_vkeys"]["nishinomiya"] + "\n")

    one = kura("deposit", "scans/morning/NIS-00000.pdf", "--class", "application_form", "--subject-key", "NIS-1",
               "--as", "1001", "--receipts", "receipts", "--json")  # fmt: skip
    assert one.code == 0, one.err
    record = one.json["records"][0]

    check = ("receipt", "check", record["receipt"], "scans/morning/NIS-00000.pdf", "--salt", record["salt"])
    assert kura(*check, "--log-key", "log.vkey").code == 0
    os.utime("scans/morning/NIS-00001.pdf")

    several = ("import", "scans", "--class", "application_form", "--subject-key-from", "name", "--as", "1001")
    first = kura(*several, "--receipts", "receipts", "--json")
    assert (first.code, first.json["taken"], [failed["file"] for failed in first.json["failed"]]) == (
        2,
        3,
        ["notes.txt"],
    )
    again = kura(*several, "--json")
    assert (again.json["taken"], again.json["there_before"]) == (0, 3)
    assert len(list((empty / "receipts").glob("*.tlog-proof"))) == 4

    found = kura("find", "--subject-key", "NIS-00002", "--as", "1001", "--json")
    [hit] = found.json["records"]
    assert kura("open", hit["id"], "-o", "out.pdf", "--purpose", "case_processing", "--as", "1001").code == 0
    assert (empty / "out.pdf").read_bytes() == pdf(2)

    assert kura("scrub", "--as", "9001", "--json").json["checked"] == 4
    assert kura("doctor", "--json").code == 0
    assert kura("backup", "copy", "--as", "9001", "--json").code == 0
    restored = kura("restore", "copy", "second", "--epoch-dir", "vault.epoch", "--json")
    assert (restored.code, restored.json["halted"]) == (0, None)
    verified = kura("verify", "--json")
    assert (verified.code, verified.json["findings"]) == (0, [])


def test_shares_are_shown_once_and_open_the_vault(empty: Path, kura_process: Kura) -> None:
    kura = kura_process
    made = kura("init", "vault", "--policy", "nishinomiya", "--person", "1001:山田:scan_operator", "--shares", "2-of-3",
                "--json")  # fmt: skip
    assert made.code == 0, made.err
    assert len(made.json["shares"]) == 3
    (empty / "shares").write_text("\n".join(made.json["shares"][1:]) + "\n")
    assert kura("find", "--as", "1001", "--json").error_code == "vault-sealed"
    assert kura("find", "--as", "1001", "--passphrase-file", "shares").code == 0
    (empty / "shares").write_text(made.json["shares"][0])
    assert kura("find", "--as", "1001", "--passphrase-file", "shares", "--json").error_code == "shares-too-few"

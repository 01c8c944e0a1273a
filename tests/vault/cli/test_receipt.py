from pathlib import Path

import pytest
from kura_command import Kura, deposited
from vaults import pdf

from vault.ledger.note import VerifierKey


@pytest.fixture
def check(home: Path, kura: Kura, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    record = deposited(kura, "--receipts", "receipts")
    (home / "salt").write_text(record["salt"])
    (home / "log.vkey").write_text(record["log_vkey"] + "\n")
    monkeypatch.delenv("KURA_DIR")  # no vault is needed
    return ("receipt", "check", record["receipt"], "--log-key", "log.vkey", "--json")


def test_a_receipt_holds_without_any_vault(kura: Kura, check: tuple[str, ...], home: Path) -> None:
    checked = kura(*check)
    assert (checked.code, checked.json["kind"], checked.json["document"]) == (0, "record:deposit:accepted", None)
    vkey = (home / "log.vkey").read_text().strip()
    assert kura(*check[:3], "--log-key", vkey).code == 0
    assert kura(*check, "form.pdf", "--salt", (home / "salt").read_text()).json["document"] is True


def test_another_document_or_salt_is_found_out(kura: Kura, check: tuple[str, ...], home: Path) -> None:
    salt = (home / "salt").read_text()
    (home / "other.pdf").write_bytes(pdf(2))
    assert kura(*check, "other.pdf", "--salt", salt).error_code == "receipt-document-differs"
    assert kura(*check, "other.pdf", "--salt", salt).code == 1
    assert kura(*check, "form.pdf", "--salt", "0" * 64).error_code == "receipt-document-differs"
    assert kura(*check, "form.pdf", "--salt", "x").error_code == "receipt-salt-missing"
    assert kura(*check, "form.pdf").error_code == "receipt-salt-missing"
    assert kura(*check, "missing.pdf", "--salt", salt).error_code == "input-unreadable"


def test_every_altered_byte_of_a_receipt_is_found_out(kura: Kura, check: tuple[str, ...], home: Path) -> None:
    path = home / check[2]
    whole = path.read_bytes()
    for position in range(0, len(whole), 37):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert kura(*check).code == 1
    path.write_bytes(whole.replace(b"\n", b"\r\n"))
    assert kura(*check).code == 1
    path.write_bytes(whole)
    assert kura(*check).code == 0


def test_a_receipt_of_another_ledger_is_found_out(kura: Kura, check: tuple[str, ...], home: Path) -> None:
    own = VerifierKey.decode((home / "log.vkey").read_text().strip())
    for other in (VerifierKey.named(own.name, bytes(32)), VerifierKey.named("elsewhere", own.public_key)):
        (home / "log.vkey").write_text(other.encode())
        assert kura(*check).error_code == "receipt-checkpoint-invalid"
    (home / "log.vkey").write_text("nonsense")
    assert kura(*check).error_code == "verifier-key-malformed"

"""Real vaults, small and fast: founders, sample PDFs, requests and sources for tests."""

import io
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import buckets
import engines
import pikepdf

from vault.bootstrap import NewVault, create_vault, now_utc, open_vault
from vault.keys.custodian import CustodianSecret
from vault.people.persons import NewPerson
from vault.records.request import DepositRequest
from vault.records.source import FileSource
from vault.records.vault import Vault
from vault.settings import DatabaseSettings, SecondDiskSettings, StorageSettings

CONTRACT = "nishinomiya"
PASSPHRASE = "trial passphrase"
OPERATOR, MANAGER, ADMIN, OFFICER, AUDITOR, WORKER = "1001", "2001", "9001", "3001", "4001", "5001"
PEOPLE = (
    f"{OPERATOR}:山田花子:scan_operator",
    f"{MANAGER}:鈴木一郎:operations_manager",
    f"{ADMIN}:佐藤二郎:vault_admin",
    f"{OFFICER}:高橋三郎:security_officer",
    f"{AUDITOR}:田中四郎:city_auditor",
    f"{WORKER}:伊藤五郎:worker",
)


def policy_text() -> str:
    return files("policies").joinpath("nishinomiya.toml").read_text("utf-8")


def custodian() -> CustodianSecret:
    return CustodianSecret.from_passphrase(PASSPHRASE)


def new_vault(
    tmp_path: Path,
    *,
    sealed: bool = False,
    clock: Callable[[], datetime] | None = None,
    engines_used: dict[str, Any] | None = None,
    two_disks: bool = False,
) -> Vault:
    """Make a vault in `tmp_path`/vault, its epoch in `tmp_path`/vault.epoch; it does not unseal itself.

    `engines_used` is what of `on_engines(tmp_path)` it runs on; without, all of it in that world. With two disks, the
    second is `tmp_path`/second, its epoch `tmp_path`/second.epoch.
    """
    if engines_used is None:
        engines_used = on_engines(tmp_path) if engines.is_engines() else {}
    people = [NewPerson.parse(text) for text in PEOPLE]
    new = NewVault(
        policy_text(),
        people,
        custodian(),
        tmp_path / "vault.epoch",
        origin="kura.test/vault",
        scrypt_log2_n=4,
        second=second_disk(tmp_path) if two_disks else SecondDiskSettings(),
        **engines_used,
    )
    vault = create_vault(tmp_path / "vault", new, clock or now_utc)
    if sealed:
        vault.seal()
    return vault


def second_disk(tmp_path: Path) -> SecondDiskSettings:
    """The second disk's places below a folder."""
    return SecondDiskSettings(folder=tmp_path / "second", epoch_dir=tmp_path / "second.epoch")


def on_engines(tmp_path: Path) -> dict[str, Any]:
    """What of a new vault's settings names the engines of this run."""
    owner_url = engines.new_database()
    return {
        "database": DatabaseSettings(url=engines.service_url(owner_url)),
        "owner_url": owner_url,
        "hsm": engines.new_hsm("outside"),
        **({"storage": in_buckets(tmp_path)} if os.environ.get("KURA_TEST_OBJECTS") == "buckets" else {}),
    }


def in_buckets(tmp_path: Path, *, lock_s: int = 30) -> StorageSettings:
    """Two new buckets, whose credentials lie in `tmp_path`."""
    lines = (buckets.line(tmp_path), buckets.line(tmp_path))
    return StorageSettings(stores=lines, engine_lock_s=lock_s, engine_timeout_s=5.0)


def reopen(vault: Vault) -> Vault:
    """Close a vault and open its folder again: sealed if it was sealed, with the clock it had."""
    was_sealed = vault.is_sealed
    vault.close()
    return open_vault(vault.folder, None if was_sealed else custodian(), vault.ground.clock)


def pdf(n: int = 1, size: int = 2_000) -> bytes:
    """Make the `n`-th sample PDF, of about `size` bytes: always the same bytes for the same arguments."""
    filler = b"% " + random.Random(n).randbytes(max(0, size - 900)).hex()[: max(0, size - 900)].encode() + b"\n"
    file = io.BytesIO()
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=(595, 842))
        text = f"BT /F1 24 Tf 72 700 Td (Sample {n}) Tj ET\n".encode()
        page.Contents = document.make_stream(filler + text)
        document.save(file, deterministic_id=True, compress_streams=False)
    return file.getvalue()


def request(**overrides: object) -> DepositRequest:
    """Ask for a card application form that was received just now; any field may be given."""
    values: dict[str, Any] = {
        "id": new_id(),
        "class_id": "application_form",
        "subject_key": "NIS-00001",
        "started_at": None,
        "ended_at": now_utc(),
        "file_name": "form.pdf",
    }
    return DepositRequest(**(values | overrides))


def new_id(at: datetime | None = None) -> str:
    """Give a fresh UUIDv7."""
    milliseconds = int((at or datetime.now(UTC)).timestamp() * 1000)
    rest = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds << 80 | rest) & ~(0xF << 76) & ~(0x3 << 62)
    return str(UUID(int=value | 0x7 << 76 | 0x2 << 62))


def source(content: bytes, tmp_path: Path) -> FileSource:
    """Lay `content` in a file and give it as a source; the file's name is gone at once, its descriptor stays."""
    path = tmp_path / f"source-{os.urandom(4).hex()}"
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    path.unlink()
    return FileSource(fd)


@cache
def large_pdf() -> bytes:
    """A sample of several segments (about 3 MiB)."""
    return pdf(99, 3 << 20)

"""The vaults that are measured: made fresh under the shipped policy, everything checked as in production."""

import gc
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import uuid_utils

from bench.child import run
from bench.inputs import mp4_head, pdf
from vault.bootstrap import NewVault, create_vault, now_utc, open_vault
from vault.errors import KuraError
from vault.keys.custodian import CustodianSecret
from vault.people.actor import Actor
from vault.people.persons import NewPerson
from vault.records.bulk import deposit_many
from vault.records.deposited import Deposited
from vault.records.request import DepositRequest
from vault.records.source import BytesSource, FileSource
from vault.records.vault import Vault
from vault.settings import DatabaseSettings

CONTRACT = "nishinomiya"
PDF_CLASS, CALL_CLASS, VIDEO_CLASS = "application_form", "call_recording", "surveillance_video"
_PASSPHRASE = "bench"  # noqa: S105 - it guards random bytes
_CLERK, _MANAGER = "1001:Clerk:scan_operator", "1002:Manager:operations_manager"
_SCRYPT_LOG2_N = 4  # what it costs to open the key store is not measured


def make_vault(folder: Path, copies: int = 1, database: str | None = None) -> None:
    """Make a vault whose recordings have `copies` copies, in a process of its own, and leave it closed.

    Args:
        folder: a new one.
        copies: of recordings.
        database: URL of an empty PostgreSQL database; without it, an SQLite file in the folder.
    """
    run(_make, folder, copies, database)


@contextmanager
def opened(folder: Path) -> Iterator[Vault]:
    """Own a vault that `make_vault` made."""
    vault = open_vault(folder)
    gc.freeze()  # as whoever serves a vault does
    try:
        yield vault
    finally:
        vault.close()


def clerk(vault: Vault) -> Actor:
    """Give one who may deposit and read documents."""
    return vault.actor(_CLERK.partition(":")[0])


def manager(vault: Vault) -> Actor:
    """Give one who may deposit and read recordings, and read documents."""
    return vault.actor(_MANAGER.partition(":")[0])


def request_for(name: str) -> DepositRequest:
    """Say of a file what a depositor says."""
    is_video = name.endswith(".mp4")
    subject_key = None if is_video else f"NIS-{name.partition('.')[0]}"
    class_id = VIDEO_CLASS if is_video else PDF_CLASS
    return DepositRequest(str(uuid_utils.uuid7()), class_id, subject_key, None, now_utc(), file_name=name)


def recording_for() -> DepositRequest:
    """Say of a call's recording what the exchange says, that it ended just now."""
    return DepositRequest(str(uuid_utils.uuid7()), CALL_CLASS, None, None, now_utc())


def depositor_for(vault: Vault, name: str) -> Actor:
    """Give one who may deposit a file of this name."""
    return manager(vault) if name.endswith(".mp4") else clerk(vault)


def taken(outcome: Deposited | KuraError) -> Deposited:
    """Give the deposit, or raise what refused it: a benchmark refuses nothing."""
    if isinstance(outcome, KuraError):
        raise outcome
    return outcome


def import_files(vault: Vault, paths: Sequence[Path]) -> float:
    """Deposit files by bulk import, one record, event and encoded receipt for each; give the seconds."""
    items = ((request_for(path.name), partial(OpenedFile, path)) for path in paths)
    begin = time.perf_counter()
    actor = depositor_for(vault, paths[0].name)
    for _, outcome in deposit_many(vault.deposits, actor, CONTRACT, items):
        taken(outcome).receipt.encode()
    return time.perf_counter() - begin


def warm_up(vault: Vault, suffix: str) -> None:
    """Deposit one small file: a running vault has its workers started and its statements compiled."""
    content = pdf(os.urandom(16)) if suffix == ".pdf" else mp4_head(16) + os.urandom(16)
    name = f"warm{suffix}"
    vault.deposits.deposit(depositor_for(vault, name), CONTRACT, request_for(name), BytesSource(content))


def timed_import(folder: str, source: str) -> Mapping[str, Any]:
    """Open a vault and import every file of a folder."""
    paths = sorted(Path(source).iterdir())
    with opened(Path(folder)) as vault:
        warm_up(vault, paths[0].suffix)
        return {"seconds": import_files(vault, paths)}


def _make(folder: str, copies: int, database: str | None) -> Mapping[str, Any]:
    text = (files("policies") / f"{CONTRACT}.toml").read_text("utf-8").replace("copies = 2", f"copies = {copies}")
    path, secret = Path(folder), CustodianSecret.from_passphrase(_PASSPHRASE)
    people = [NewPerson.parse(_CLERK), NewPerson.parse(_MANAGER)]
    epoch_dir = path.with_name(path.name + ".epoch")
    new = NewVault(
        text,
        people,
        secret,
        epoch_dir,
        _PASSPHRASE,
        database=DatabaseSettings(url=database),
        scrypt_log2_n=_SCRYPT_LOG2_N,
    )
    create_vault(path, new).close()
    return {}


class OpenedFile(FileSource):
    """A file that is closed when it was read."""

    def __init__(self, path: Path) -> None:
        """Open it."""
        super().__init__(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def finish(self) -> None:
        """Check that it has not changed, then close it."""
        super().finish()
        os.close(self._fd)

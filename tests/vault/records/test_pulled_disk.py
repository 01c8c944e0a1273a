"""Either disk pulled under the load of a real process: nothing that was acknowledged is lost."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import two_disks_child
import vaults
from two_disks import bring_second_back, operator_events, pull_first, pull_second, rebuilt, rows_of

from vault.bootstrap import open_vault, verify_vault
from vault.ledger.event import EventKind
from vault.records.vault import Vault


@contextmanager
def depositing(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run the process that deposits; where the body has left it running, it is told to end."""
    roots = [str(Path(__file__).parents[3]), str(Path(two_disks_child.__file__).parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(roots)}
    command = [sys.executable, two_disks_child.__file__, str(folder / "vault")]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: "subprocess.Popen[str]", count: int | None = None) -> list[dict[str, Any]]:
    """Read so many lines, or all to the end."""
    assert process.stdout is not None
    if count is None:
        return [json.loads(line) for line in process.stdout]
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def end(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.close()


def require_acknowledged(vault: Vault, told: list[dict[str, Any]]) -> None:
    key = vault.ground.log_of(vaults.CONTRACT).key
    for line in told:
        receipt = vault.deposits.receipt(vaults.CONTRACT, line["id"])
        receipt.verify(key)
        assert receipt.encode() == line["receipt"]


@pytest.mark.parametrize("round_number", range(4))
def test_the_first_disk_pulled_under_load(tmp_path: Path, round_number: int) -> None:
    vaults.new_vault(tmp_path, two_disks=True).close()
    rng = random.Random(round_number)
    with depositing(tmp_path) as process:
        lines(process, 1)
        told = lines(process, rng.randrange(1, 60))
        if round_number % 2:
            pull_first(tmp_path)
        else:  # out of its place at one stroke, as a disk is: what is written goes on into files without a name
            (tmp_path / "vault").rename(tmp_path / "gone")
            shutil.rmtree(tmp_path / "vault.epoch")
        end(process) if rng.random() < 0.5 else None
        told += lines(process, 2)
        end(process)
        told += lines(process)
    refused = [line["refused"] for line in told if "refused" in line]
    # `commit-unknown`: pulled in the middle of a commit, which nobody can look up any more.
    known = {"first-disk-away", "store-failed", "object-missing", "guard-unwritable", "commit-unknown"}
    assert set(refused) <= known
    assert told[-1] == {"closed": True}
    assert not (tmp_path / "vault" / "kura.db").exists()
    acknowledged = [line for line in told if "id" in line]
    rebuilt(tmp_path)
    vault = open_vault(tmp_path / "new", vaults.custodian())
    assert vault.problem is None
    require_acknowledged(vault, acknowledged)
    vault.close()
    verdict = verify_vault(tmp_path / "new", vaults.custodian())
    assert {finding.code for finding in verdict.findings} == {"object-missing"}
    assert {finding.what for finding in verdict.findings} >= {f"records/{line['id']}" for line in acknowledged}


def test_the_second_disk_pulled_under_load_and_brought_back(tmp_path: Path) -> None:
    vaults.new_vault(tmp_path, two_disks=True).close()
    with depositing(tmp_path) as process:
        lines(process, 1)
        told = lines(process, 30)
        pull_second(tmp_path)
        told += lines(process, 60)
        bring_second_back(tmp_path)
        told += lines(process, 60)
        end(process)
        told += lines(process)
    assert not [line for line in told if "refused" in line]
    vault = open_vault(tmp_path / "vault", vaults.custodian())
    kinds = operator_events(vault)
    assert kinds.index(EventKind.SECOND_DISK_MISSED) < kinds.index(EventKind.SECOND_DISK_RENEWED)
    vault.close()
    assert verify_vault(tmp_path / "vault", vaults.custodian()).is_sound
    lost = rows_of(tmp_path / "vault" / "kura.db")
    pull_first(tmp_path)
    rebuilt(tmp_path)
    assert rows_of(tmp_path / "new" / "kura.db") == lost
    again = open_vault(tmp_path / "new", vaults.custodian())
    require_acknowledged(again, [line for line in told if "id" in line])
    again.close()

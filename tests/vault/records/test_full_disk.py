"""A full disk, made by the kernel for a real process: the cause is named, nothing is half-stored, work goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import crash_load
import pytest
import stored
import vaults

from vault.bootstrap import open_vault, verify_vault

SUPPORT = Path(crash_load.__file__).parent
ROOT = SUPPORT.parents[1]


class Child:
    """The process that deposits, and what it says."""

    def __init__(self, folder: Path, class_id: str) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(SUPPORT)])}
        command = [sys.executable, str(SUPPORT / "disk_child.py"), str(folder), class_id]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self._pid = self._hear()["pid"]

    def deposit(self) -> dict[str, Any]:
        return self._tell("go")

    def end(self) -> None:
        assert self._tell("end") == {"closed": True}
        self._process.communicate()
        assert self._process.returncode == 0

    @contextmanager
    def failing(self, call: str, error: str, nth: int, file: Path | None = None) -> Iterator[None]:
        """Let the n-th call of each thread and all later ones fail, as on a disk that is full and stays full."""
        only = ["-P", str(file)] if file is not None else []
        inject = f"inject={call}:error={error}:when={nth}+"
        command = ["strace", "-f", "-o", os.devnull, "-e", f"trace={call}", "-e", inject, *only, "-p", str(self._pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        first = tracer.stderr.readline()
        assert "attached" in first, first
        yield
        tracer.terminate()
        tracer.communicate()

    def _tell(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        heard: dict[str, Any] = json.loads(self._process.stdout.readline())
        return heard


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vaults.new_vault(tmp_path).close()
    return tmp_path / "vault"


FAILURES = {
    "no room for the object": ("write", "ENOSPC", None, "disk-full"),
    "quota used up": ("write", "EDQUOT", None, "disk-full"),
    "object cannot be synced": ("fsync", "EIO", None, "store-failed"),
    "object cannot be renamed": ("/^rename", "EIO", None, "store-failed"),
    "object's folder cannot be made": ("/^mkdir", "ENOSPC", None, "disk-full"),
    "no room for the commit": ("pwrite64", "ENOSPC", "kura.db-wal", "commit-failed"),
    "commit cannot be synced": ("fdatasync,fsync", "EIO", "kura.db-wal", "commit-failed"),
}


def require_whole(folder: Path, records: int) -> None:
    vault = open_vault(folder, vaults.custodian())
    try:
        assert stored.rows(vault, "SELECT count(*) FROM records") == [(records,)]
        assert len(stored.objects(vault)) == sum(n for [n] in stored.rows(vault, "SELECT copies FROM objects"))
    finally:
        vault.close()
    verdict = verify_vault(folder, vaults.custodian())
    assert not verdict.findings, [finding.sentence("en") for finding in verdict.findings]


@pytest.mark.parametrize(("call", "error", "file", "code"), FAILURES.values(), ids=FAILURES)
def test_a_failing_disk_is_named_and_leaves_nothing_half_stored(
    folder: Path, call: str, error: str, file: str | None, code: str
) -> None:
    child = Child(folder, "surveillance_video")  # two copies
    before = child.deposit() if "mkdir" not in call else {"files": []}
    with child.failing(call, error, 1, folder / file if file else None):
        outcome = child.deposit()
    assert outcome.get("refused") == code
    assert outcome["files"] == before["files"]
    assert "done" in child.deposit()
    child.end()
    require_whole(folder, 2 if "done" in before else 1)

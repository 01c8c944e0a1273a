"""Kill -9 from outside at every step that the second disk adds to the order of writes.

After each kill: the vault goes on with everything that was acknowledged; and with the first disk gone, what was
acknowledged by then is in the vault that is made anew from the second, with the receipts that were given.
"""

import os
import random
import re
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import crash_load
import pytest
import tracing
import vaults
from two_disks import rows_of

from vault.bootstrap import open_vault, verify_vault
from vault.records.rebuild import rebuild
from vault.records.vault import Vault

PROGRAM = Path(crash_load.__file__).with_name("crash_child.py")
ROUNDS = 3  # kills per step
MOST_ROUNDS = 20  # where the step was not hit yet
NAMES = ("second", "second.epoch")


@dataclass(frozen=True)
class Step:
    """One step: its system calls, the file where its name is fixed, how it shows, and whether a new base is made."""

    calls: str
    shows: str
    file: str | None = None
    is_renewed: bool = False


STEPS = {
    "record written": Step("pwrite64", r"rows/rows-\d+", "second/rows/rows-00000001"),
    "record synced": Step("fdatasync", r"rows/rows-\d+", "second/rows/rows-00000001"),
    "second guard written": Step("pwrite64", r"guard-nishinomiya", "second.epoch/guard-nishinomiya"),
    "second guard synced": Step("fdatasync", r"guard-nishinomiya", "second.epoch/guard-nishinomiya"),
    "second key file written": Step("write", r"/keys/store\.new", "second/keys/store.new"),
    "second key file renamed": Step("/^rename", r"/keys/store", "second/keys/store.new"),
    "commit synced": Step("fsync,fdatasync", r"kura\.db-wal", "vault/kura.db-wal"),
    "rows file begun": Step("pwrite64", r"rows/rows-\d+", is_renewed=True),
    "base written": Step("pwrite64", r"rows/base-\d+\.db\.part", is_renewed=True),
    "base synced": Step("fsync", r"rows/base-\d+", is_renewed=True),
    "base renamed": Step("/^rename", r"rows/base-\d+", is_renewed=True),
    "older ones removed": Step("unlink", r"rows/(rows|base)-\d+", is_renewed=True),
}


@dataclass
class World:
    """One vault on two disks that lives through all rounds of a step."""

    home: Path
    nursery: tracing.Nursery
    rng: random.Random
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)

    def round(self, step: Step, kill_at: int | None) -> tuple[list[tracing.Call], int]:
        """Run one load; give what it was traced at, and how it ended. It is killed at a thread's n-th call."""
        if step.is_renewed:
            fall_behind(self.home / "vault" / "kura.db")
        now, seed = crash_load.present(), self.rng.randrange(1 << 30)
        job = {"folder": str(self.home / "vault"), "seed": seed, "now": now.isoformat(), "sealed": False}
        log = self.home / "trace"
        strace = ["-o", str(log), "-e", f"trace={step.calls}"]
        if step.file is not None:
            strace += ["-P", str(self.home / step.file)]
        if kill_at is not None:
            strace += ["-e", f"inject={step.calls}:signal=SIGKILL:when={kill_at}"]
        lines = list(self.nursery.run(job, strace))
        assert not [line["failed"] for line in lines if "failed" in line]
        self.acknowledged |= {line["id"]: line for line in lines if "id" in line}
        return tracing.read_trace(log), lines[-1]["ended"]

    def require_in(self, vault: Vault) -> None:
        """Require every acknowledged receipt, byte for byte."""
        assert vault.problem is None
        for record_id, told in self.acknowledged.items():
            assert vault.deposits.receipt(vaults.CONTRACT, record_id).encode() == told["receipt"]

    def require_without_first(self) -> None:
        """Make the vault anew from a copy of the second disk alone, as if the first one had gone with the kill."""
        alone = self.home / "alone"
        shutil.rmtree(alone, ignore_errors=True)
        for name in NAMES:
            shutil.copytree(self.home / name, alone / name)
        settings = alone / "second" / "kura.toml"
        settings.write_text(settings.read_text().replace(f'"{self.home}/second', f'"{alone}/second'))
        rebuild(alone / "second", alone / "new", alone / "new.epoch")
        vault = open_vault(alone / "new", vaults.custodian())
        try:
            self.require_in(vault)
        finally:
            vault.close()


def fall_behind(database: Path) -> None:
    """Make the rows file one that does not continue the database, so that the next opening makes a new base."""
    with closing(sqlite3.connect(database)) as connection:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {number + 7}")


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    vaults.new_vault(tmp_path, two_disks=True).close()
    rng = random.Random(request.node.callspec.id)
    roots = [str(Path(__file__).parents[3]), str(PROGRAM.parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(roots)}
    with tracing.Nursery(PROGRAM, environment) as nursery:
        yield World(tmp_path, nursery, rng)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_kill_loses_nothing_on_either_disk(world: World, step: Step) -> None:
    calls, ended = world.round(step, kill_at=None)
    assert ended == 0
    ordinals = sorted({call.ordinal for call in calls if is_step(step, call)})
    assert ordinals, "the load never comes to this step"
    hits = rounds = 0
    while rounds < ROUNDS or (not hits and rounds < MOST_ROUNDS):
        rounds += 1
        calls, ended = world.round(step, kill_at := world.rng.choice(ordinals))
        hits += ended == signal.SIGKILL and any(is_step(step, call) for call in calls if call.ordinal == kill_at)
        world.require_without_first()
        vault = open_vault(world.home / "vault", vaults.custodian())
        try:
            world.require_in(vault)
            health = vault.second_disk.health()
            assert health is not None
            assert health.is_whole
        finally:
            vault.close()
    assert hits, "no round was killed at this step"
    verdict = verify_vault(world.home / "vault", vaults.custodian())
    assert not verdict.findings, [finding.sentence("en") for finding in verdict.findings]
    rebuild(world.home / "second", world.home / "new", world.home / "new.epoch")
    assert rows_of(world.home / "new" / "kura.db") == rows_of(world.home / "vault" / "kura.db")


def is_step(step: Step, call: tracing.Call) -> bool:
    return re.search(step.shows, call.arguments) is not None

"""Kill -9 from outside, at a seeded write, sync, rename or commit, under a mixed load of two threads.

Whatever step of the order of writes is cut: what was acknowledged is there, verifies, and has the receipt it had;
nothing unacknowledged is half there; the caller's retry succeeds; the ledger goes on.
"""

import hashlib
import os
import random
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crash_load
import pytest
import tracing
import vaults
from blake3 import blake3
from crash_load import Planned
from sqlalchemy import func, select

from vault.bootstrap import open_vault, verify_vault
from vault.ledger.event import EventKind, decode_entry
from vault.people.actor import Actor
from vault.records.vault import Vault
from vault.storage.tables import EventPartRow, EventRow, LedgerRow, ObjectRow, RecordRow

PROGRAM = Path(crash_load.__file__).with_name("crash_child.py")
ROUNDS = 11  # kills per step
MOST_ROUNDS = 60  # where threads came another way than in the first, unkilled run, and the step was not hit yet
SYNC = "fsync,fdatasync"
OURS = "fsync"  # without the database's, which would be counted with those that are sought
PART = r"/objects/[ab]/[0-9a-f]{2}/[0-9a-f]{32}\.part"


@dataclass(frozen=True)
class Step:
    """One step of the order of writes: its system calls, the file where its name is fixed, and how it shows."""

    calls: str
    shows: str
    file: str | None = None
    is_taken_sealed: bool = True  # whether a sealed vault takes it, too


STEPS = {
    "object written": Step("write", PART),
    "object synced": Step(OURS, PART),
    "object renamed": Step("/^rename", PART),
    "object's folder synced": Step(OURS, r"/objects/[ab]/[0-9a-f]{2}>"),
    "store's folder synced": Step(OURS, r"/objects/[ab]>"),
    "key file written": Step("write", r"/keys/store\.new", "vault/keys/store.new", is_taken_sealed=False),
    "key file synced": Step(SYNC, r"/keys/store\.new", "vault/keys/store.new", is_taken_sealed=False),
    "key file renamed": Step("/^rename", r"/keys/store", "vault/keys/store.new", is_taken_sealed=False),
    "key folder synced": Step(SYNC, r"/keys>", "vault/keys", is_taken_sealed=False),
    "write-ahead log written": Step("pwrite64", r"kura\.db-wal", "vault/kura.db-wal"),
    "commit synced": Step(SYNC, r"kura\.db-wal", "vault/kura.db-wal"),
    "database written": Step("pwrite64", r"kura\.db>", "vault/kura.db"),
    "database synced": Step(SYNC, r"kura\.db>", "vault/kura.db"),
    "guard written": Step("pwrite64", r"guard-nishinomiya", "vault.epoch/guard-nishinomiya"),
    "guard synced": Step(SYNC, r"guard-nishinomiya", "vault.epoch/guard-nishinomiya"),
    "tile written": Step("write", r"/ledgers/[^/]+/tile/.*\.new"),
    "tile synced": Step(OURS, r"/ledgers/[^/]+/tile/.*\.new"),
    "tile renamed": Step("/^rename", r"/ledgers/[^/]+/tile/"),
    "checkpoint renamed": Step("/^rename", r"/ledgers/[^/]+/checkpoint\.new"),
}


def test_at_least_two_hundred_rounds_are_killed() -> None:
    assert len(STEPS) * ROUNDS >= 200


@dataclass
class World:
    """One vault that lives through all rounds of a step."""

    folder: Path
    nursery: tracing.Nursery
    rng: random.Random
    acknowledged: dict[str, dict[str, Any]]

    def round(self, step: Step, kill_at: int | None) -> tuple[crash_load.Load, list[tracing.Call], int]:
        """Run one load; give it, what it was traced at, and how it ended. It is killed at a thread's n-th call."""
        now, seed = crash_load.present(), self.rng.randrange(1 << 30)
        is_sealed = step.is_taken_sealed and kill_at is not None and self.rng.random() < 0.25
        job = {"folder": str(self.folder), "seed": seed, "now": now.isoformat(), "sealed": is_sealed}
        log = self.folder.parent / "trace"
        strace = ["-o", str(log), "-e", f"trace={step.calls}"]
        if step.file is not None:
            strace += ["-P", str(self.folder.parent / step.file)]
        if kill_at is not None:
            strace += ["-e", f"inject={step.calls}:signal=SIGKILL:when={kill_at}"]
        lines = list(self.nursery.run(job, strace))
        assert not [line["failed"] for line in lines if "failed" in line]
        self.acknowledged |= {line["id"]: line for line in lines if "id" in line}
        calls = tracing.read_trace(log)
        return crash_load.plan(seed, now, is_sealed=is_sealed), calls, lines[-1]["ended"]


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    vaults.new_vault(tmp_path).close()
    rng = random.Random(request.node.callspec.id)
    roots = [str(Path(__file__).parents[3]), str(PROGRAM.parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(roots)}
    with tracing.Nursery(PROGRAM, environment) as nursery:
        yield World(tmp_path / "vault", nursery, rng, {})


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_what_was_acknowledged_survives_a_kill_and_nothing_else_is_half_there(world: World, step: Step) -> None:
    _, calls, ended = world.round(step, kill_at=None)
    assert ended == 0
    ordinals = sorted({call.ordinal for call in calls if is_step(step, call)})
    assert ordinals, "the load never comes to this step"
    hits = rounds = 0
    while rounds < ROUNDS or (not hits and rounds < MOST_ROUNDS):
        rounds += 1
        before = set(world.acknowledged)
        load, calls, ended = world.round(step, kill_at := world.rng.choice(ordinals))
        hits += ended == signal.SIGKILL and any(is_step(step, call) for call in calls if call.ordinal == kill_at)
        require_nothing_lost(world, load, set(world.acknowledged) - before)
    assert hits, "no round was killed at this step"
    verdict = verify_vault(world.folder, vaults.custodian())
    assert not verdict.findings, [finding.sentence("en") for finding in verdict.findings]


def is_step(step: Step, call: tracing.Call) -> bool:
    return re.search(step.shows, call.arguments) is not None


def require_nothing_lost(world: World, load: crash_load.Load, acknowledged: set[str]) -> None:
    vault = open_vault(world.folder, vaults.custodian())
    try:
        assert vault.problem is None
        require_whole_or_absent(vault)
        manager = vault.actor(vaults.MANAGER)
        planned = {one.request.id: one for one in load.records}
        for record_id in acknowledged:
            require_as_acknowledged(vault, manager, planned[record_id], world.acknowledged[record_id])
        for record_id in planned.keys() - acknowledged:
            done = crash_load.deposit(vault, manager, planned[record_id])
            done.receipt.verify(vault.ground.log_of(vaults.CONTRACT).key)
        require_whole_or_absent(vault)
        assert planned.keys() <= records_with_events(vault)
    finally:
        vault.close()


def require_as_acknowledged(vault: Vault, actor: Actor, planned: Planned, told: dict[str, Any]) -> None:
    receipt = vault.deposits.receipt(vaults.CONTRACT, planned.request.id)
    receipt.verify(vault.ground.log_of(vaults.CONTRACT).key)
    assert receipt.encode() == told["receipt"]
    assert crash_load.read(vault, actor, planned.request.id) == planned.content
    again = crash_load.deposit(vault, actor, planned)
    digest = hashlib.sha256(planned.content).hexdigest()
    assert (again.is_new, again.receipt.encode(), told["digest"]) == (False, told["receipt"], digest)


def records_with_events(vault: Vault) -> set[str]:
    """The records that the ledger has, each by exactly one event."""
    with vault.ground.engine.connect() as connection:
        events = [decode_entry(entry).event for entry in connection.scalars(select(EventRow.entry))]
    ids = [str(event.body["record"]) for event in events if event.kind is EventKind.DEPOSIT_ACCEPTED]
    assert len(ids) == len(set(ids))
    return set(ids)


def require_whole_or_absent(vault: Vault) -> None:
    """Hold rows, events and objects against each other."""
    with vault.ground.engine.connect() as connection:
        records = set(connection.scalars(select(RecordRow.id)))
        assert set(connection.scalars(select(RecordRow.is_indexed))) <= {True}
        objects = connection.execute(
            select(
                ObjectRow.record_id, ObjectRow.name, ObjectRow.sealed_bytes, ObjectRow.sealed_blake3, ObjectRow.copies
            )
        ).all()
        sizes = dict(connection.execute(select(LedgerRow.id, LedgerRow.size)).all())
        counted = dict(connection.execute(select(EventRow.ledger_id, func.count()).group_by(EventRow.ledger_id)).all())
        parts = connection.scalar(select(func.count()).select_from(EventPartRow))
        entries = [decode_entry(entry) for entry in connection.scalars(select(EventRow.entry))]
    assert records == records_with_events(vault) == {row.record_id for row in objects}
    assert sizes == counted
    assert parts == sum(entry.part is not None for entry in entries)
    for row in objects:
        for store in ("a", "b")[: row.copies]:
            sealed = (vault.folder / "objects" / store / row.name[:2] / row.name).read_bytes()
            assert (len(sealed), blake3(sealed).digest()) == (row.sealed_bytes, row.sealed_blake3)

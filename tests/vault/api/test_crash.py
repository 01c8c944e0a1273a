"""Kill -9 of the service, at a seeded system call, while stations send over TLS: nothing acknowledged is ever lost.

Stations send again what was not acknowledged, with the same id and number: in the end all is there once.
"""

import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import crash_stations
import pytest
import stored
import tracing
import vaults
from crash_stations import Sender
from narrow_api import Api

from vault.bootstrap import open_vault, verify_vault
from vault.ledger.event import EventKind
from vault.records.numbering import Numbers, numbers_from

PROGRAM = Path(crash_stations.__file__).with_name("served_child.py")
ROUNDS = int(os.environ.get("KURA_CRASH_ROUNDS", "12"))  # kills per kind of call
SENDERS = (("counter", 2), ("exchange", 2), ("recorder", 1))
EACH = 2  # sent per station and round
CALLS = {
    "written": "write,writev,pwrite64,pwritev",
    "synced": "fsync,fdatasync",
    "renamed": "/^rename",
    "removed": "/^unlink",
    "sent": "sendto,sendmsg,write",
}


@dataclass
class World:
    """A vault that lives through all kills, and its stations."""

    folder: Path
    nursery: tracing.Nursery
    senders: list[Sender]
    rng: random.Random

    def round(self, calls: str, kill_at: int | None) -> tuple[int, list[tracing.Call]]:
        """Serve, send, and be killed at a thread's n-th call; say how it ended, and what was traced."""
        log = self.folder.parent / "trace"
        strace = ["-o", str(log), "-e", f"trace={calls}"]
        if kill_at is not None:
            strace += ["-e", f"inject={calls}:signal=SIGKILL:when={kill_at}"]
        lines = self.nursery.run({"folder": str(self.folder)}, strace)
        line = next(lines)
        if "port" in line:
            with ThreadPoolExecutor(len(self.senders)) as pool:
                lived = list(pool.map(lambda sender: sender.work(line["port"], EACH), self.senders))
            if all(lived):
                os.kill(line["pid"], signal.SIGTERM)
            *_, line = lines
        else:
            assert list(lines) == []
        return line["ended"], tracing.read_trace(log)


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    vault = vaults.new_vault(tmp_path)
    rng = random.Random(request.node.callspec.id)
    names = [(f"{kind}-{number}", kind) for kind, count in SENDERS for number in range(count)]
    api = Api(vault, 0, tmp_path)
    senders = [Sender(name, kind, api.station(name, kind).context, random.Random(rng.random())) for name, kind in names]
    vault.close()
    roots = [str(Path(__file__).parents[3]), str(PROGRAM.parent)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(roots)}
    with tracing.Nursery(PROGRAM, environment) as nursery:
        yield World(vault.folder, nursery, senders, rng)


@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
def test_what_was_acknowledged_survives_a_kill_of_the_service(world: World, calls: str) -> None:
    ended, traced = world.round(calls, kill_at=None)
    assert ended == 0
    most = max(call.ordinal for call in traced)
    killed = 0
    for _ in range(ROUNDS):
        ended, _ = world.round(calls, kill_at=world.rng.randint(1, most))
        assert ended in (0, signal.SIGKILL)
        killed += ended == signal.SIGKILL
    assert killed >= ROUNDS // 2
    ended, _ = world.round("none", kill_at=None)
    assert ended == 0
    require_all_once(world)
    assert verify_vault(world.folder, vaults.custodian()).findings == []


def require_all_once(world: World) -> None:
    vault = open_vault(world.folder, vaults.custodian())
    try:
        assert vault.problem is None
        events = stored.events(vault, vault.ground.log_of(vaults.CONTRACT).id, EventKind.DEPOSIT_ACCEPTED)
        in_ledger = sorted(str(event.body["record"]) for event in events)
        assert in_ledger == sorted(record_id for sender in world.senders for record_id in sender.receipts)
        assert stored.rows(vault, "SELECT count(*) FROM records") == [(len(in_ledger),)]
        with vault.ground.engine.connect() as connection:
            for sender in world.senders:
                assert sender.waiting == []
                assert numbers_from(connection, sender.name) == Numbers(sender.newest, sender.newest, [])
                assert len(sender.receipts) == sender.newest
    finally:
        vault.close()

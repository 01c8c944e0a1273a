"""Starting processes that append to shared ledgers, and looking at what became of it all."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ledgers import LedgerBench
from sequencing import numbers
from sqlalchemy import select

from vault.ledger.checkpoint import open_checkpoint
from vault.ledger.merkle import CompactRange, leaf_hash
from vault.storage.tables import CheckpointRow, EventRow, PersonRow


@dataclass
class Appender:
    """One process; `lines` is what it has said."""

    process: "subprocess.Popen[str]"
    lines: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._said, self._has_ended = threading.Condition(), False
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait_for(self, count: int) -> None:
        """Wait until so many of its events were acknowledged."""
        with self._said:
            assert self._said.wait_for(lambda: len(self.acknowledged) >= count or self._has_ended, timeout=90)
            assert len(self.acknowledged) >= count

    @property
    def acknowledged(self) -> list[dict[str, Any]]:
        return [line for line in list(self.lines) if "index" in line]

    @property
    def refusals(self) -> list[str]:
        return [line["refused"] for line in list(self.lines) if "refused" in line]

    def ready(self) -> "Appender":
        with self._said:
            assert self._said.wait_for(lambda: bool(self.lines) or self._has_ended, timeout=90)
            assert self.lines
        return self

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.process.pid, number)

    def finish(self) -> "Appender":
        """Wait for its end."""
        assert self.process.stdin is not None
        self.process.wait(timeout=150)
        self._reading.join()
        self.process.stdin.close()
        return self

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip():
                with self._said:
                    self.lines.append(json.loads(line))
                    self._said.notify_all()
        self.process.stdout.close()
        with self._said:
            self._has_ended = True
            self._said.notify_all()


def appender(
    bench: LedgerBench, folder: Path, first: int, count: int, *, ledgers: tuple[str, ...], **more: float
) -> Appender:
    """Start a process that appends to ledgers of `bench`; it waits for "go"."""
    raw = (Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    job = {
        "url": bench.url,
        "folder": str(folder),
        "keys": {name: key.private_bytes(*raw).hex() for name, key in bench.signing_keys.items()},
        "ledgers": ledgers,
        "first": first,
        "count": count,
        "threads": 1,
    }
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("appending_child.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[2]}"},
    )
    started = Appender(process)
    started.tell(json.dumps(job | more))
    return started


def require_whole(bench: LedgerBench, ledgers: tuple[str, ...], *processes: Appender) -> None:
    """Everything acknowledged is where it was said to be, nothing is there twice, and every checkpoint holds."""
    stored = {ledger_id: numbers(bench, ledger_id) for ledger_id in ledgers}
    everything = Counter(number for found in stored.values() for number in found)
    assert max(everything.values()) == 1
    for process in processes:
        for line in process.acknowledged:
            assert stored[line["ledger"]][line["index"]] == line["number"]
            assert line["index"] < line["size"]
    with bench.engine.connect() as connection:
        assert Counter(int(number) for number in connection.scalars(select(PersonRow.number))) == everything
    for ledger_id in ledgers:
        require_checkpoints(bench, ledger_id)


def require_checkpoints(bench: LedgerBench, ledger_id: str) -> None:
    """Every checkpoint that was signed is one of the tree that the entries make, and so is the head."""
    with bench.engine.connect() as connection:
        entries = list(
            connection.scalars(
                select(EventRow.entry).where(EventRow.ledger_id == ledger_id).order_by(EventRow.entry_index)
            )
        )
        notes = connection.execute(
            select(CheckpointRow.size, CheckpointRow.note)
            .where(CheckpointRow.ledger_id == ledger_id)
            .order_by(CheckpointRow.size)
        ).all()
    [log] = [log for log in bench.logs() if log.id == ledger_id]
    grown = CompactRange()
    for size, note in notes:
        grown = grown.extend([leaf_hash(entry) for entry in entries[grown.size : size]])
        signed = open_checkpoint(note, log.key)
        assert (signed.size, signed.root) == (size, grown.root())
        assert log.root_at(size) == grown.root()  # by the tiles
    assert (log.size, log.head) == (len(entries), grown)

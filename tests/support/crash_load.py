"""A mixed load on a vault, the same for the same seed: what is deposited, read and searched, and in which order.

The child that is killed runs it; the parent, which must know what was under way, reads the same plan.
"""

import io
import random
import threading
import wave
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import vaults

from vault.bootstrap import now_utc, open_vault
from vault.errors import KuraError
from vault.people.actor import Actor
from vault.people.purpose import ViewPurpose
from vault.records.deposited import Deposited
from vault.records.order import Order
from vault.records.prepare import Prepared
from vault.records.reading import Purpose
from vault.records.request import DepositRequest
from vault.records.search import Query
from vault.records.vault import Vault

LARGE = 1_200_000  # more than one segment

Acknowledge = Callable[[Deposited], None]


@dataclass(frozen=True)
class Planned:
    """One record that the load deposits."""

    request: DepositRequest
    content: bytes


@dataclass(frozen=True)
class Load:
    """Records deposited one by one, and one batch; `is_sealed` runs it without the custodians' secret."""

    singles: list[Planned]
    batch: list[Planned]
    is_sealed: bool

    @property
    def records(self) -> list[Planned]:
        return self.singles + self.batch


class BytesSource:
    """A source in memory, strict: it is read once, to its end, and says so."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    def read_into(self, buffer: memoryview) -> int:
        part = self._content[self._position :][: len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def finish(self) -> None:
        assert self._position == len(self._content)

    def rewind(self) -> None:
        self._position = 0


def sound(seed: int, samples: int) -> bytes:
    """A WAV file of 16-bit samples at 8 kHz."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setframerate(8000)
        file.setsampwidth(2)
        file.writeframes(random.Random(seed).randbytes(2 * samples))
    return out.getvalue()


def video(seed: int, size: int) -> bytes:
    """The boxes of an MP4 file around random bytes."""

    def box(name: bytes, body: bytes) -> bytes:
        return (8 + len(body)).to_bytes(4, "big") + name + body

    filler = random.Random(seed).randbytes(size)
    return box(b"ftyp", b"isom\0\0\2\0isom") + box(b"moov", bytes(20)) + box(b"mdat", filler)


def plan(seed: int, now: datetime, *, is_sealed: bool) -> Load:
    """Plan a load: calls, of which some need a bucket of another day, video in two copies, and a batch."""
    rng = random.Random(seed)

    def planned(class_id: str, content: bytes, days_ago: int) -> Planned:
        ended_at = now - timedelta(days=days_ago, seconds=rng.randrange(1, 3600))
        key = f"NIS-{rng.randrange(30):05d}" if class_id == "call_recording" else None
        started_at = ended_at - timedelta(seconds=10)
        return Planned(DepositRequest(_id(rng, now), class_id, key, started_at, ended_at, "main_office"), content)

    def call(days_ago: int = 0) -> Planned:
        return planned("call_recording", sound(rng.randrange(1 << 30), rng.randrange(20, 4000)), days_ago)

    long_ago = [] if is_sealed else [call(rng.randrange(3, 150))]  # a sealed vault cannot make its bucket
    clip = planned("surveillance_video", video(rng.randrange(1 << 30), rng.choice([900, LARGE])), 0)
    singles = [call(), *long_ago, clip, call()]
    return Load(singles, [call() for _ in range(4)], is_sealed)


def run_load(folder: Path, load: Load, acknowledge: Acknowledge) -> None:
    """Open the vault, do everything, two threads at a time, and close it."""
    vault = open_vault(folder, None if load.is_sealed else vaults.custodian())
    manager = vault.actor(vaults.MANAGER)
    other = threading.Thread(target=_other_work, args=(vault, manager, load, acknowledge))
    other.start()
    for planned in load.singles:
        acknowledge(deposit(vault, manager, planned))
        if not load.is_sealed:
            read(vault, manager, planned.request.id)
    other.join()
    vault.close()


def deposit(vault: Vault, actor: Actor, planned: Planned) -> Deposited:
    return vault.deposits.deposit(actor, vaults.CONTRACT, planned.request, BytesSource(planned.content))


def read(vault: Vault, actor: Actor, record_id: str) -> bytes:
    purpose = Purpose(ViewPurpose.INQUIRY_ANSWER, "問合せ")
    return b"".join(bytes(part) for part in vault.readings.read(actor, vaults.CONTRACT, record_id, purpose).parts())


def _other_work(vault: Vault, manager: Actor, load: Load, acknowledge: Acknowledge) -> None:
    orders = [
        Order(manager, vaults.CONTRACT, planned.request, partial(BytesSource, planned.content))
        for planned in load.batch
    ]
    prepared = vault.deposits.prepare_many(orders)
    outcomes = vault.deposits.commit([one for one in prepared if isinstance(one, Prepared)])
    if len(outcomes) < len(orders):
        raise AssertionError(prepared)
    for outcome in outcomes:
        if isinstance(outcome, KuraError):
            raise outcome
        acknowledge(outcome)
    if load.is_sealed:
        return
    for planned in load.batch:
        key = planned.request.subject_key
        vault.searches.search(manager, vaults.CONTRACT, Query(class_ids=["call_recording"], subject_key=key))
        read(vault, manager, planned.request.id)


def _id(rng: random.Random, now: datetime) -> str:
    value = (int(now.timestamp() * 1000) << 80 | rng.getrandbits(80)) & ~(0xF << 76) & ~(0x3 << 62)
    return str(UUID(int=value | 0x7 << 76 | 0x2 << 62))


def present() -> datetime:
    """The instant that a plan is made for; parent and child are told the same."""
    return now_utc()

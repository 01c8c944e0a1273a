"""Five years of a vault against a model of it: on the embedded adapters, and on ones in memory that are stricter."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import crash_load
import vaults
from crash_load import BytesSource
from in_memory import in_memory

from vault.bootstrap import verify_vault
from vault.people.purpose import ViewPurpose
from vault.records.deposited import Deposited
from vault.records.orphans import sweep_orphans
from vault.records.reading import Purpose
from vault.records.request import DepositRequest
from vault.records.scrub import scrub
from vault.records.search import Query
from vault.records.vault import Vault

BEGIN = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)
END = BEGIN + timedelta(days=5 * 365 + 1)
PURPOSE = Purpose(ViewPurpose.CASE_PROCESSING)
CLASSES = ("application_form", "call_recording", "counter_tally")


@dataclass
class Clock:
    """A clock that moves when it is told to."""

    now: datetime = BEGIN

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Kept:
    """A record as the model remembers it."""

    request: DepositRequest
    content: bytes


@dataclass
class Model:
    """What a vault must hold, and what may be asked of it."""

    vault: Vault
    clock: Clock
    chance: random.Random
    kept: dict[str, Kept] = field(default_factory=dict)

    def live(self) -> None:
        """Let some days go by, and do what such days bring."""
        self.clock.now += timedelta(days=self.chance.randrange(1, 31), seconds=self.chance.randrange(86400))
        if self.chance.random() < 0.3:
            self.vault = vaults.reopen(self.vault)
        if self.vault.is_sealed:
            self.vault.unseal(vaults.custodian())
        self.vault.make_ahead()
        if self.chance.random() < 0.3:
            self.vault.seal()
        for _ in range(self.chance.randrange(4)):
            self.deposit()
        if self.vault.is_sealed:
            self.vault.unseal(vaults.custodian())
        self.read()
        if self.chance.random() < 0.15:  # it opens the bucket of every day so far
            self.search()
        if self.chance.random() < 0.2:
            sweep_orphans(self.vault.ground)

    def deposit(self) -> None:
        class_id = self.chance.choice(CLASSES)
        subject_key = f"NIS-{self.chance.randrange(30):05}" if class_id == "application_form" else None
        ended_at = self.clock.now - timedelta(seconds=self.chance.randrange(3600))
        wanted = vaults.request(
            id=vaults.new_id(self.clock.now),
            class_id=class_id,
            subject_key=subject_key,
            ended_at=ended_at,
            file_name=None,
        )
        content = self.content(class_id)
        taken = self.send(wanted, content)
        taken.receipt.verify(self.vault.ground.log_of(vaults.CONTRACT).key)
        self.kept[wanted.id] = Kept(wanted, content)
        if self.chance.random() < 0.2:  # an answer that was lost: the same again
            assert self.send(wanted, content).receipt == taken.receipt

    def send(self, wanted: DepositRequest, content: bytes) -> Deposited:
        actor = self.vault.actor(vaults.OPERATOR if wanted.class_id == "application_form" else vaults.MANAGER)
        return self.vault.deposits.deposit(actor, vaults.CONTRACT, wanted, BytesSource(content))

    def content(self, class_id: str) -> bytes:
        number = self.chance.randrange(1000)
        if class_id == "application_form":
            return vaults.pdf(number)
        return crash_load.sound(number, 300) if class_id == "call_recording" else b"class,count\nx,%d\n" % number

    def read(self) -> None:
        if not self.kept:
            return
        one = self.kept[self.chance.choice(list(self.kept))]
        reading = self.vault.readings.read(self.vault.actor(vaults.MANAGER), vaults.CONTRACT, one.request.id, PURPOSE)
        assert b"".join(map(bytes, reading.parts())) == one.content

    def search(self) -> None:
        number = f"NIS-{self.chance.randrange(30):05}"
        page = self.vault.searches.search(
            self.vault.actor(vaults.MANAGER), vaults.CONTRACT, Query(subject_key=number, limit=500)
        )
        wanted = {one.request.id for one in self.kept.values() if one.request.subject_key == number}
        assert {row["id"] for row in page.records} == wanted


def live_five_years(folder: Path) -> Model:
    """Make a vault and let it live; what it then holds is what the model says."""
    clock = Clock()
    model = Model(vaults.new_vault(folder, clock=clock), clock, random.Random(2031))
    try:
        while clock.now < END:
            model.live()
        model.search()
        officer = model.vault.actor(vaults.OFFICER)
        progress = scrub(
            model.vault.ground, model.vault.buckets, officer, vaults.CONTRACT, lambda _: None, lambda _: None
        )
        assert (progress.checked, progress.damaged) == (len(model.kept), ())
    finally:
        model.vault.close()
    verdict = verify_vault(model.vault.folder, vaults.custodian())
    assert verdict.is_sound, verdict.findings
    assert verdict.counts["records"] == len(model.kept)
    return model


def test_five_years_are_as_the_model_says(tmp_path: Path) -> None:
    live_five_years(tmp_path)


def test_five_years_in_memory_are_as_the_model_says_and_no_object_ever_changes(tmp_path: Path) -> None:
    with in_memory() as stores:
        model = live_five_years(tmp_path)
    assert [len(list(store.listed())) for store in stores] == [len(model.kept), 0]
    assert [(store.open_uploads, store.open_readers) for store in stores] == [({}, 0)] * 2
    folder = model.vault.folder
    assert not any((folder / where).exists() for where in ("objects", "keys/store"))  # all of it was in memory

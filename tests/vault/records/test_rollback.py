"""Yesterday's database put back, or another one beside: the vault stands still, says why, and recovers openly."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import vaults
from ledger_vectors import refused
from ledgers import put_back, save
from sqlalchemy import select

from vault.bootstrap import open_vault
from vault.errors import IntegrityError, KuraError, RefusedError, SealedError
from vault.ledger.event import EventKind, decode_entry
from vault.ledger.log import Log
from vault.people.purpose import ViewPurpose
from vault.records.deposited import Deposited
from vault.records.orphans import find_orphans, sweep_orphans
from vault.records.reading import Purpose
from vault.records.search import Query
from vault.records.vault import Vault
from vault.storage.tables import EventRow

pytestmark = pytest.mark.both_worlds

PURPOSE = Purpose(ViewPurpose.CASE_PROCESSING)


class Clock:
    """A clock that a test turns on."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def deposit(vault: Vault, tmp_path: Path, number: int) -> Deposited:
    request = vaults.request(ended_at=vault.ground.clock() - timedelta(hours=1))
    actor = vault.actor(vaults.OPERATOR)
    return vault.deposits.deposit(actor, vaults.CONTRACT, request, vaults.source(vaults.pdf(number), tmp_path))


class Past:
    """A vault with yesterday's database put back: `kept` was in it, `lost` came later."""

    def __init__(self, tmp_path: Path, clock: Clock) -> None:
        vault = vaults.new_vault(tmp_path, clock=clock)
        self.kept = deposit(vault, tmp_path, 1)
        vault.close()
        self.database = vault.folder / "kura.db"
        yesterday = save(self.database, tmp_path / "yesterday")
        vault = open_vault(vault.folder, vaults.custodian(), clock)
        self.old_log: Log = vault.ground.log_of(vaults.CONTRACT)
        self.size_yesterday = self.old_log.size
        self.lost = deposit(vault, tmp_path, 2)
        vault.close()
        self.size_today = self.old_log.size
        put_back(self.database, yesterday)
        self.folder, self.clock = vault.folder, clock

    def open(self, *, sealed: bool = False) -> Vault:
        return open_vault(self.folder, None if sealed else vaults.custodian(), self.clock)


@pytest.fixture
def past(tmp_path: Path, clock: Clock) -> Past:
    return Past(tmp_path, clock)


@pytest.fixture
def halted(past: Past) -> Iterator[Vault]:
    vault = past.open()
    yield vault
    vault.close()


def events(vault: Vault, ledger_id: str) -> list[tuple[EventKind, dict[str, object]]]:
    with vault.ground.engine.connect() as connection:
        query = select(EventRow.entry).where(EventRow.ledger_id == ledger_id).order_by(EventRow.entry_index)
        found = [decode_entry(entry).event for entry in connection.scalars(query)]
    return [(event.kind, dict(event.body)) for event in found]


def test_an_older_database_stops_everything_with_the_reason(halted: Vault, past: Past, tmp_path: Path) -> None:
    assert halted.problem is not None
    assert halted.problem.code == "ledger-went-back"
    assert halted.problem.facts["size"] < halted.problem.facts["known"]  # type: ignore[operator]  # both are sizes
    before = halted.ground.log_of(vaults.CONTRACT).size
    with refused(IntegrityError, "ledger-went-back"):
        deposit(halted, tmp_path, 3)
    with refused(IntegrityError, "ledger-went-back"):
        halted.readings.read(halted.actor(vaults.OPERATOR), vaults.CONTRACT, past.kept.record_id, PURPOSE)
    with refused(IntegrityError, "ledger-went-back"):
        halted.searches.search(halted.actor(vaults.OPERATOR), vaults.CONTRACT, Query())
    assert halted.ground.log_of(vaults.CONTRACT).size == before


def test_a_refused_deposit_leaves_no_object(halted: Vault, tmp_path: Path) -> None:
    before = sorted((halted.folder / "objects").rglob("*"))
    with refused(IntegrityError, "ledger-went-back"):
        deposit(halted, tmp_path, 3)
    assert [path for path in sorted((halted.folder / "objects").rglob("*")) if path.is_file()] == [
        path for path in before if path.is_file()
    ]


def test_the_sweep_stands_still_while_a_rollback_is_open(halted: Vault, past: Past) -> None:
    past.clock.now += timedelta(days=3)
    assert [orphan.name for orphan in find_orphans(halted.ground)] != []
    with refused(IntegrityError, "sweep-stands-still"):
        sweep_orphans(halted.ground)


def test_it_goes_on_halting_after_every_restart_until_it_is_recovered(past: Past) -> None:
    for sealed in (False, True, False):
        vault = past.open(sealed=sealed)
        assert vault.problem is not None
        assert vault.problem.code == "ledger-went-back"
        vault.close()


def test_nothing_outside_the_database_changes_while_it_is_halted(past: Past) -> None:
    watched = [*past.folder.parent.glob("vault.epoch/guard-*"), *past.folder.glob("ledgers/*/checkpoint")]
    before = [path.read_bytes() for path in watched]
    past.open().close()
    assert [path.read_bytes() for path in watched] == before


def test_recovery_goes_on_under_a_new_origin_and_tells_what_is_missing(
    halted: Vault, past: Past, tmp_path: Path
) -> None:
    old_head = halted.ground.log_of(vaults.CONTRACT).checkpoint()
    recovered = halted.recover(halted.actor(vaults.ADMIN))
    assert [log.key.name for log in recovered if log.contract_id] == ["kura.test/vault/nishinomiya.2"]
    assert halted.problem is None
    log = halted.ground.log_of(vaults.CONTRACT)
    kind, body = events(halted, log.id)[0]
    assert kind is EventKind.LEDGER_RECOVERED
    assert body["old"] == {
        "ledger": past.old_log.id,
        "origin": past.old_log.key.name,
        "size": past.size_yesterday,
        "root": old_head.root.hex(),
    }
    assert body["problem"] == "ledger-went-back"
    assert body["missing"] == {"from": past.size_yesterday, "before": past.size_today}
    assert body["last_known"] == {"size": past.size_today, "root": past.old_log.checkpoint().root.hex()}
    after = deposit(halted, tmp_path, 3)
    assert after.receipt.verify(log.key).origin == "kura.test/vault/nishinomiya.2"


def test_receipts_of_the_old_ledger_still_verify_and_are_given_again(halted: Vault, past: Past) -> None:
    halted.recover(halted.actor(vaults.ADMIN))
    again = halted.deposits.receipt(vaults.CONTRACT, past.kept.record_id)
    assert again.encode() == past.kept.receipt.encode()
    again.verify(past.old_log.key)
    past.lost.receipt.verify(past.old_log.key)  # proof of what the city was once told
    reading = halted.readings.read(halted.actor(vaults.OPERATOR), vaults.CONTRACT, past.kept.record_id, PURPOSE)
    assert b"".join(map(bytes, reading.parts())) == vaults.pdf(1)


def test_after_recovery_restarts_are_fine_and_the_old_ledger_stays_closed(past: Past, tmp_path: Path) -> None:
    vault = past.open()
    vault.recover(vault.actor(vaults.ADMIN))
    for number in (3, 4):
        vault = vaults.reopen(vault)
        assert vault.problem is None
        deposit(vault, tmp_path, number)
    old = vault.ground.sequencer.log(past.old_log.id)
    assert (old.is_open, old.size) == (False, past.size_yesterday)
    vault.close()


def test_a_recovered_ledger_that_goes_back_again_is_recovered_again(past: Past, tmp_path: Path) -> None:
    vault = past.open()
    vault.recover(vault.actor(vaults.ADMIN))
    vault.close()
    saved = save(past.database, tmp_path / "recovered")
    vault = past.open()
    deposit(vault, tmp_path, 5)
    vault.close()
    put_back(past.database, saved)
    vault = past.open()
    assert vault.problem is not None
    assert {log.id for log in vault.recover(vault.actor(vaults.ADMIN))} >= {"nishinomiya.3"}
    assert vault.ground.log_of(vaults.CONTRACT).key.name == "kura.test/vault/nishinomiya.3"
    deposit(vault, tmp_path, 6)
    vault.close()


def test_the_sweep_spares_what_was_written_before_the_recovery(past: Past) -> None:
    vault = past.open()
    orphans = {orphan.name for orphan in find_orphans(vault.ground)}
    assert len(orphans) == 1
    past.clock.now += timedelta(hours=1)
    vault.recover(vault.actor(vaults.ADMIN))
    past.clock.now += timedelta(days=30)
    assert sweep_orphans(vault.ground) == 0
    assert {orphan.name for orphan in find_orphans(vault.ground)} == orphans
    later = vault.ground.stores[0].new_name()
    upload = vault.ground.stores[0].upload(later)
    upload.write(b"cut")
    upload.finish()
    vault.ground.stores[0].keep([upload])
    written_at = (past.clock.now - timedelta(days=2)).timestamp()
    os.utime(vault.folder / "objects" / "a" / later[:2] / later, (written_at, written_at))
    assert sweep_orphans(vault.ground) == 1
    vault.close()


def test_only_who_may_recover_recovers(halted: Vault) -> None:
    with refused(RefusedError, "not-allowed"):
        halted.recover(halted.actor(vaults.OPERATOR))
    assert halted.problem is not None
    with refused(IntegrityError, "ledger-went-back"):
        halted.searches.search(halted.actor(vaults.OPERATOR), vaults.CONTRACT, Query())


def test_a_sealed_vault_is_not_recovered(past: Past) -> None:
    vault = past.open(sealed=True)
    with refused(SealedError, "vault-sealed"):
        vault.recover(vault.actor(vaults.ADMIN))
    vault.close()


def test_keys_of_buckets_that_only_the_lost_database_had_are_not_destroyed(past: Past) -> None:
    vault = past.open()
    keys = vault.ground.keys.disposal_key_ids()
    vault.recover(vault.actor(vaults.ADMIN))
    vault = vaults.reopen(vault)
    assert vault.ground.keys.disposal_key_ids() >= keys
    vault.close()


def test_a_whole_other_database_is_beside_what_is_known(tmp_path: Path, clock: Clock) -> None:
    """The same ledger, as long, with other entries: as from a second machine that was started from one backup."""
    vault = vaults.new_vault(tmp_path, clock=clock)
    vault.close()
    database = vault.folder / "kura.db"
    saved = save(database, tmp_path / "fork")
    outside = tmp_path / "outside"
    shutil.copytree(tmp_path / "vault.epoch", outside)
    published = tmp_path / "published"
    shutil.copytree(vault.folder / "ledgers", published)
    vault = open_vault(vault.folder, vaults.custodian(), clock)
    deposit(vault, tmp_path, 1)
    vault.close()
    fork = save(database, tmp_path / "beside")
    put_back(database, saved)
    for guard in outside.glob("guard-*"):
        shutil.copy(guard, tmp_path / "vault.epoch" / guard.name)
    shutil.rmtree(vault.folder / "ledgers")
    shutil.copytree(published, vault.folder / "ledgers")
    vault = open_vault(vault.folder, vaults.custodian(), clock)
    deposit(vault, tmp_path, 2)
    vault.close()
    put_back(database, fork)
    vault = open_vault(vault.folder, vaults.custodian(), clock)
    assert vault.problem is not None
    assert vault.problem.code == "ledger-beside"
    with refused(IntegrityError, "ledger-beside"):
        deposit(vault, tmp_path, 3)
    vault.recover(vault.actor(vaults.ADMIN))
    deposit(vault, tmp_path, 4)
    vault.close()


def damage(guard: Path, *offsets: int) -> None:
    data = bytearray(guard.read_bytes())
    for offset in offsets:
        data[offset + 30] ^= 1
    guard.write_bytes(data)


GUARD_DAMAGE = {
    "missing": (lambda guard: guard.unlink(), "guard-missing"),
    "both slots": (lambda guard: damage(guard, 0, 2048), "guard-damaged"),
    "cut short": (lambda guard: guard.write_bytes(guard.read_bytes()[:100]), "guard-damaged"),
    "another ledger's": (
        lambda guard: shutil.copy(guard.with_name("guard-operator"), guard),
        "guard-damaged",
    ),
}


@pytest.mark.parametrize(("damage_it", "code"), GUARD_DAMAGE.values(), ids=GUARD_DAMAGE)
def test_a_guard_that_cannot_be_believed_halts_and_is_recovered_from(
    tmp_path: Path, clock: Clock, damage_it: object, code: str
) -> None:
    vault = vaults.new_vault(tmp_path, clock=clock)
    deposit(vault, tmp_path, 1)
    deposit(vault, tmp_path, 2)
    vault.close()
    damage_it(tmp_path / "vault.epoch" / "guard-nishinomiya")  # type: ignore[operator]  # one of the lambdas above
    vault = open_vault(vault.folder, vaults.custodian(), clock)
    assert isinstance(vault.problem, KuraError)
    assert vault.problem.code in (code, "guard-missing")
    vault.recover(vault.actor(vaults.ADMIN))
    deposit(vault, tmp_path, 3)
    vault = vaults.reopen(vault)
    assert vault.problem is None
    vault.close()


@pytest.mark.parametrize("slot", [0, 2048])
def test_a_slot_torn_by_a_power_cut_is_mended_at_the_next_start(tmp_path: Path, clock: Clock, slot: int) -> None:
    vault = vaults.new_vault(tmp_path, clock=clock)
    deposit(vault, tmp_path, 1)
    deposit(vault, tmp_path, 2)
    vault.close()
    guard = tmp_path / "vault.epoch" / "guard-nishinomiya"
    damage(guard, slot)
    vault = open_vault(vault.folder, vaults.custodian(), clock)
    assert vault.problem is None
    deposit(vault, tmp_path, 3)
    vault = vaults.reopen(vault)
    assert vault.problem is None
    vault.close()


@pytest.mark.parametrize("slot", [0, 2048])
def test_a_torn_slot_does_not_hide_that_the_database_went_back(past: Past, slot: int) -> None:
    """The other slot still knows of later entries, and so does what is published."""
    damage(past.folder.parent / "vault.epoch" / "guard-nishinomiya", slot)
    vault = past.open()
    assert vault.problem is not None
    assert vault.problem.code == "ledger-went-back"
    vault.close()


def test_a_torn_slot_does_not_hide_it_where_nothing_is_published(past: Past) -> None:
    shutil.rmtree(past.folder / "ledgers")
    (past.folder / "ledgers").mkdir()
    guard = past.folder.parent / "vault.epoch" / "guard-nishinomiya"
    data = guard.read_bytes()
    sizes = [int(data[slot:].split(b"\n", 2)[1]) for slot in (0, 2048)]
    assert min(sizes) > past.size_yesterday or max(sizes) > past.size_yesterday
    damage(guard, 2048 if sizes[0] > sizes[1] else 0)  # the older one
    vault = past.open()
    assert vault.problem is not None
    assert vault.problem.code == "ledger-went-back"
    vault.close()

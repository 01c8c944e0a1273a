"""The orphan sweep: only this vault's, only old ones, never many, never while a rollback is open."""

import os
from datetime import UTC, datetime, timedelta

import crash_load
import pytest
import stored
import vaults
from crash_load import BytesSource
from ledger_vectors import refused

from vault.errors import IntegrityError
from vault.ledger.event import EventKind
from vault.records.orphans import find_orphans, sweep_orphans
from vault.records.vault import Vault
from vault.storage.objects import object_name

OLD, YOUNG = timedelta(hours=25), timedelta(hours=23)


def lay(vault: Vault, age: timedelta, *, name: str | None = None, store: int = 0, suffix: str = "") -> str:
    """Lay a file of an age into a store."""
    name = name or vault.ground.stores[store].new_name()
    path = vault.folder / "objects" / "ab"[store] / name[:2] / (name + suffix)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"sealed")
    written_at = (datetime.now(UTC) - age).timestamp()
    os.utime(path, (written_at, written_at))
    return name


@pytest.mark.both_worlds
def test_old_orphans_are_removed_and_named_in_the_ledger(vault: Vault) -> None:
    names = [lay(vault, OLD), lay(vault, OLD, store=1), lay(vault, OLD, suffix=".part")]
    assert sweep_orphans(vault.ground) == 3
    assert stored.objects(vault) == set()
    [event] = stored.events(vault, "operator", EventKind.ORPHANS_SWEPT)
    assert event.body == {"names": sorted(names)}
    assert sweep_orphans(vault.ground) == 0
    assert len(stored.events(vault, "operator", EventKind.ORPHANS_SWEPT)) == 1


@pytest.mark.parametrize("suffix", ["", ".part"])
def test_young_orphans_stay(vault: Vault, suffix: str) -> None:
    name = lay(vault, YOUNG, suffix=suffix)
    assert sweep_orphans(vault.ground) == 0
    assert [orphan.name for orphan in find_orphans(vault.ground)] == [name]


FOREIGN = ["0" * 32, "notes.txt", "f" * 31, object_name("another vault", "ab" * 12), "a" * 24 + "00000000"]


@pytest.mark.parametrize("name", FOREIGN)
def test_files_that_this_vault_did_not_name_are_never_touched(vault: Vault, name: str) -> None:
    lay(vault, timedelta(days=400), name=name)
    before = stored.objects(vault)
    assert find_orphans(vault.ground) == []
    assert sweep_orphans(vault.ground) == 0
    assert stored.objects(vault) == before


@pytest.mark.both_worlds
def test_objects_of_records_stay_however_old(vault: Vault) -> None:
    request = vaults.request(class_id="surveillance_video", subject_key=None, file_name=None)
    source = BytesSource(crash_load.video(1, 9))
    vault.deposits.deposit(vault.actor(vaults.MANAGER), vaults.CONTRACT, request, source)
    for path in (vault.folder / "objects").rglob("*"):
        os.utime(path, (0, 0))
    assert sweep_orphans(vault.ground) == 0
    assert len(stored.objects(vault)) == 2


@pytest.mark.parametrize(("count", "is_alarm"), [(100, False), (101, True)])
def test_more_than_a_hundred_is_an_alarm_and_not_a_sweep(vault: Vault, count: int, *, is_alarm: bool) -> None:
    for number in range(count):
        lay(vault, OLD, store=number % 2)
    if is_alarm:
        with refused(IntegrityError, "too-many-orphans"):
            sweep_orphans(vault.ground)
        assert len(stored.objects(vault)) == count
    else:
        assert sweep_orphans(vault.ground) == count


def test_the_sweep_stands_still_while_the_vault_takes_no_changes(vault: Vault) -> None:
    lay(vault, OLD)
    vault.ground.sequencer.halt(IntegrityError("ledger-went-back", ledger="x", size=1, known=2))
    with refused(IntegrityError, "sweep-stands-still"):
        sweep_orphans(vault.ground)
    assert len(stored.objects(vault)) == 1

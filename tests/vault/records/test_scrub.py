"""The fixity check: every copy read, what is damaged named in the ledger, and resumed where it stopped."""

from pathlib import Path

import crash_load
import pytest
import stored
import vaults
from crash_load import BytesSource
from ledger_vectors import refused

from vault.errors import RefusedError, SealedError
from vault.ledger.event import EventKind
from vault.records.scrub import Progress, scrub
from vault.records.vault import Vault


def deposit(vault: Vault, count: int, *, video: bool = False) -> list[str]:
    prepared = []
    for number in range(count):
        class_id = "surveillance_video" if video else "call_recording"
        content = crash_load.video(number, 50) if video else crash_load.sound(number, 50)
        request = vaults.request(class_id=class_id, subject_key=None, file_name=None)
        actor = vault.actor(vaults.MANAGER)
        prepared.append(vault.deposits.prepare(actor, vaults.CONTRACT, request, BytesSource(content)))
    vault.deposits.commit(prepared)  # type: ignore[arg-type]  # all are new
    return sorted(one.request.id for one in prepared)  # type: ignore[union-attr]


def check(vault: Vault, who: str = vaults.OFFICER, reports: list[Progress] | None = None) -> Progress:
    read: list[int] = []
    told = reports.append if reports is not None else lambda _: None
    return scrub(vault.ground, vault.buckets, vault.actor(who), vaults.CONTRACT, read.append, told)


def copies(vault: Vault, record_id: str) -> list[Path]:
    [[name]] = stored.rows(vault, "SELECT name FROM objects WHERE record_id = :id", id=record_id)
    return [vault.folder / "objects" / store / name[:2] / name for store in "ab"]


@pytest.mark.both_worlds
def test_whole_records_are_counted_and_the_result_is_an_event(vault: Vault) -> None:
    deposit(vault, 3)
    deposit(vault, 2, video=True)
    assert check(vault) == Progress(5, 5, ())
    [event] = stored.events(vault, vaults.CONTRACT, EventKind.FIXITY_CHECKED)
    assert (event.actor, event.body) == ("person:3001", {"checked": 5, "damaged": 0, "records": []})
    assert stored.rows(vault, "SELECT * FROM scrubs") == []


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("how", ["gone", "flipped", "cut"])
def test_damage_to_any_copy_is_found_and_named(vault: Vault, which: int, how: str) -> None:
    ids = deposit(vault, 3, video=True)
    path = copies(vault, ids[1])[which]
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if how == "cut" else data[:60] + bytes([data[60] ^ 1]) + data[61:])
    assert check(vault) == Progress(3, 3, (ids[1],))
    [event] = stored.events(vault, vaults.CONTRACT, EventKind.FIXITY_CHECKED)
    assert event.body == {"checked": 3, "damaged": 1, "records": [ids[1]]}


@pytest.mark.both_worlds
@pytest.mark.parametrize("column", ["wrapped_key", "sealed_metadata"])
def test_a_record_whose_key_or_metadata_is_altered_is_damaged_and_the_others_are_still_checked(
    vault: Vault, column: str
) -> None:
    ids = deposit(vault, 3)
    stored.change(vault, f"UPDATE records SET {column} = :wrong WHERE id = :id", id=ids[0], wrong=bytes(40))  # noqa: S608 - ours
    assert check(vault) == Progress(3, 3, (ids[0],))


class StoppedError(Exception):
    """Whoever started the check has gone."""


@pytest.mark.both_worlds
def test_a_check_that_was_stopped_goes_on_where_it_was(vault: Vault) -> None:
    ids = deposit(vault, 100)
    copies(vault, ids[3])[0].unlink()

    def stop(_: Progress) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        scrub(vault.ground, vault.buckets, vault.actor(vaults.OFFICER), vaults.CONTRACT, lambda _: None, stop)
    [[last, checked, damaged]] = stored.rows(vault, "SELECT last_record_id, checked_count, damaged_count FROM scrubs")
    assert (last, checked, damaged) == (ids[63], 64, 1)
    vault = vaults.reopen(vault)
    reports: list[Progress] = []
    assert check(vault, reports=reports).checked == 100
    assert [(report.checked, report.total) for report in reports] == [(100, 100)]
    [event] = stored.events(vault, vaults.CONTRACT, EventKind.FIXITY_CHECKED)
    assert (event.body["checked"], event.body["damaged"]) == (100, 1)
    vault.close()


def test_the_rate_is_asked_after_each_record_with_the_bytes_read(vault: Vault) -> None:
    deposit(vault, 2, video=True)
    read: list[int] = []
    scrub(vault.ground, vault.buckets, vault.actor(vaults.OFFICER), vaults.CONTRACT, read.append, lambda _: None)
    sizes = [row[0] for row in stored.rows(vault, "SELECT sealed_bytes FROM objects")]
    assert sorted(read) == sorted(2 * size for size in sizes)


def test_who_may_not_or_a_sealed_vault_is_refused(vault: Vault) -> None:
    with refused(RefusedError, "not-allowed"):
        check(vault, vaults.WORKER)
    vault.seal()
    with refused(SealedError, "vault-sealed"):
        check(vault)

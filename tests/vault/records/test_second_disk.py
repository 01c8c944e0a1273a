"""The second disk: what stands there gives the database back row by row, and says so where it does not."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from full_vault import make_full_vault
from two_disks import bring_second_back, operator_events, pull_first, pull_second, rebuilt, rows_of, take
from vaults import ADMIN, CONTRACT, custodian, new_vault, reopen

from vault.bootstrap import open_vault, verify_vault
from vault.errors import ConflictError, IntegrityError, NotFoundError, UnavailableError
from vault.evidence.verdict import Verdict
from vault.ledger.event import EventKind
from vault.ledger.transaction import Transaction
from vault.people.actor import VAULT
from vault.records.backup import back_up
from vault.records.ground import append_operator_event
from vault.records.rebuild import rebuild
from vault.records.restore import restore
from vault.records.vault import Vault
from vault.storage.second import disk

AT = datetime(2031, 4, 1, tzinfo=UTC)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = new_vault(tmp_path, two_disks=True)
    yield vault
    vault.close()


def generation(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "second" / "rows").iterdir())


def round_of(vault: Vault) -> None:
    vault.second_disk.tend()
    vault.second_disk.finish()


def reason(vault: Vault) -> str | None:
    health = vault.second_disk.health()
    assert health is not None
    return health.reason


def missing_copies(verdict: Verdict) -> set[str]:
    assert {finding.code for finding in verdict.findings} <= {"object-missing"}
    return {finding.what for finding in verdict.findings}


def test_a_full_vault_is_made_anew_row_by_row_and_says_what_copies_it_lacks(tmp_path: Path) -> None:
    full = make_full_vault(tmp_path, two_disks=True)
    lost = rows_of(full.folder / "kura.db")
    assert all(lost[name] for name in ("records", "index_tokens", "event_parts", "tiles", "scrubs", "certificates"))
    assert verify_vault(full.folder, custodian()).is_sound
    published = (full.folder / "ledgers" / CONTRACT / "checkpoint").read_bytes()
    pull_first(tmp_path)
    rebuilt(tmp_path)
    assert rows_of(tmp_path / "new" / "kura.db") == lost
    vault = open_vault(tmp_path / "new", custodian())
    assert vault.problem is None
    assert (vault.published_folder(CONTRACT) / "checkpoint").read_bytes() == published
    take(vault, tmp_path)
    vault.close()
    verdict = verify_vault(tmp_path / "new", custodian())
    records = {f"records/{values[0]}" for values in lost["records"]}
    assert missing_copies(verdict) == records  # each stood in one copy on the first disk, or lacks one of its two
    assert verdict.counts["objects"] >= 1


def test_opening_goes_on_with_the_rows_file(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)
    before = generation(tmp_path)
    again = reopen(vault)
    take(again, tmp_path)
    again.close()
    assert generation(tmp_path) == before == ["base-00000001.db", "base-00000001.sha256", "rows-00000001"]
    assert EventKind.SECOND_DISK_RENEWED not in operator_events(again)
    lost = rows_of(vault.folder / "kura.db")
    rebuilt(tmp_path)
    assert rows_of(tmp_path / "new" / "kura.db") == lost


def test_files_are_for_the_owner_alone(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)
    files = [path for name in ("second", "second.epoch") for path in (tmp_path / name).rglob("*") if path.is_file()]
    assert {oct(path.stat().st_mode & 0o077) for path in files if path.name != "kura.toml"} == {"0o0"}


def test_a_change_that_failed_beside_others_leaves_no_trace(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)

    def fail(transaction: Transaction) -> None:
        transaction.connection.exec_driver_sql("INSERT INTO persons (number, added_at) VALUES ('7777', 1)")
        raise UnavailableError("store-failed", reason="x")

    def keep(transaction: Transaction) -> None:
        transaction.connection.exec_driver_sql("INSERT INTO persons (number, added_at) VALUES ('8888', 1)")

    answers = [vault.ground.sequencer.submit(change) for change in (keep, fail) for _ in range(1)]
    assert answers[0].result()
    with pytest.raises(UnavailableError):
        answers[1].result()
    take(vault, tmp_path)
    vault.close()
    rebuilt(tmp_path)
    assert rows_of(tmp_path / "new" / "kura.db") == rows_of(vault.folder / "kura.db")


def test_a_commit_that_failed_is_replaced_by_the_next(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)

    def fail(transaction: Transaction) -> None:
        # The reference is deferred: it is the commit that refuses it.
        transaction.connection.exec_driver_sql(
            "INSERT INTO event_parts SELECT ledger_id, 987654321987, envelope_id, sealed FROM event_parts LIMIT 1"
        )

    with pytest.raises(UnavailableError) as caught:
        vault.ground.sequencer.run(fail)
    assert caught.value.code == "commit-failed"
    cut = (tmp_path / "second" / "rows" / "rows-00000001").read_bytes()
    assert b"987654321987" in cut  # a crash here would leave it: the next opening cuts it off
    take(vault, tmp_path)
    vault.close()
    assert b"987654321987" not in (tmp_path / "second" / "rows" / "rows-00000001").read_bytes()
    assert verify_vault(vault.folder, custodian()).is_sound
    rebuilt(tmp_path)
    assert rows_of(tmp_path / "new" / "kura.db") == rows_of(vault.folder / "kura.db")


def test_a_disk_that_goes_is_told_and_comes_back_by_itself(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)
    pull_second(tmp_path)
    take(vault, tmp_path, 2)
    assert reason(vault) == "FileNotFoundError"
    round_of(vault)
    assert operator_events(vault)[-1] is EventKind.SECOND_DISK_MISSED
    vault.publish()
    verdict = verify_vault(vault.folder, custodian())
    assert {"second-disk-away", "key-replica-away"} == {finding.code for finding in verdict.findings}
    round_of(vault)
    assert reason(vault) is not None
    assert [path.name for path in (tmp_path / "second").iterdir()] == ["objects"]  # an unmounted disk is left alone
    bring_second_back(tmp_path)
    round_of(vault)
    assert reason(vault) is None
    assert operator_events(vault)[-1] is EventKind.SECOND_DISK_RENEWED
    assert len(generation(tmp_path)) == 3
    take(vault, tmp_path)
    vault.close()
    assert verify_vault(vault.folder, custodian()).is_sound
    rebuilt(tmp_path)
    assert rows_of(tmp_path / "new" / "kura.db") == rows_of(vault.folder / "kura.db")


def test_a_disk_that_was_away_while_the_vault_was_closed_is_brought_up_at_opening(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)
    shutil.copytree(tmp_path / "second" / "rows", tmp_path / "older")
    take(vault, tmp_path)
    vault.close()
    shutil.rmtree(tmp_path / "second" / "rows")
    (tmp_path / "older").rename(tmp_path / "second" / "rows")
    verdict = verify_vault(vault.folder, custodian())
    assert {finding.code for finding in verdict.findings} == {"second-disk-behind"}
    again = open_vault(vault.folder, custodian())
    assert EventKind.SECOND_DISK_RENEWED in operator_events(again)
    again.close()
    assert verify_vault(vault.folder, custodian()).is_sound


def test_yesterdays_database_does_not_replace_the_newer_rows(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)
    vault.close()
    shutil.copytree(vault.folder, tmp_path / "yesterday")
    vault = open_vault(vault.folder, custodian())
    take(vault, tmp_path, 2)
    vault.close()
    newest = rows_of(vault.folder / "kura.db")
    shutil.rmtree(vault.folder)
    (tmp_path / "yesterday").rename(vault.folder)
    # Its guard went back as well; the second disk's did not.
    again = open_vault(vault.folder, custodian())
    assert again.problem is not None
    assert again.problem.code == "ledger-went-back"
    again.close()
    rebuilt(tmp_path)
    assert rows_of(tmp_path / "new" / "kura.db") == newest


def test_the_first_disk_going_stops_the_vault_with_a_clear_error(vault: Vault, tmp_path: Path) -> None:
    done = take(vault, tmp_path, 2)
    shutil.move(vault.folder / "kura.db", tmp_path / "gone.db")
    with pytest.raises(UnavailableError) as caught:
        vault.ground.sequencer.run(
            lambda transaction: transaction.connection.exec_driver_sql("UPDATE persons SET added_at = 2")
        )
    assert caught.value.code == "first-disk-away"
    assert vault.problem is not None
    assert vault.problem.code == "first-disk-away"
    vault.close()
    assert not (vault.folder / "kura.db").exists()
    rebuilt(tmp_path)
    records = {values[0] for values in rows_of(tmp_path / "new" / "kura.db")["records"]}
    assert records == {one.record_id for one in done}


def test_a_rows_file_that_outgrows_the_database_is_replaced(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "MIN_ROWS_BYTES", 1)
    database = vault.folder / "kura.db"
    while (tmp_path / "second" / "rows" / "rows-00000001").stat().st_size <= database.stat().st_size:
        take(vault, tmp_path, 5)
    round_of(vault)
    assert generation(tmp_path) == ["base-00000002.db", "base-00000002.sha256", "rows-00000002"]
    take(vault, tmp_path)
    vault.close()
    assert verify_vault(vault.folder, custodian()).is_sound
    rebuilt(tmp_path)
    assert rows_of(tmp_path / "new" / "kura.db") == rows_of(database)


def test_a_base_that_was_not_finished_costs_nothing(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(vault, tmp_path)
    second = vault.ground.second
    assert second is not None

    def fail(*_: object) -> None:
        raise OSError(28, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(second.rows, "write_base", fail)
        with pytest.raises(OSError, match="no space"):
            second.renew()
    take(vault, tmp_path)
    vault.close()
    assert generation(tmp_path) == ["base-00000001.db", "base-00000001.sha256", "rows-00000001", "rows-00000002"]
    assert verify_vault(vault.folder, custodian()).is_sound
    rebuilt(tmp_path)
    assert rows_of(tmp_path / "new" / "kura.db") == rows_of(vault.folder / "kura.db")


def test_a_damaged_or_cut_rows_file_is_found_and_said(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path, 3)
    vault.close()
    rows, base = tmp_path / "second" / "rows" / "rows-00000001", tmp_path / "second" / "rows" / "base-00000001.db"
    whole = rows.read_bytes()
    for damage in (whole[:-1], whole[: len(whole) // 2], whole[:-9] + b"?" + whole[-8:]):
        rows.write_bytes(damage)
        assert {finding.code for finding in verify_vault(vault.folder, custodian()).findings} == {"second-disk-behind"}
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
        shutil.rmtree(tmp_path / "new.epoch", ignore_errors=True)
        assert rebuilt(tmp_path).is_cut
        # What is acknowledged and lacks is known to the guard: the vault that is made anew says that it lacks it.
        again = open_vault(tmp_path / "new", custodian())
        assert again.problem is not None
        assert again.problem.code == "ledger-went-back"
        again.close()
    rows.write_bytes(whole[:5])
    assert {finding.code for finding in verify_vault(vault.folder, custodian()).findings} == {"rows-file-damaged"}
    with pytest.raises(IntegrityError, match="damaged at record header"):
        rebuilt_anew(tmp_path)
    rows.write_bytes(whole)
    base.write_bytes(base.read_bytes()[:-1] + b"?")
    assert {finding.code for finding in verify_vault(vault.folder, custodian()).findings} == {"rows-base-damaged"}
    with pytest.raises(IntegrityError, match="base"):
        rebuilt_anew(tmp_path)


def rebuilt_anew(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "new", ignore_errors=True)
    rebuilt(tmp_path)


def test_two_histories_of_one_number_are_found(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)
    vault.close()
    names = ("vault", "vault.epoch", "second", "second.epoch")
    for name in names:
        shutil.copytree(tmp_path / name, tmp_path / "saved" / name)
    vault = open_vault(vault.folder, custodian())
    take(vault, tmp_path)
    vault.close()
    (tmp_path / "second" / "rows").rename(tmp_path / "rows")
    for name in names:
        shutil.rmtree(tmp_path / name)
        (tmp_path / "saved" / name).rename(tmp_path / name)
    vault = open_vault(vault.folder, custodian())
    append_operator_event(vault.ground, VAULT.did(EventKind.VAULT_SEALED, AT, {}))
    vault.close()
    assert verify_vault(vault.folder, custodian()).is_sound
    shutil.rmtree(tmp_path / "second" / "rows")
    (tmp_path / "rows").rename(tmp_path / "second" / "rows")
    assert {finding.code for finding in verify_vault(vault.folder, custodian()).findings} == {"second-disk-differs"}
    again = open_vault(vault.folder, custodian())  # a new base
    again.close()
    assert verify_vault(vault.folder, custodian()).is_sound


def test_nothing_is_made_anew_from_what_is_no_second_disk(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)
    vault.close()
    with pytest.raises(ConflictError):
        rebuild(tmp_path / "second", tmp_path / "vault", tmp_path / "new.epoch")
    (tmp_path / "second.epoch").rename(tmp_path / "hidden")
    with pytest.raises(NotFoundError):
        rebuilt(tmp_path)
    (tmp_path / "second" / "kura.toml").unlink()
    with pytest.raises(NotFoundError):
        rebuilt(tmp_path)
    assert not (tmp_path / "new").exists()


def test_nothing_is_destroyed_while_a_replica_of_the_keys_is_away(vault: Vault, tmp_path: Path) -> None:
    keys = vault.ground.keys
    doomed = keys.create_disposal_keys(1)
    (tmp_path / "second" / "keys").rename(tmp_path / "keys")
    with pytest.raises(UnavailableError) as caught:
        keys.destroy(doomed, AT)
    assert caught.value.code == "key-replica-away"
    assert not keys.is_sealed
    assert doomed[0] in keys.disposal_key_ids()
    born = keys.create_disposal_keys(1)
    (tmp_path / "keys").rename(tmp_path / "second" / "keys")
    health = vault.second_disk.health()
    assert health is not None
    assert health.has_keys
    assert (tmp_path / "second/keys/store").read_bytes() == (vault.folder / "keys/store").read_bytes()
    keys.destroy(doomed, AT)
    assert born[0] in keys.disposal_key_ids()
    assert doomed[0] in keys.tombstones()
    keys.destroy(born, AT)


def test_a_backup_is_restored_without_the_second_disk(vault: Vault, tmp_path: Path) -> None:
    take(vault, tmp_path)
    (tmp_path / "copy").mkdir()
    back_up(vault, vault.actor(ADMIN), tmp_path / "copy", lambda *_: None)
    vault.close()
    restore(tmp_path / "copy", tmp_path / "restored", tmp_path / "vault.epoch", None, lambda *_: None)
    again = open_vault(tmp_path / "restored", custodian())
    assert again.second_disk.health() is None
    again.close()
    assert verify_vault(tmp_path / "restored", custodian()).is_sound


def test_a_vault_that_begins_to_have_a_second_disk_gets_all_of_it_at_opening(tmp_path: Path) -> None:
    vault = new_vault(tmp_path)
    take(vault, tmp_path)
    vault.close()
    settings = vault.folder / "kura.toml"
    places = f'\n[second]\nfolder = "{tmp_path / "second"}"\nepoch_dir = "{tmp_path / "second.epoch"}"\n'
    settings.write_text(settings.read_text() + places)
    (tmp_path / "second").mkdir()
    shutil.copy(settings, tmp_path / "second")  # this makes the disk known as this vault's
    again = open_vault(vault.folder, custodian())
    assert reason(again) is None
    take(again, tmp_path)
    again.close()
    assert verify_vault(vault.folder, custodian()).is_sound
    lost = rows_of(vault.folder / "kura.db")
    pull_first(tmp_path)
    rebuilt(tmp_path)
    assert rows_of(tmp_path / "new" / "kura.db") == lost

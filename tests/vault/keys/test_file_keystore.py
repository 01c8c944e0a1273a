"""The embedded key store beyond what every store promises: its files, older copies of them, and damage to either."""

import json
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vault.errors import (
    ConflictError,
    IntegrityError,
    KuraError,
    NotFoundError,
    UnavailableError,
)
from vault.keys.custodian import CustodianSecret
from vault.keys.file_keystore import FileKeyStore

WORDS = CustodianSecret.from_passphrase("four words in a safe")
AT = datetime(2031, 4, 1, 3, 4, 5, 678901, tzinfo=UTC)


def new_store(folder: Path, custodian: CustodianSecret = WORDS) -> FileKeyStore:
    return FileKeyStore.create(folder / "vault" / "keys", folder / "epochs", custodian, scrypt_log2_n=4)


def stored(folder: Path, *, read_only: bool = False) -> FileKeyStore:
    return FileKeyStore(folder / "vault" / "keys", folder / "epochs", read_only=read_only)


def opened(folder: Path, *, read_only: bool = False) -> FileKeyStore:
    store = stored(folder, read_only=read_only)
    store.unseal(WORDS)
    return store


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(KuraError) as caught:
        act()
    return caught.value.code


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_many_keys_cost_one_writing(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    before = json.loads((tmp_path / "vault" / "keys").read_bytes().split(b"\n")[1])["generation"]
    store.create_disposal_keys(500)
    assert json.loads((tmp_path / "vault" / "keys").read_bytes().split(b"\n")[1])["generation"] == before + 1
    assert store.create_disposal_keys(0) == []


def test_destroying_again_and_a_wrong_passphrase_write_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    (key_id,) = store.create_disposal_keys(1)
    store.destroy([key_id], AT)
    before = everything_in(tmp_path)
    store.destroy([key_id], datetime(2040, 1, 1, tzinfo=UTC))
    store.destroy([], AT)
    assert code_of(lambda: store.unseal(CustodianSecret.from_passphrase("not this one"))) == "custodian-secret-wrong"
    assert everything_in(tmp_path) == before


def test_no_copy_made_before_a_destruction_opens_afterwards(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    ids = store.create_disposal_keys(4)
    for doomed in ids:
        copy = (tmp_path / "vault" / "keys").read_bytes()
        store.destroy([doomed], AT)
        newest = (tmp_path / "vault" / "keys").read_bytes()
        (tmp_path / "vault" / "keys").write_bytes(copy)
        assert code_of(lambda: stored(tmp_path)) == "key-file-outdated"
        (tmp_path / "vault" / "keys").write_bytes(newest)
    assert opened(tmp_path).disposal_key_ids() == set()


def test_no_secret_of_a_passed_epoch_is_left_in_the_slots(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    (key_id,) = store.create_disposal_keys(1)
    secret = (tmp_path / "epochs" / "epoch-0").read_bytes()[24:56]
    store.destroy([key_id], AT)
    slots = [(tmp_path / "epochs" / name).read_bytes() for name in ("epoch-0", "epoch-1")]
    assert slots[0] == bytes(4096)
    assert secret not in slots[1]
    assert any(slots[1])


def test_no_key_stands_in_clear_on_the_disk(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    key_ids = [*store.create_disposal_keys(3), store.create_signing_key()]
    everything = b"".join(everything_in(tmp_path).values())
    assert all(bytes.fromhex(key_id) not in everything and key_id.encode() not in everything for key_id in key_ids)


def test_a_custodian_who_left_opens_no_older_copy(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    copy = (tmp_path / "vault" / "keys").read_bytes()
    store.replace_custodian(CustodianSecret.from_passphrase("four other words"), scrypt_log2_n=4)
    (tmp_path / "vault" / "keys").write_bytes(copy)
    assert code_of(lambda: stored(tmp_path)) == "key-file-outdated"


def test_every_flipped_byte_of_the_key_file_stops_the_opening_and_changes_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.destroy(store.create_disposal_keys(2)[:1], AT)
    store.create_signing_key()
    path = tmp_path / "vault" / "keys"
    good = path.read_bytes()
    slots = everything_in(tmp_path / "epochs")
    for place in range(len(good)):
        damaged = good[:place] + bytes([good[place] ^ (1 << place % 8)]) + good[place + 1 :]
        path.write_bytes(damaged)
        with pytest.raises(IntegrityError):
            stored(tmp_path)
        with pytest.raises(IntegrityError):
            store.check()
        assert path.read_bytes() == damaged
    assert everything_in(tmp_path / "epochs") == slots


def test_every_flipped_byte_of_the_live_slot_stops_the_opening_and_changes_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    path = tmp_path / "epochs" / "epoch-0"
    good = path.read_bytes()
    for place in range(len(good)):
        damaged = good[:place] + bytes([good[place] ^ (1 << place % 8)]) + good[place + 1 :]
        path.write_bytes(damaged)
        assert code_of(lambda: stored(tmp_path)) == "epoch-slot-damaged"
        assert path.read_bytes() == damaged
    assert code_of(store.check) == "epoch-slot-damaged"
    assert code_of(lambda: store.create_disposal_keys(1)) == "epoch-slot-damaged"
    path.write_bytes(good)
    assert len(store.create_disposal_keys(1)) == 1


def test_every_flipped_byte_of_the_dead_slot_is_reported_by_a_check(tmp_path: Path) -> None:
    new_store(tmp_path)
    store = opened(tmp_path, read_only=True)
    path = tmp_path / "epochs" / "epoch-1"
    for place in range(4096):
        path.write_bytes(bytes(place) + bytes([1 << place % 8]) + bytes(4095 - place))
        assert code_of(store.check) == "epoch-slot-damaged"
    path.write_bytes(bytes(4096))
    store.check()


def test_a_store_that_another_process_wrote_is_not_written_over(tmp_path: Path) -> None:
    one = new_store(tmp_path)
    two = opened(tmp_path)
    (theirs,) = two.create_disposal_keys(1)
    assert code_of(lambda: one.create_disposal_keys(1)) == "key-file-changed"
    assert code_of(one.check) == "key-file-changed"
    assert opened(tmp_path).disposal_key_ids() == {theirs}


def test_a_reader_leaves_even_what_a_crash_left(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    (key_id,) = store.create_disposal_keys(1)
    (tmp_path / "vault" / "keys.new").write_bytes(b"left by a crash")
    before = everything_in(tmp_path)
    reader = opened(tmp_path, read_only=True)
    assert reader.disposal_key_ids() == {key_id}
    reader.check()
    assert code_of(lambda: reader.create_disposal_keys(1)) == "key-store-read-only"
    assert everything_in(tmp_path) == before


def test_a_reader_reports_a_run_that_was_cut_and_an_owner_finishes_it(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    live = (tmp_path / "epochs" / "epoch-0").read_bytes()
    store.destroy(store.create_disposal_keys(1), AT)
    (tmp_path / "epochs" / "epoch-0").write_bytes(live)  # as if cut before the old slot was overwritten
    reader = opened(tmp_path, read_only=True)
    assert code_of(reader.check) == "epoch-run-unfinished"
    assert not reader.finished_cut_run
    owner = stored(tmp_path)
    assert owner.finished_cut_run
    assert not stored(tmp_path).finished_cut_run
    reader.check()
    assert (tmp_path / "epochs" / "epoch-0").read_bytes() == bytes(4096)


def test_files_are_private(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.destroy(store.create_disposal_keys(1), AT)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"vault": 0o700, "epochs": 0o700, "keys": 0o600, "epoch-0": 0o600, "epoch-1": 0o600}


def test_a_store_is_never_made_over_another(tmp_path: Path) -> None:
    new_store(tmp_path)
    before = everything_in(tmp_path)
    with pytest.raises(ConflictError) as caught:
        new_store(tmp_path)
    assert caught.value.code == "key-store-exists"
    (tmp_path / "vault" / "keys").rename(tmp_path / "brought to safety")
    assert code_of(lambda: new_store(tmp_path)) == "epoch-slots-exist"
    (tmp_path / "brought to safety").rename(tmp_path / "vault" / "keys")
    assert everything_in(tmp_path) == before


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        stored(tmp_path)
    assert caught.value.code == "key-file-missing"
    new_store(tmp_path)
    shutil.rmtree(tmp_path / "epochs")
    with pytest.raises(UnavailableError) as unavailable:
        stored(tmp_path)
    assert unavailable.value.code == "key-store-unreadable"

"""The embedded key store: keys kept, wrapped, destroyed for good; sealed, wrong and damaged stores refuse."""

import json
import os
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from vault.errors import (
    ConflictError,
    IntegrityError,
    KuraError,
    NotFoundError,
    RefusedError,
    SealedError,
    UnavailableError,
)
from vault.keys.custodian import CustodianSecret
from vault.keys.file_keystore import FileKeyStore
from vault.keys.keystore import KeyStore
from vault.keys.shares import split_secret

WORDS = CustodianSecret.from_passphrase("four words in a safe")
AT = datetime(2031, 4, 1, 3, 4, 5, 678901, tzinfo=UTC)
KWP = json.loads((Path(__file__).parents[2] / "vectors" / "aes_kwp.json").read_text())


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


def test_keys_and_tombstones_are_there_after_a_restart(tmp_path: Path) -> None:
    store: KeyStore = new_store(tmp_path)
    kept, doomed = store.create_disposal_keys(2)
    signer = store.create_signing_key()
    wrapped = store.wrap(kept, b"a data key")
    store.destroy([doomed], AT)
    again = opened(tmp_path)
    assert again.disposal_key_ids() == {kept}
    assert again.tombstones() == {doomed: AT}
    assert again.unwrap(kept, wrapped) == b"a data key"
    assert again.signing_key_ids() == {signer}
    assert again.public_key(signer) == store.public_key(signer)
    again.check()


def test_key_ids_are_random_and_never_used_twice(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    ids = store.create_disposal_keys(50)
    store.destroy(ids[:25], AT)
    ids += store.create_disposal_keys(50)
    assert len(set(ids)) == 100
    assert all(len(key_id) == 32 and int(key_id, 16) >= 0 for key_id in ids)
    assert len({store.wrap(key_id, bytes(32)) for key_id in ids[25:]}) == 75  # and so are the keys


def test_many_keys_cost_one_writing(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    before = json.loads((tmp_path / "vault" / "keys").read_bytes().split(b"\n")[1])["generation"]
    store.create_disposal_keys(500)
    assert json.loads((tmp_path / "vault" / "keys").read_bytes().split(b"\n")[1])["generation"] == before + 1
    assert store.create_disposal_keys(0) == []


@pytest.mark.parametrize("vector", KWP["vectors"], ids=lambda v: v["name"])
def test_the_wrapping_is_rfc_5649(vector: dict[str, Any]) -> None:
    key, plain, wrapped = (bytes.fromhex(vector[name]) for name in ("kek_hex", "key_hex", "wrapped_hex"))
    assert aes_key_wrap_with_padding(key, plain) == wrapped
    assert aes_key_unwrap_with_padding(key, wrapped) == plain


def test_the_altered_vector_of_rfc_5649_is_refused() -> None:
    for vector in KWP["must_reject"]:
        with pytest.raises(InvalidUnwrap):
            aes_key_unwrap_with_padding(bytes.fromhex(vector["kek_hex"]), bytes.fromhex(vector["wrapped_hex"]))


@pytest.mark.parametrize("plaintext", [b"x", b"1234567", bytes(8), bytes(32), bytes(1000)])
def test_what_is_wrapped_is_unwrapped_under_the_same_key_only(tmp_path: Path, plaintext: bytes) -> None:
    store = new_store(tmp_path)
    ours, other = store.create_disposal_keys(2)
    wrapped = store.wrap(ours, plaintext)
    assert wrapped == store.wrap(ours, plaintext)
    assert store.unwrap(ours, wrapped) == plaintext
    assert code_of(lambda: store.unwrap(other, wrapped)) == "wrapped-key-altered"


def test_every_flipped_bit_of_a_wrapped_key_is_found(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    (key_id,) = store.create_disposal_keys(1)
    wrapped = store.wrap(key_id, bytes(range(32)))
    for bit in range(8 * len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            store.unwrap(key_id, bytes(damaged))


@pytest.mark.parametrize("wrapped", [b"", b"short", bytes(16), bytes(17), bytes(40)])
def test_what_was_never_wrapped_is_refused(tmp_path: Path, wrapped: bytes) -> None:
    store = new_store(tmp_path)
    (key_id,) = store.create_disposal_keys(1)
    assert code_of(lambda: store.unwrap(key_id, wrapped)) == "wrapped-key-altered"


def test_a_destroyed_key_does_nothing_any_more_and_is_told_apart_from_an_unknown_one(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    (key_id,) = store.create_disposal_keys(1)
    wrapped = store.wrap(key_id, bytes(32))
    store.destroy([key_id], AT)
    for each in (store, opened(tmp_path)):
        assert code_of(partial(each.wrap, key_id, bytes(32))) == "disposal-key-destroyed"
        assert code_of(partial(each.unwrap, key_id, wrapped)) == "disposal-key-destroyed"
        assert code_of(partial(each.wrap, "ab" * 16, bytes(32))) == "disposal-key-unknown"
    with pytest.raises(NotFoundError):
        store.unwrap("ab" * 16, wrapped)
    with pytest.raises(RefusedError):
        store.unwrap(key_id, wrapped)


def test_destroying_again_keeps_the_first_tombstone(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    one, two = store.create_disposal_keys(2)
    store.destroy([one], AT)
    before = everything_in(tmp_path)
    store.destroy([one], datetime(2040, 1, 1, tzinfo=UTC))
    store.destroy([], AT)
    assert everything_in(tmp_path) == before
    store.destroy([one, two], datetime(2040, 1, 1, tzinfo=UTC))
    assert store.tombstones() == {one: AT, two: datetime(2040, 1, 1, tzinfo=UTC)}


def test_an_unknown_key_among_those_to_be_destroyed_destroys_none(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    (key_id,) = store.create_disposal_keys(1)
    assert code_of(lambda: store.destroy([key_id, "ab" * 16], AT)) == "disposal-key-unknown"
    assert opened(tmp_path).disposal_key_ids() == {key_id}


def test_a_time_without_zone_destroys_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    (key_id,) = store.create_disposal_keys(1)
    with pytest.raises(ValueError, match="2031"):
        store.destroy([key_id], AT.replace(tzinfo=None))
    assert opened(tmp_path).disposal_key_ids() == {key_id}


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


def test_a_sealed_store_signs_but_opens_nothing(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    signer, (key_id,) = store.create_signing_key(), store.create_disposal_keys(1)
    certifier = store.create_certificate_key()
    store.seal()
    store.seal()
    acts: list[Callable[[FileKeyStore], object]] = [
        lambda s: s.create_disposal_keys(1),
        lambda s: s.wrap(key_id, b"x"),
        lambda s: s.unwrap(key_id, bytes(40)),
        lambda s: s.destroy([key_id], AT),
        lambda s: s.disposal_key_ids(),
        lambda s: s.tombstones(),
        lambda s: s.create_signing_key(),
        lambda s: s.create_certificate_key(),
        lambda s: s.replace_custodian(WORDS, scrypt_log2_n=4),
    ]
    for each in (store, stored(tmp_path)):
        assert each.is_sealed
        for act in acts:
            with pytest.raises(SealedError):
                act(each)
        assert each.signing_key_ids() == {signer}
        Ed25519PublicKey.from_public_bytes(each.public_key(signer)).verify(each.sign(signer, b"head"), b"head")
        each.certificate_key(certifier).verify(each.sign_certificate(certifier, b"form"), b"form", ECDSA(SHA256()))
        each.check()
    assert code_of(lambda: store.sign_certificate("ab" * 16, b"form")) == "certificate-key-unknown"
    assert code_of(lambda: store.sign("ab" * 16, b"head")) == "signing-key-unknown"
    assert code_of(lambda: store.public_key("ab" * 16)) == "signing-key-unknown"


def test_a_wrong_passphrase_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    new_store(tmp_path).create_disposal_keys(1)
    before = everything_in(tmp_path)
    store = stored(tmp_path)
    wrong = CustodianSecret.from_passphrase("four words in a sofa")
    assert code_of(lambda: store.unseal(wrong)) == "custodian-secret-wrong"
    assert stored(tmp_path).is_sealed
    store.unseal(WORDS)
    assert code_of(lambda: store.unseal(wrong)) == "custodian-secret-wrong"
    assert len(store.disposal_key_ids()) == 1
    assert everything_in(tmp_path) == before


def test_two_of_three_custodians_open_it_and_strangers_do_not(tmp_path: Path) -> None:
    lines = [share.line() for share in split_secret(os.urandom(16), 2, 3)]
    others = [share.line() for share in split_secret(os.urandom(16), 2, 3)]
    (key_id,) = new_store(tmp_path, CustodianSecret.from_shares(lines[:2])).create_disposal_keys(1)
    for some in (lines[1:], lines[::2], lines):
        store = stored(tmp_path)
        store.unseal(CustodianSecret.from_shares(some))
        assert store.disposal_key_ids() == {key_id}
    for some in (others[:2], [lines[0], others[1]]):
        assert code_of(partial(stored(tmp_path).unseal, CustodianSecret.from_shares(some))) == "custodian-secret-wrong"
    assert code_of(lambda: stored(tmp_path).unseal(WORDS)) == "custodian-kind-wrong"


def test_a_custodian_who_left_opens_neither_the_store_nor_an_older_copy(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    (key_id,) = store.create_disposal_keys(1)
    copy = (tmp_path / "vault" / "keys").read_bytes()
    successor = CustodianSecret.from_passphrase("four other words")
    store.replace_custodian(successor, scrypt_log2_n=4)
    store.create_disposal_keys(1)
    again = stored(tmp_path)
    assert code_of(lambda: again.unseal(WORDS)) == "custodian-secret-wrong"
    again.unseal(successor)
    assert key_id in again.disposal_key_ids()
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


def test_a_reader_changes_nothing_and_refuses_to(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    (key_id,) = store.create_disposal_keys(1)
    wrapped = store.wrap(key_id, b"x")
    (tmp_path / "vault" / "keys.new").write_bytes(b"left by a crash")
    before = everything_in(tmp_path)
    reader = opened(tmp_path, read_only=True)
    assert reader.unwrap(key_id, wrapped) == b"x"
    reader.check()
    acts: list[Callable[[], object]] = [
        lambda: reader.create_disposal_keys(1),
        lambda: reader.destroy([key_id], AT),
        reader.create_signing_key,
        lambda: reader.replace_custodian(WORDS, scrypt_log2_n=4),
    ]
    assert {code_of(act) for act in acts} == {"key-store-read-only"}
    assert everything_in(tmp_path) == before
    store.create_disposal_keys(1)
    reader.check()  # the owner goes on meanwhile


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


def test_threads_may_create_wrap_sign_and_destroy_at_once(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    signer = store.create_signing_key()
    Ed25519PublicKey.from_public_bytes(store.public_key(signer))

    def work(number: int) -> tuple[str, str, bytes]:
        kept, doomed = store.create_disposal_keys(2)
        wrapped = store.wrap(kept, number.to_bytes(4, "big"))
        store.sign(signer, wrapped)
        store.destroy([doomed], AT)
        return kept, doomed, wrapped

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(work, range(24)))
    again = opened(tmp_path)
    assert again.disposal_key_ids() == {kept for kept, _, _ in results}
    assert set(again.tombstones()) == {doomed for _, doomed, _ in results}
    for number, (kept, _, wrapped) in enumerate(results):
        assert again.unwrap(kept, wrapped) == number.to_bytes(4, "big")

"""What every key store promises: one suite that runs on the sealed file, on HSMs both ways, and on the strict one."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from key_places import PLACES, WORDS, MakePlace, Place
from ledger_vectors import refused

from vault.errors import IntegrityError, KuraError, NotFoundError, RefusedError, SealedError
from vault.keys.custodian import CustodianSecret
from vault.keys.keystore import KeyStore
from vault.keys.shares import split_secret

AT = datetime(2031, 4, 1, 3, 4, 5, 678901, tzinfo=UTC)
LATER = datetime(2040, 1, 1, tzinfo=UTC)
DATA_KEY = bytes(range(32))


@pytest.fixture(params=PLACES)
def make_place(request: pytest.FixtureRequest) -> MakePlace:
    made: MakePlace = request.param
    return made


@pytest.fixture
def place(make_place: MakePlace, tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture
def store(place: Place) -> KeyStore:
    return opened(place)


def opened(place: Place, custodian: CustodianSecret = WORDS, *, read_only: bool = False) -> KeyStore:
    store = place.stored(read_only=read_only)
    store.unseal(custodian)
    return store


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(KuraError) as caught:
        act()
    return caught.value.code


def require_signs(store: KeyStore, signer: str) -> None:
    Ed25519PublicKey.from_public_bytes(store.public_key(signer)).verify(store.sign(signer, b"head"), b"head")


def test_keys_and_tombstones_are_there_after_a_restart(place: Place, store: KeyStore) -> None:
    kept, doomed = store.create_disposal_keys(2)
    signer, certifier = store.create_signing_key(), store.create_certificate_key()
    wrapped = store.wrap(kept, DATA_KEY)
    store.destroy([doomed], AT)
    again = opened(place)
    assert again.disposal_key_ids() == {kept}
    assert again.tombstones() == {doomed: AT}
    assert again.unwrap(kept, wrapped) == DATA_KEY
    assert again.signing_key_ids() == {signer}
    assert again.public_key(signer) == store.public_key(signer)
    assert again.certificate_key(certifier) == store.certificate_key(certifier)
    again.check()


def test_key_ids_are_random_and_never_used_twice(store: KeyStore) -> None:
    ids = store.create_disposal_keys(50)
    store.destroy(ids[:25], AT)
    ids += store.create_disposal_keys(50)
    assert len(set(ids)) == 100
    assert all(len(key_id) == 32 and int(key_id, 16) >= 0 for key_id in ids)
    assert len({store.wrap(key_id, bytes(32)) for key_id in ids[25:]}) == 75  # and so are the keys
    assert store.create_disposal_keys(0) == []
    assert store.disposal_key_ids() == set(ids[25:])


@pytest.mark.parametrize("plaintext", [bytes(8), b"16 bytes of text", bytes(32), bytes(1000)])
def test_what_is_wrapped_is_unwrapped_under_the_same_key_only(store: KeyStore, plaintext: bytes) -> None:
    ours, other = store.create_disposal_keys(2)
    wrapped = store.wrap(ours, plaintext)
    assert wrapped == store.wrap(ours, plaintext)
    assert len(wrapped) == len(plaintext) + 8
    assert store.unwrap(ours, wrapped) == plaintext
    assert code_of(lambda: store.unwrap(other, wrapped)) == "wrapped-key-altered"


@pytest.mark.parametrize("plaintext", [b"", b"x", b"1234567", bytes(33)])
def test_what_is_no_whole_blocks_is_not_wrapped(store: KeyStore, plaintext: bytes) -> None:
    (key_id,) = store.create_disposal_keys(1)
    with pytest.raises(ValueError, match=str(len(plaintext))):
        store.wrap(key_id, plaintext)
    assert not store.is_sealed


def test_every_flipped_bit_of_a_wrapped_key_is_found(store: KeyStore) -> None:
    (key_id,) = store.create_disposal_keys(1)
    wrapped = store.wrap(key_id, DATA_KEY)
    for bit in range(8 * len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            store.unwrap(key_id, bytes(damaged))
    assert store.unwrap(key_id, wrapped) == DATA_KEY


@pytest.mark.parametrize("wrapped", [b"", b"short", bytes(16), bytes(17), bytes(40)])
def test_what_was_never_wrapped_is_refused(store: KeyStore, wrapped: bytes) -> None:
    (key_id,) = store.create_disposal_keys(1)
    assert code_of(lambda: store.unwrap(key_id, wrapped)) == "wrapped-key-altered"


def test_a_destroyed_key_does_nothing_any_more_and_is_told_apart_from_an_unknown_one(
    place: Place, store: KeyStore
) -> None:
    (key_id,) = store.create_disposal_keys(1)
    wrapped = store.wrap(key_id, bytes(32))
    store.destroy([key_id], AT)
    for each in (store, opened(place)):
        assert code_of(partial(each.wrap, key_id, bytes(32))) == "disposal-key-destroyed"
        assert code_of(partial(each.unwrap, key_id, wrapped)) == "disposal-key-destroyed"
        assert code_of(partial(each.wrap, "ab" * 16, bytes(32))) == "disposal-key-unknown"
    with pytest.raises(NotFoundError):
        store.unwrap("ab" * 16, wrapped)
    with pytest.raises(RefusedError):
        store.unwrap(key_id, wrapped)


def test_destroying_again_keeps_the_first_tombstone(place: Place, store: KeyStore) -> None:
    one, two, kept = store.create_disposal_keys(3)
    store.destroy([one], AT)
    store.destroy([one], LATER)
    store.destroy([], AT)
    assert opened(place).tombstones() == {one: AT}
    store.destroy([one, two], LATER)
    assert store.tombstones() == {one: AT, two: LATER}
    assert opened(place).disposal_key_ids() == {kept}


def test_an_unknown_key_among_those_to_be_destroyed_destroys_none(place: Place, store: KeyStore) -> None:
    (key_id,) = store.create_disposal_keys(1)
    assert code_of(lambda: store.destroy([key_id, "ab" * 16], AT)) == "disposal-key-unknown"
    assert opened(place).disposal_key_ids() == {key_id}


def test_a_time_without_zone_destroys_nothing(place: Place, store: KeyStore) -> None:
    (key_id,) = store.create_disposal_keys(1)
    with pytest.raises(ValueError, match="2031"):
        store.destroy([key_id], AT.replace(tzinfo=None))
    assert opened(place).disposal_key_ids() == {key_id}


def test_a_sealed_store_signs_but_opens_nothing(place: Place, store: KeyStore) -> None:
    signer, (key_id,) = store.create_signing_key(), store.create_disposal_keys(1)
    certifier = store.create_certificate_key()
    store.seal()
    store.seal()
    acts: list[Callable[[KeyStore], object]] = [
        lambda s: s.create_disposal_keys(1),
        lambda s: s.wrap(key_id, DATA_KEY),
        lambda s: s.unwrap(key_id, bytes(40)),
        lambda s: s.destroy([key_id], AT),
        lambda s: s.disposal_key_ids(),
        lambda s: s.tombstones(),
        lambda s: s.create_signing_key(),
        lambda s: s.create_certificate_key(),
        lambda s: s.replace_custodian(WORDS, scrypt_log2_n=4),
    ]
    for each in (store, place.stored()):
        assert each.is_sealed
        for act in acts:
            with pytest.raises(SealedError):
                act(each)
        assert each.signing_key_ids() == {signer}
        require_signs(each, signer)
        each.certificate_key(certifier).verify(each.sign_certificate(certifier, b"form"), b"form", ECDSA(SHA256()))
        each.check()
    assert code_of(lambda: store.sign_certificate("ab" * 16, b"form")) == "certificate-key-unknown"
    assert code_of(lambda: store.certificate_key("ab" * 16)) == "certificate-key-unknown"
    assert code_of(lambda: store.sign("ab" * 16, b"head")) == "signing-key-unknown"
    assert code_of(lambda: store.public_key("ab" * 16)) == "signing-key-unknown"


def test_a_wrong_passphrase_is_refused_and_changes_nothing(place: Place, store: KeyStore) -> None:
    (key_id,) = store.create_disposal_keys(1)
    wrong = CustodianSecret.from_passphrase("four words in a sofa")
    with refused(RefusedError, "custodian-secret-wrong"):
        store.unseal(wrong)
    assert store.disposal_key_ids() == {key_id}
    store.seal()
    for each in (store, place.stored()):
        with refused(RefusedError, "custodian-secret-wrong"):
            each.unseal(wrong)
        assert each.is_sealed
        each.unseal(WORDS)
        assert each.disposal_key_ids() == {key_id}


def test_two_of_three_custodians_open_it_and_strangers_do_not(make_place: MakePlace, tmp_path: Path) -> None:
    lines = [share.line() for share in split_secret(os.urandom(16), 2, 3)]
    others = [share.line() for share in split_secret(os.urandom(16), 2, 3)]
    place = make_place(tmp_path, CustodianSecret.from_shares(lines[:2]))
    (key_id,) = opened(place, CustodianSecret.from_shares(lines[:2])).create_disposal_keys(1)
    for some in (lines[1:], lines[::2], lines):
        assert opened(place, CustodianSecret.from_shares(some)).disposal_key_ids() == {key_id}
    for some in (others[:2], [lines[0], others[1]]):
        assert code_of(partial(place.stored().unseal, CustodianSecret.from_shares(some))) == "custodian-secret-wrong"
    assert code_of(lambda: place.stored().unseal(WORDS)) == "custodian-kind-wrong"


def test_a_custodian_who_left_opens_nothing(place: Place, store: KeyStore) -> None:
    (key_id,) = store.create_disposal_keys(1)
    successor = CustodianSecret.from_passphrase("four other words")
    store.replace_custodian(successor, scrypt_log2_n=4)
    assert store.disposal_key_ids() == {key_id}
    store.seal()
    again = place.stored()
    assert code_of(lambda: again.unseal(WORDS)) == "custodian-secret-wrong"
    again.unseal(successor)
    assert again.disposal_key_ids() == {key_id}
    again.check()


def test_a_reader_changes_nothing_and_refuses_to(place: Place, store: KeyStore) -> None:
    (key_id,) = store.create_disposal_keys(1)
    wrapped = store.wrap(key_id, DATA_KEY)
    reader = opened(place, read_only=True)
    assert reader.unwrap(key_id, wrapped) == DATA_KEY
    reader.check()
    acts: list[Callable[[], object]] = [
        lambda: reader.create_disposal_keys(1),
        lambda: reader.destroy([key_id], AT),
        reader.create_signing_key,
        reader.create_certificate_key,
        lambda: reader.replace_custodian(WORDS, scrypt_log2_n=4),
    ]
    assert {code_of(act) for act in acts} == {"key-store-read-only"}
    assert opened(place).disposal_key_ids() == {key_id}
    store.create_disposal_keys(1)
    reader.check()  # the owner goes on meanwhile


def test_threads_may_create_wrap_sign_and_destroy_at_once(place: Place, store: KeyStore) -> None:
    signer = store.create_signing_key()

    def work(number: int) -> tuple[str, str, bytes]:
        kept, doomed = store.create_disposal_keys(2)
        wrapped = store.wrap(kept, number.to_bytes(8, "big"))
        require_signs(store, signer)
        store.destroy([doomed], AT)
        return kept, doomed, wrapped

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(work, range(24)))
    again = opened(place)
    assert again.disposal_key_ids() == {kept for kept, _, _ in results}
    assert set(again.tombstones()) == {doomed for _, doomed, _ in results}
    for number, (kept, _, wrapped) in enumerate(results):
        assert again.unwrap(kept, wrapped) == number.to_bytes(8, "big")

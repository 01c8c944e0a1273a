"""Buckets: what the vault vouches for, and that nothing is sealed to a public half it did not make."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from ledger_vectors import refused

from vault.errors import IntegrityError, NotFoundError, SealedError
from vault.keys.custodian import CustodianSecret
from vault.keys.file_keystore import FileKeyStore
from vault.sealing.bucket import BucketId, check_public_half, describe, new_bucket, open_bucket
from vault.storage.tables import BucketRow

WORDS = CustodianSecret.from_passphrase("four words")
WHICH = BucketId("city", "form", "2031-04-01")
INDEX_KEY = bytes(range(32))


class World:
    def __init__(self, folder: Path) -> None:
        self.keys = FileKeyStore.create(folder / "store", folder / "epochs", WORDS, scrypt_log2_n=4)
        self.signer = self.keys.create_signing_key()
        [self.key_id, self.other_key_id] = self.keys.create_disposal_keys(2)

    def bucket(self, **which: object) -> BucketRow:
        named = replace(WHICH, **which)  # type: ignore[arg-type]  # fields of a BucketId
        return new_bucket(named, "b" * 32, self.key_id, INDEX_KEY, self.keys, self.signer)

    def signers(self) -> dict[str, bytes]:
        return {name: self.keys.public_key(name) for name in self.keys.signing_key_ids()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "epochs").mkdir()
    return World(tmp_path)


def test_a_bucket_opens_to_its_halves(world: World) -> None:
    row = world.bucket()
    opened = open_bucket(row, world.keys)
    assert opened.private_key.public_key().public_bytes_raw() == row.public_key
    assert opened.index_key == INDEX_KEY
    assert row.state == "open"
    check_public_half(row, world.signers())


def test_two_buckets_share_no_key(world: World) -> None:
    assert world.bucket().public_key != world.bucket().public_key


def test_a_sealed_store_vouches_but_opens_nothing(world: World) -> None:
    row = world.bucket()
    world.keys.seal()
    check_public_half(row, world.signers())
    with refused(SealedError, "vault-sealed"):
        open_bucket(row, world.keys)


ALTERED = {
    "id": "c" * 32,
    "contract_id": "other",
    "class_id": "other",
    "scope": "2032-04-01",
    "generation": 2,
    "key_id": "0" * 32,
    "public_key": X25519PrivateKey.generate().public_key().public_bytes_raw(),
    "signature": bytes(64),
}


@pytest.mark.parametrize(("column", "value"), ALTERED.items(), ids=ALTERED)
def test_an_altered_row_is_not_vouched_for(world: World, column: str, value: object) -> None:
    row = world.bucket()
    setattr(row, column, value)
    with refused(IntegrityError, "bucket-not-vouched-for"):
        check_public_half(row, world.signers())


def test_one_buckets_signature_does_not_serve_another(world: World) -> None:
    row, other = world.bucket(), world.bucket(scope="2032-04-01")
    row.signature = other.signature
    with refused(IntegrityError, "bucket-not-vouched-for"):
        check_public_half(row, world.signers())


def test_a_strangers_signature_is_none(world: World, tmp_path: Path) -> None:
    (tmp_path / "stranger" / "epochs").mkdir(parents=True)
    stranger = World(tmp_path / "stranger")
    with refused(IntegrityError, "bucket-not-vouched-for"):
        check_public_half(stranger.bucket(), world.signers())
    with refused(IntegrityError, "bucket-not-vouched-for"):
        check_public_half(world.bucket(), {})


def test_any_of_the_vaults_signers_may_have_signed(world: World) -> None:
    row = world.bucket()
    world.keys.create_signing_key()
    check_public_half(row, world.signers())


def test_halves_that_do_not_belong_together_are_found(world: World) -> None:
    row = world.bucket()
    row.private_wrapped = world.bucket().private_wrapped
    with refused(IntegrityError, "bucket-halves-differ"):
        open_bucket(row, world.keys)


@pytest.mark.parametrize("column", ["private_wrapped", "index_wrapped"])
def test_altered_wraps_are_found(world: World, column: str) -> None:
    row = world.bucket()
    wrapped = getattr(row, column)
    setattr(row, column, wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
    with refused(IntegrityError, "wrapped-key-altered"):
        open_bucket(row, world.keys)


def test_another_disposal_key_does_not_open_it(world: World) -> None:
    row = world.bucket()
    row.key_id = world.other_key_id
    with refused(IntegrityError, "wrapped-key-altered"):
        open_bucket(row, world.keys)
    row.key_id = "0" * 32
    with refused(NotFoundError, "disposal-key-unknown"):
        open_bucket(row, world.keys)


def test_the_description_says_all_that_may_not_change(world: World) -> None:
    row = world.bucket()
    assert describe(row) == {
        "bucket": "b" * 32,
        "class": "form",
        "contract": "city",
        "generation": 1,
        "key": world.key_id,
        "public_key": row.public_key.hex(),
        "scope": "2031-04-01",
    }

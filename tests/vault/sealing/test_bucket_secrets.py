"""What was unwrapped is kept for a minute at most, is forgotten when the vault is sealed, and hides no altered row."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_vectors import refused

from vault.errors import IntegrityError, SealedError
from vault.keys.custodian import CustodianSecret
from vault.keys.file_keystore import FileKeyStore
from vault.sealing.bucket import BucketId, new_bucket
from vault.sealing.bucket_secrets import BucketSecrets
from vault.sealing.envelope import Envelope

WORDS = CustodianSecret.from_passphrase("four words")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALMOST, MINUTE = timedelta(seconds=59.999999), timedelta(minutes=1)


class World:
    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.keys = FileKeyStore.create(folder / "store", folder / "epochs", WORDS, scrypt_log2_n=4)
        [key_id] = self.keys.create_disposal_keys(1)
        which = BucketId("city", "form", "2031-04-01")
        self.bucket = new_bucket(which, "b" * 32, key_id, bytes(32), self.keys, self.keys.create_signing_key())
        self.secrets = BucketSecrets(self.keys, lambda: self.now)
        self.sealed: dict[str, bytes] = {}

    def seal_envelope(self, number: int) -> str:
        envelope = Envelope(f"{number:032x}", self.bucket.id, os.urandom(32))
        self.sealed[envelope.id] = envelope.seal(self.bucket.public_key)
        return envelope.id

    def open_envelope(self, envelope_id: str) -> Envelope:
        return self.secrets.envelope(envelope_id, self.bucket, self.sealed[envelope_id])


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "epochs").mkdir()
    return World(tmp_path)


@pytest.fixture(params=["bucket", "envelope"])
def unwrap(world: World, request: pytest.FixtureRequest) -> Callable[[], object]:
    if request.param == "bucket":
        return lambda: world.secrets.opened(world.bucket)
    envelope_id = world.seal_envelope(1)
    return lambda: world.open_envelope(envelope_id)


def test_an_envelope_is_what_was_sealed(world: World) -> None:
    key = os.urandom(32)
    sealed = Envelope("e" * 32, world.bucket.id, key).seal(world.bucket.public_key)
    assert world.secrets.envelope("e" * 32, world.bucket, sealed).key == key


def test_it_is_unwrapped_once_within_a_minute_however_often_it_is_asked_for(
    world: World, unwrap: Callable[[], object]
) -> None:
    first = unwrap()
    world.now = NOON + ALMOST
    assert unwrap() is first
    world.now = NOON + MINUTE  # counted from the unwrapping, not from the last use
    assert unwrap() is not first


def test_after_a_minute_nothing_old_is_held(world: World) -> None:
    world.open_envelope(world.seal_envelope(1))
    world.now = NOON + MINUTE
    last = world.open_envelope(world.seal_envelope(2))
    assert [kept for _, kept in world.secrets._envelopes.values()] == [last]  # noqa: SLF001 - what is still held
    assert [at for at, _ in world.secrets._buckets.values()] == [world.now]  # noqa: SLF001 - likewise


def test_a_clock_put_back_does_not_lengthen_the_minute(world: World, unwrap: Callable[[], object]) -> None:
    first = unwrap()
    world.now = NOON - timedelta(hours=1)
    assert unwrap() is not first


def test_a_sealed_vault_opens_nothing_not_even_what_was_open(world: World, unwrap: Callable[[], object]) -> None:
    unwrap()
    world.keys.seal()
    with refused(SealedError, "vault-sealed"):
        unwrap()


def test_sealing_forgets(world: World, unwrap: Callable[[], object]) -> None:
    first = unwrap()
    world.keys.seal()
    world.secrets.forget()
    assert (world.secrets._buckets, world.secrets._envelopes) == ({}, {})  # noqa: SLF001 - what is still held
    world.keys.unseal(WORDS)
    assert unwrap() is not first


def test_an_altered_envelope_is_found_although_it_was_opened_before(world: World) -> None:
    envelope_id = world.seal_envelope(1)
    world.open_envelope(envelope_id)
    world.sealed[envelope_id] = os.urandom(80)
    with refused(IntegrityError, "envelope-altered"):
        world.open_envelope(envelope_id)


def test_an_envelope_under_another_id_is_found_although_it_was_opened_before(world: World) -> None:
    envelope_id = world.seal_envelope(1)
    world.open_envelope(envelope_id)
    world.sealed["f" * 32] = world.sealed[envelope_id]
    with refused(IntegrityError, "envelope-altered"):
        world.open_envelope("f" * 32)


def test_the_oldest_envelopes_make_room(world: World) -> None:
    ids = [world.seal_envelope(number) for number in range(1025)]
    first, second, *_ = [world.open_envelope(envelope_id) for envelope_id in ids]
    assert world.open_envelope(ids[1]) is second
    assert world.open_envelope(ids[0]) is not first

"""The key store on two disks: killed at every write; one disk away, behind, older, damaged or another store's."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from killed_writes import How, run_killed

from vault.errors import IntegrityError, KuraError, RefusedError, UnavailableError
from vault.keys.custodian import CustodianSecret
from vault.keys.file_keystore import FileKeyStore

WORDS = CustodianSecret.from_passphrase("four words in a safe")
OTHER_WORDS = CustodianSecret.from_passphrase("four other words")
AT = datetime(2031, 4, 1, tzinfo=UTC)
DISKS = ("one", "two")


@dataclass
class World:
    """A store on two disks with one key to keep, one to destroy, one destroyed already, and a signing key."""

    folder: Path
    kept: str
    doomed: str
    dead: str
    signer: str
    wrapped: bytes

    def store(self, *, read_only: bool = False, order: tuple[str, str] = ("one", "two")) -> FileKeyStore:
        (path, epochs), second = (self.place(disk) for disk in order)
        return FileKeyStore(path, epochs, second=second, read_only=read_only)

    def alone(self, disk: str, *, read_only: bool = True) -> FileKeyStore:
        return FileKeyStore(*self.place(disk), read_only=read_only)

    def opened(self, words: CustodianSecret = WORDS) -> FileKeyStore:
        store = self.store()
        store.unseal(words)
        return store

    def place(self, disk: str) -> tuple[Path, Path]:
        return self.folder / disk / "keys" / "store", self.folder / disk / "epochs"

    def copy(self, to: Path) -> "World":
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.folder, to)
        return World(to, self.kept, self.doomed, self.dead, self.signer, self.wrapped)

    def pull(self, disk: str) -> None:
        shutil.rmtree(self.folder / disk)

    def require_alike(self) -> None:
        """Require that both replicas are the same, settled, and each opens by itself."""
        assert self.place("one")[0].read_bytes() == self.place("two")[0].read_bytes()
        for disk in DISKS:
            store = self.alone(disk)
            store.unseal(WORDS)
            store.check()
            assert store.unwrap(self.kept, self.wrapped) == b"a data key as is"
            assert self.dead in store.tombstones()
            slots = [(self.folder / disk / "epochs" / name).read_bytes() for name in ("epoch-0", "epoch-1")]
            assert sorted(any(slot) for slot in slots) == [False, True]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("two disks"), "", "", "", "", b"")
    (path, epochs), second = world.place("one"), world.place("two")
    store = FileKeyStore.create(path, epochs, WORDS, second=second, scrypt_log2_n=4)
    world.kept, world.doomed, world.dead = store.create_disposal_keys(3)
    store.destroy([world.dead], AT)
    world.signer = store.create_signing_key()
    world.wrapped = store.wrap(world.kept, b"a data key as is")
    world.require_alike()
    return world


@pytest.fixture
def here(world: World, tmp_path: Path) -> World:
    return world.copy(tmp_path / "here")


@pytest.mark.parametrize("how", ["before", "after", "torn"])
def test_a_day_s_work_killed_at_every_write_leaves_two_replicas_alike(world: World, tmp_path: Path, how: How) -> None:
    def work(here: World, acknowledge: Callable[[object], None]) -> None:
        store = here.opened()
        acknowledge({"created": store.create_disposal_keys(2)})
        acknowledge({"signer": store.create_signing_key()})
        store.destroy([here.doomed], AT)
        acknowledge({"destroyed": here.doomed})
        acknowledge({"created": store.create_disposal_keys(1)})

    number, lived = 0, False
    while not lived:
        number += 1
        here = world.copy(tmp_path / "here")
        lived, facts = run_killed(number, how, partial(work, here))
        created = {key_id for fact in facts for key_id in fact.get("created", [])}
        require_each_disk_has(here, tmp_path, created, is_destroyed={"destroyed": here.doomed} in facts)
        store = here.opened()
        store.check()
        assert created <= store.disposal_key_ids()
        assert {fact["signer"] for fact in facts if "signer" in fact} <= store.signing_key_ids()
        if {"destroyed": here.doomed} in facts:
            assert here.doomed in store.tombstones()
        here.require_alike()
        store.destroy([here.doomed], AT)
        here.require_alike()
        for disk in DISKS:
            require_copies_are_worthless(here, world, disk, tmp_path)
    assert len(facts) == 4
    assert number > 40  # every write of both replicas was visited


def require_each_disk_has(here: World, tmp_path: Path, created: set[str], *, is_destroyed: bool) -> None:
    """Pull either disk of what a kill has left: what was acknowledged is on the other, or the store says it is not."""
    for disk in DISKS:
        pulled = here.copy(tmp_path / "pulled")
        pulled.pull(disk)
        store = pulled.opened()
        assert created <= store.disposal_key_ids()
        assert store.unwrap(here.kept, here.wrapped) == b"a data key as is"
        assert (here.doomed in store.tombstones()) != (here.doomed in store.disposal_key_ids())
        assert here.doomed in store.tombstones() or not is_destroyed


def require_copies_are_worthless(here: World, world: World, disk: str, tmp_path: Path) -> None:
    """Require that an older key file opens with no slot of either disk."""
    for slots in DISKS:
        robbed = here.copy(tmp_path / "robbed")
        shutil.copy(world.place(disk)[0], robbed.place(slots)[0])
        with pytest.raises(IntegrityError):
            robbed.alone(slots)


@pytest.mark.parametrize("how", ["before", "after", "torn"])
def test_bringing_a_disk_up_killed_at_every_write_is_done_by_the_next_opening(
    world: World, tmp_path: Path, how: How
) -> None:
    def bring_up(here: World, _: object) -> None:
        here.opened().check()

    behind = world.copy(tmp_path / "behind")
    shutil.rmtree(behind.folder / "two")
    behind.opened().create_disposal_keys(1)
    (behind.folder / "two" / "keys").mkdir(parents=True)
    number, lived = 0, False
    while not lived:
        number += 1
        here = behind.copy(tmp_path / "here")
        lived, _ = run_killed(number, how, partial(bring_up, here))
        here.opened().check()
        here.require_alike()
    assert number > 8


@pytest.mark.parametrize("disk", DISKS)
def test_while_a_disk_is_away_keys_are_made_and_none_is_destroyed(here: World, disk: str) -> None:
    store = here.opened()
    (here.folder / disk).rename(here.folder / "away")
    [born] = store.create_disposal_keys(1)
    for refused in (partial(store.destroy, [here.doomed], AT), partial(store.replace_custodian, OTHER_WORDS)):
        with pytest.raises(UnavailableError) as caught:
            refused()
        assert caught.value.code == "key-replica-away"
    assert not store.is_sealed
    with pytest.raises(UnavailableError):
        store.check()
    assert not store.bring_up()
    assert not (here.folder / disk).exists()
    (here.folder / "away").rename(here.folder / disk)
    with pytest.raises(UnavailableError):
        store.check()  # it is behind
    assert store.bring_up()
    store.check()
    here.require_alike()
    store.destroy([here.doomed], AT)
    assert born in here.opened().disposal_key_ids()
    here.require_alike()


def test_a_sealed_store_brings_nothing_up(here: World) -> None:
    store = here.opened()
    (here.folder / "two").rename(here.folder / "away")
    store.create_disposal_keys(1)
    (here.folder / "away").rename(here.folder / "two")
    store.seal()
    assert not store.bring_up()
    store.unseal(WORDS)
    assert store.bring_up()
    here.require_alike()


@pytest.mark.parametrize("disk", DISKS)
def test_an_older_replica_resurrects_nothing(here: World, tmp_path: Path, disk: str) -> None:
    older = here.copy(tmp_path / "older")
    here.opened().destroy([here.doomed], AT)
    here.pull(disk)
    shutil.copytree(older.folder / disk, here.folder / disk)
    store = here.opened()
    assert here.doomed in store.tombstones()
    with pytest.raises(RefusedError):
        store.wrap(here.doomed, b"x")
    here.require_alike()
    require_copies_are_worthless(here, older, disk, tmp_path)


@pytest.mark.parametrize("disk", DISKS)
@pytest.mark.parametrize("damage", ["file", "slots"])
def test_a_damaged_replica_is_brought_up_from_the_other(here: World, disk: str, damage: str) -> None:
    path, epochs = here.place(disk)
    for damaged in [path] if damage == "file" else sorted(epochs.iterdir()):
        damaged.write_bytes(b"?" * damaged.stat().st_size)
    with pytest.raises(UnavailableError):
        here.store(read_only=True).check()
    here.opened().check()
    here.require_alike()


def test_stores_that_went_apart_are_refused_and_left_as_they_are(here: World) -> None:
    one, two = (here.alone(disk, read_only=False) for disk in DISKS)
    for store, count in ((one, 1), (two, 2)):
        store.unseal(WORDS)
        for _ in range(count):
            store.create_disposal_keys(1)
    before = [here.place(disk)[0].read_bytes() for disk in DISKS]
    with pytest.raises(IntegrityError) as caught:
        here.opened()
    assert caught.value.code == "key-replicas-differ"
    one.create_disposal_keys(1)
    with pytest.raises(IntegrityError) as caught:
        here.store()
    assert caught.value.code == "key-replicas-differ"
    assert here.place("two")[0].read_bytes() == before[1]


def test_without_any_replica_the_first_one_s_error_is_told(here: World) -> None:
    here.pull("one")
    here.pull("two")
    with pytest.raises(KuraError) as caught:
        here.store()
    assert caught.value.code == "key-file-missing"

"""The embedded key store killed, torn and failed at every single write: nothing acknowledged is ever lost or undone.

A child process runs the product's own code and kills itself at the n-th call that changes the disk, for every n:
before the call, after it, or in the middle of the bytes it writes. The parent then opens what is left.
"""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from vault.errors import IntegrityError, RefusedError, UnavailableError
from vault.keys.custodian import CustodianSecret
from vault.keys.file_keystore import FileKeyStore

WORDS = CustodianSecret.from_passphrase("four words in a safe")
OTHER_WORDS = CustodianSecret.from_passphrase("four other words")
AT = datetime(2031, 4, 1, tzinfo=UTC)
DISK_CALLS = ("open", "write", "pwrite", "ftruncate", "fsync", "replace", "rename", "unlink", "mkdir")

How = Literal["before", "after", "torn"]
Interrupt = Callable[[], None]


@dataclass
class World:
    """A store with one key to keep, one to destroy, one destroyed already, and a signing key."""

    folder: Path
    kept: str
    doomed: str
    dead: str
    signer: str
    wrapped: bytes

    def store(self, *, read_only: bool = False) -> FileKeyStore:
        return FileKeyStore(self.folder / "vault" / "keys", self.folder / "epochs", read_only=read_only)

    def opened(self, words: CustodianSecret = WORDS, *, read_only: bool = False) -> FileKeyStore:
        store = self.store(read_only=read_only)
        store.unseal(words)
        return store

    def copy(self, to: Path) -> "World":
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.folder, to)
        return World(to, self.kept, self.doomed, self.dead, self.signer, self.wrapped)

    def key_file(self) -> Path:
        return self.folder / "vault" / "keys"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("key store")
    store = FileKeyStore.create(folder / "vault" / "keys", folder / "epochs", WORDS, scrypt_log2_n=4)
    kept, doomed, dead = store.create_disposal_keys(3)
    store.destroy([dead], AT)
    return World(folder, kept, doomed, dead, store.create_signing_key(), store.wrap(kept, b"16 bytes of text"))


def interrupt_disk(
    set_attribute: Callable[[object, str, object], None], number: int, how: How, interrupt: Interrupt
) -> list[str]:
    """Replace the calls that change the disk by ones that interrupt at the given one; give the list they log to."""
    calls: list[str] = []

    def interrupted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # stands for calls of every shape
            if name == "open" and not args[1] & os.O_CREAT:
                return real(*args, **kwargs)
            calls.append(name)
            if len(calls) != number:
                return real(*args, **kwargs)
            if how == "torn" and name in {"write", "pwrite"}:
                real(args[0], args[1][: len(args[1]) // 2], *args[2:])
            if how == "after":
                real(*args, **kwargs)
            return interrupt()

        return call

    for name in DISK_CALLS:
        set_attribute(os, name, interrupted(name, getattr(os, name)))
    return calls


def kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_killed(number: int, how: How, work: Callable[[Callable[[object], None]], None]) -> tuple[bool, list[Any]]:
    """Run work in a child that is killed at a call, and say whether it lived, and what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write = os.write  # the real one: acknowledging is no disk call

            def acknowledge(fact: object) -> None:
                write(writing, json.dumps(fact).encode() + b"\n")

            interrupt_disk(setattr, number, how, kill_this_process)
            work(acknowledge)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        acknowledged = [json.loads(line) for line in pipe]
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}, "the child failed by itself"
    return status == 0, acknowledged


def require_whole(world: World, words: CustodianSecret = WORDS) -> FileKeyStore:
    """Open what is left as a reader, then as the owner, and require all that was there before."""
    reader = world.opened(words, read_only=True)
    assert reader.unwrap(world.kept, world.wrapped) == b"16 bytes of text"
    store = world.opened(words)
    store.check()
    assert store.unwrap(world.kept, world.wrapped) == b"16 bytes of text"
    assert store.sign(world.signer, b"head")
    assert world.dead in store.tombstones()
    slots = [(world.folder / "epochs" / name).read_bytes() for name in ("epoch-0", "epoch-1")]
    assert sorted(any(slot) for slot in slots) == [False, True]
    assert [path.name for path in world.key_file().parent.iterdir()] == ["keys"]
    assert not world.store().finished_cut_run
    return store


def require_copy_is_worthless(world: World, copy: World, tmp_path: Path) -> None:
    """Require that an older key file opens with no slot that exists now."""
    robbed = world.copy(tmp_path / "robbed")
    shutil.copy(copy.key_file(), robbed.key_file())
    with pytest.raises(IntegrityError):
        robbed.store()


@pytest.mark.parametrize("how", ["before", "after", "torn"])
def test_a_day_s_work_killed_at_every_write_keeps_all_that_was_acknowledged(
    world: World, tmp_path: Path, how: How
) -> None:
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
        store = require_whole(here)
        created = {key_id for fact in facts for key_id in fact.get("created", [])}
        signers = {fact["signer"] for fact in facts if "signer" in fact}
        assert created <= store.disposal_key_ids()
        assert len(store.disposal_key_ids() - created - {here.kept, here.doomed}) in {0, 1, 2}
        assert signers <= store.signing_key_ids()
        if {"destroyed": here.doomed} in facts:
            assert here.doomed in store.tombstones()
        if here.doomed not in store.tombstones():
            assert here.doomed in store.disposal_key_ids()
            store.destroy([here.doomed], AT)
        with pytest.raises(RefusedError):
            store.wrap(here.doomed, bytes(8))
        require_copy_is_worthless(here, world, tmp_path)
        assert store.create_disposal_keys(1)[0] in here.opened().disposal_key_ids()
    assert len(facts) == 4
    assert number > 20  # every write was visited


@pytest.mark.parametrize("how", ["before", "after", "torn"])
def test_a_recovery_killed_at_every_write_is_finished_by_the_next(world: World, tmp_path: Path, how: How) -> None:
    def destroy(store: FileKeyStore, _: object) -> None:
        store.destroy([world.doomed], AT)

    def recover(here: World, _: object) -> None:
        here.opened().check()

    number, lived, second_kills = 0, False, 0
    while not lived:
        number += 1
        cut = world.copy(tmp_path / "cut")
        lived, _ = run_killed(number, how, partial(destroy, cut.opened()))
        again, recovered = 0, False
        while not recovered:
            again += 1
            here = cut.copy(tmp_path / "here")
            recovered, _ = run_killed(again, how, partial(recover, here))
            second_kills += not recovered
            store = require_whole(here)
            assert (here.doomed in store.tombstones()) != (here.doomed in store.disposal_key_ids())
            if here.doomed in store.tombstones():
                require_copy_is_worthless(here, world, tmp_path)
    assert second_kills > 5


@pytest.mark.parametrize("how", ["before", "after", "torn"])
def test_a_change_of_custodians_killed_at_every_write_leaves_one_secret_that_opens(
    world: World, tmp_path: Path, how: How
) -> None:
    def replace(store: FileKeyStore, _: object) -> None:
        store.replace_custodian(OTHER_WORDS, scrypt_log2_n=4)

    number, lived = 0, False
    while not lived:
        number += 1
        here = world.copy(tmp_path / "here")
        lived, _ = run_killed(number, how, partial(replace, here.opened()))
        try:
            here.opened()
        except RefusedError:
            require_whole(here, OTHER_WORDS)
            require_copy_is_worthless(here, world, tmp_path)
        else:
            assert not lived
            require_whole(here)


@pytest.mark.parametrize("how", ["before", "after", "torn"])
def test_a_failing_disk_seals_the_store_and_opening_it_again_recovers(
    world: World, tmp_path: Path, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError(5, "the disk gave up")

    number, failed, code = 0, True, ""
    while failed:
        number += 1
        here = world.copy(tmp_path / "here")
        store = here.opened()
        with monkeypatch.context() as patch:
            interrupt_disk(patch.setattr, number, how, fail)
            try:
                store.destroy([here.doomed], AT)
                failed = False
            except UnavailableError as error:
                code = error.code
        assert store.is_sealed == failed
        assert store.sign(here.signer, b"head")  # a sealed vault goes on taking
        store.unseal(WORDS)
        store.destroy([here.doomed], AT)
        store.check()
        assert here.doomed in require_whole(here).tombstones()
        require_copy_is_worthless(here, world, tmp_path)
    assert number > 8
    assert code == "key-store-write-failed"


def test_a_failure_to_create_keys_leaves_all_of_them_or_none(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError(28, "no space left")

    for number in range(1, 6):
        here = world.copy(tmp_path / "here")
        store = here.opened()
        with monkeypatch.context() as patch:
            interrupt_disk(patch.setattr, number, "before", fail)
            with pytest.raises(UnavailableError):
                store.create_disposal_keys(3)
        store.unseal(WORDS)
        assert len(store.disposal_key_ids()) in {2, 5}
        require_whole(here)


@pytest.mark.parametrize("how", ["before", "after", "torn"])
def test_a_cut_set_up_is_a_store_or_is_refused_but_never_an_unsafe_one(tmp_path: Path, how: How) -> None:
    def create(key_file: Path, epochs: Path, _: object) -> None:
        FileKeyStore.create(key_file, epochs, WORDS, scrypt_log2_n=4)

    number, lived = 0, False
    while not lived:
        number += 1
        folder = tmp_path / f"{number}"
        key_file, epochs = folder / "vault" / "keys", folder / "epochs"
        lived, _ = run_killed(number, how, partial(create, key_file, epochs))
        if key_file.exists():
            store = FileKeyStore(key_file, epochs)
            store.unseal(WORDS)
            store.check()
        else:
            shutil.rmtree(epochs, ignore_errors=True)  # what the refusal tells a person to do
            FileKeyStore.create(key_file, epochs, WORDS, scrypt_log2_n=4).check()


def test_the_writes_of_a_destruction_come_in_the_order_the_promise_rests_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world.copy(tmp_path / "here")
    store = here.opened()
    with monkeypatch.context() as patch:
        calls = interrupt_disk(patch.setattr, -1, "before", kill_this_process)
        store.destroy([here.doomed], AT)
        destroying = list(calls)
        store.create_disposal_keys(1)
    assert destroying == [
        *("pwrite", "fsync"),  # the new epoch's secret into the free slot
        *("open", "write", "fsync", "replace", "fsync"),  # the key file, renamed into place, and its folder
        *("pwrite", "fsync"),  # zeros over the old slot
    ]
    assert calls[len(destroying) :] == ["open", "write", "fsync", "replace", "fsync"]

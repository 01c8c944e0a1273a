"""Kill -9 from outside while an HSM is changed, at its writes and at ours: all or nothing, once opened again.

SoftHSM, the device here, makes an object in a dozen writes and its token's own file in two, and syncs none: what it
leaves of an object is cleared away; its token's own file (the PIN) torn by itself is not this program's to mend, and
is left out.
"""

import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hsm_child
import pytest
import tracing
from hsm_child import OTHER_WORDS
from key_places import WORDS, HsmPlace
from ledger_vectors import refused

from vault.errors import IntegrityError, RefusedError
from vault.keys.custodian import CustodianSecret
from vault.keys.pkcs11_keystore import Pkcs11KeyStore
from vault.keys.pkcs11_library import library
from vault.keys.pkcs11_uri import parse_hsm_uri

pytestmark = pytest.mark.engines

CALLS = "/^rename,/^unlink,write,ftruncate,fsync"
KILLS = 8  # per act, evenly over its writes
SHOWS = re.compile(r"/tokens/[^/]+/[^/]+\.(object|lock)|/vault/keys|/vault>")
NOT_OURS = re.compile(r"/token\.object")
DATA_KEY = bytes(range(32))
Point = tuple[str, int]
"""A system call by name, and which of that name, from 1: strace counts each name by itself."""
PROGRAM = Path(hsm_child.__file__)


@dataclass
class World:
    """One store, put back to what it was before each round."""

    place: HsmPlace
    nursery: tracing.Nursery
    kept: str
    doomed: str
    dead: str
    signer: str
    wrapped: bytes
    folders: list[Path]
    copies: Path

    def round(self, act: str, kill_at: Point | None) -> tuple[list[dict[str, Any]], list[tracing.Call]]:
        """Have a child do one act; it is killed at a call. Gives what it said, and what it was traced at."""
        log = self.copies / "trace"
        strace = ["-o", str(log), "-e", f"trace={CALLS}"]
        if kill_at is not None:
            strace += ["-e", f"inject={kill_at[0]}:signal=SIGKILL:when={kill_at[1]}"]
        job = {"uri": self.place.uri, "path": str(self.place.path), "act": act, "key": self.doomed}
        lines = list(self.nursery.run(job, strace))
        assert not [line["failed"] for line in lines if "failed" in line]
        return lines, tracing.read_trace(log)

    def put_back(self) -> None:
        for number, folder in enumerate(self.folders):
            # By renaming: other processes of this HSM look into every token's folder, and may write in it.
            copy, former = self.copies / "next", self.copies / "former"
            shutil.copytree(self.copies / str(number), copy)
            folder.rename(former)
            copy.rename(folder)
            shutil.rmtree(former, ignore_errors=True)

    def opened(self, custodian: CustodianSecret = WORDS) -> Pkcs11KeyStore:
        """Open what is left, with nothing remembered of what was there before."""
        device = library(parse_hsm_uri(self.place.uri).module)
        with device.alone():
            device.begin_anew(device.generation)
        return self.place.opened(custodian)


@pytest.fixture(params=["inside", "outside"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    place = HsmPlace(request.param, tmp_path)
    store = place.opened()
    kept, doomed, dead = store.create_disposal_keys(3)
    store.destroy([dead], hsm_child.AT)
    signer, wrapped = store.create_signing_key(), store.wrap(kept, DATA_KEY)
    store.seal()
    tokens = Path(os.environ["KURA_ENGINES"]) / "softhsm" / "tokens"
    labels = [place.taking.encode(), place.opening.encode()]
    folders = [path.parent for path in tokens.glob("*/token.object") if any(x in path.read_bytes() for x in labels)]
    folders += [place.path.parent] if place.path.exists() else []
    for number, folder in enumerate(folders):
        shutil.copytree(folder, tmp_path / "copies" / str(number))
    roots = [str(Path(__file__).parents[3]), str(PROGRAM.parent)]
    with tracing.Nursery(PROGRAM, os.environ | {"PYTHONPATH": os.pathsep.join(roots)}) as nursery:
        yield World(place, nursery, kept, doomed, dead, signer, wrapped, folders, tmp_path / "copies")


def kill_points(calls: list[tracing.Call]) -> list[Point]:
    """Choose calls that change the device or the file, evenly, and every one that ends or renames a file."""
    own = [call.ordinal for call in calls if NOT_OURS.search(call.arguments)]
    torn = range(own[0] + 1, own[-1] + 1) if own else range(0)
    counts: Counter[str] = Counter()
    points: list[Point] = []
    for call in calls:
        counts[call.name] += 1
        if SHOWS.search(call.arguments) and call.ordinal not in torn:
            points.append((call.name, counts[call.name]))
    every = max(1, len(points) // KILLS)
    ends = ("unlink", "rename", "fsync")
    return [point for number, point in enumerate(points) if number % every == 0 or point[0].startswith(ends)]


def require_whole(world: World, store: Pkcs11KeyStore) -> None:
    assert store.unwrap(world.kept, world.wrapped) == DATA_KEY
    assert world.dead in store.tombstones()
    assert len(store.sign(world.signer, b"head")) == 64
    assert {len(store.public_key(key_id)) for key_id in store.signing_key_ids()} == {32}
    store.check()
    if world.place.path.exists():
        assert [path.name for path in world.place.path.parent.iterdir()] == ["keys"]


@pytest.mark.parametrize("act", ["destroy", "create", "signer", "custodian"])
def test_an_act_killed_at_its_writes_is_done_wholly_or_not_at_all(world: World, act: str) -> None:
    lines, calls = world.round(act, None)
    assert lines[-1]["ended"] == 0
    hits, points = 0, kill_points(calls)
    for kill_at in points:
        world.put_back()
        lines, _ = world.round(act, kill_at)
        hits += lines[-1]["ended"] == signal.SIGKILL
        done = [line["done"] for line in lines if "done" in line]
        if act == "custodian":
            require_one_secret(world, is_done=bool(done))
            continue
        store = world.opened()
        require_whole(world, store)
        assert (world.doomed in store.tombstones()) != (world.doomed in store.disposal_key_ids())
        if act == "create" and done:
            assert set(done[0]) <= store.disposal_key_ids()
        if act == "signer" and done:
            assert done[0] in store.signing_key_ids()
        if act == "destroy":
            assert not done or world.doomed in store.tombstones()
            require_destroyed(world, store)
        store.seal()
    assert hits == len(points) > 3, "the act was not killed where it was to be"


def require_destroyed(world: World, store: Pkcs11KeyStore) -> None:
    """Destroy again, and require that nothing opens, an older copy of the file neither."""
    store.destroy([world.doomed], hsm_child.AT)
    with refused(RefusedError, "disposal-key-destroyed"):
        store.wrap(world.doomed, DATA_KEY)
    require_whole(world, store)
    if world.place.path.exists():
        newest = world.place.path.read_bytes()
        world.place.path.write_bytes((world.copies / str(len(world.folders) - 1) / "keys").read_bytes())
        with refused(IntegrityError, "key-file-outdated"):
            store.unseal(WORDS)
        world.place.path.write_bytes(newest)


def require_one_secret(world: World, *, is_done: bool) -> None:
    """Require that one of the two secrets opens the store, and the other does not any more or not yet."""
    try:
        store, other = world.opened(), OTHER_WORDS
        assert not is_done
    except RefusedError:
        store, other = world.opened(OTHER_WORDS), WORDS
    require_whole(world, store)
    store.seal()
    with refused(RefusedError, "custodian-secret-wrong"):
        store.unseal(other)


def test_an_opening_killed_while_it_finishes_a_cut_run_is_finished_by_the_next(world: World) -> None:
    _, calls = world.round("destroy", None)
    kills = kill_points(calls)
    cut = kills[-2]  # before the last unlink but what follows it: the destruction counts, and is not finished
    world.put_back()
    world.round("destroy", cut)
    _, recovering = world.round("unseal", None)
    points = kill_points(recovering)
    hits = 0
    for kill_at in points:
        world.put_back()
        world.round("destroy", cut)
        lines, _ = world.round("unseal", kill_at)
        hits += lines[-1]["ended"] == signal.SIGKILL
        store = world.opened()
        require_whole(world, store)
        assert world.doomed in store.tombstones()
        store.seal()
    assert hits

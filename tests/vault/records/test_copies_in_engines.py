"""A vault whose objects stand in two buckets of a real engine: taken, read, locked to their day, checked, backed up."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import buckets
import crash_load
import engines
import pytest
import stored
import vaults
from between import Between, between
from crash_load import BytesSource
from ledger_vectors import refused

from vault.bootstrap import NewVault, create_vault, open_vault, probe_stores, verify_vault
from vault.errors import ConflictError, IntegrityError, KuraError, NotFoundError, RefusedError, UnavailableError
from vault.people.persons import NewPerson
from vault.people.purpose import ViewPurpose
from vault.records.backup import back_up
from vault.records.healing import heal_copies
from vault.records.health import health_of
from vault.records.locking import extend_locks, lock_queue
from vault.records.orphans import find_orphans, sweep_orphans
from vault.records.reading import Purpose
from vault.records.request import DepositRequest
from vault.records.restore import restore
from vault.records.scrub import Progress, scrub
from vault.records.vault import Vault
from vault.settings import StorageSettings
from vault.storage.objects import Address
from vault.storage.s3_place import read_place

pytestmark = pytest.mark.engines

CLIP, CALL = "surveillance_video", "call_recording"


def new_vault(tmp_path: Path, lines: tuple[str, ...], *, lock_s: int = 60, timeout_s: float = 10.0) -> Vault:
    """A vault on SQLite and in buckets: what is looked at here is the stores."""
    new = NewVault(
        vaults.policy_text(),
        [NewPerson.parse(text) for text in vaults.PEOPLE],
        vaults.custodian(),
        tmp_path / "vault.epoch",
        origin="kura.test/vault",
        scrypt_log2_n=4,
        storage=StorageSettings(stores=lines, engine_lock_s=lock_s, engine_timeout_s=timeout_s),
    )
    return create_vault(tmp_path / "vault", new)


@pytest.fixture
def names() -> tuple[str, str]:
    return buckets.new_bucket(), buckets.new_bucket()


@pytest.fixture
def ways() -> Iterator[list[Between]]:
    with ExitStack() as stack:
        yield [stack.enter_context(between(buckets.address(), buckets.keys()["depositor"])) for _ in range(2)]


@pytest.fixture
def vault(tmp_path: Path, names: tuple[str, str], ways: list[Between]) -> Iterator[Vault]:
    """A vault that reaches each bucket by a way on which things can go wrong."""
    lines = tuple(buckets.line(tmp_path, name, at=way.address) for name, way in zip(names, ways, strict=True))
    vault = new_vault(tmp_path, lines, timeout_s=4.0)
    yield vault
    vault.close()


def deposit(vault: Vault, class_id: str = CLIP, number: int = 1) -> str:
    content = content_of(class_id, number)
    request = vaults.request(class_id=class_id, subject_key=None, file_name=None)
    actor = vault.actor(vaults.MANAGER)
    return vault.deposits.deposit(actor, vaults.CONTRACT, request, BytesSource(content)).record_id


def content_of(class_id: str, number: int = 1) -> bytes:
    return crash_load.video(number, 2_200_000) if class_id == CLIP else crash_load.sound(number, 400)


def read(vault: Vault, record_id: str) -> bytes:
    return crash_load.read(vault, vault.actor(vaults.MANAGER), record_id)


def addresses(vault: Vault, record_id: str) -> list[tuple[int, Address]]:
    query = (
        "SELECT c.store, c.object_name, c.version FROM copies c JOIN objects o ON o.name = c.object_name"
        " WHERE o.record_id = :id ORDER BY c.store"
    )
    found = stored.rows(vault, query, id=record_id)
    return [(store, Address(name, version)) for store, name, version in found]


def codes(vault: Vault, *, keyless: bool = False) -> list[str]:
    vault.publish()
    custodian = None if keyless else vaults.custodian()
    return [finding.code for finding in verify_vault(vault.folder, custodian, keyless=keyless).findings]


def check(vault: Vault) -> Progress:
    officer = vault.actor(vaults.OFFICER)
    return scrub(vault.ground, vault.buckets, officer, vaults.CONTRACT, lambda _: None, lambda _: None)


def test_a_day_in_two_buckets(vault: Vault) -> None:
    """Deposits of one and of two copies, read back, locked to their disposal day, checked and verified."""
    clip, call = deposit(vault), deposit(vault, CALL)
    assert [store for store, _ in addresses(vault, clip)] == [0, 1]
    assert [store for store, _ in addresses(vault, call)] == [0]
    assert (read(vault, clip), read(vault, call)) == (content_of(CLIP), content_of(CALL))
    assert extend_locks(vault.ground) == 3
    for record_id in (clip, call):
        [[scope]] = stored.rows(
            vault, "SELECT scope FROM buckets b JOIN records r ON r.bucket_id = b.id WHERE r.id = :id", id=record_id
        )
        due = datetime.fromisoformat(f"{scope}T00:00:00+09:00")
        for store, address in addresses(vault, record_id):
            assert vault.ground.stores[store].stat(address).locked_until == due
            with refused(ConflictError, "object-locked"):
                vault.ground.stores[store].delete(address)
    assert check(vault) == Progress(2, 2, ())
    assert codes(vault) == codes(vault, keyless=True) == []
    assert find_orphans(vault.ground) == []
    vault = vaults.reopen(vault)
    assert read(vault, clip) == content_of(CLIP)
    vault.close()


def test_ranges_of_an_object_in_an_engine_are_slices(vault: Vault) -> None:
    record_id, content = deposit(vault), content_of(CLIP)
    purpose = Purpose(ViewPurpose.INQUIRY_ANSWER)
    reading = vault.readings.read(vault.actor(vaults.MANAGER), vaults.CONTRACT, record_id, purpose)
    edges = [0, 1, (1 << 20) - 56, 1 << 20, (2 << 20) + 5, len(content) - 1, len(content)]
    for start in edges:
        for end in edges:
            part = b"".join(map(bytes, reading.parts(start, max(0, end - start))))
            assert part == content[start : max(start, end)]


def test_a_wrong_byte_from_one_engine_is_not_shown_and_the_other_copy_is(vault: Vault, ways: list[Between]) -> None:
    record_id = deposit(vault)
    ways[0].flip_given = True
    assert read(vault, record_id) == content_of(CLIP)
    assert check(vault).damaged == (record_id,)
    assert "object-altered" in codes(vault)
    assert "object-altered" in codes(vault, keyless=True)
    ways[1].flip_given = True
    with refused(IntegrityError, "object-altered"):
        read(vault, record_id)


def test_with_one_engine_silent_work_goes_on_and_the_copy_is_made_when_it_is_back(
    vault: Vault, ways: list[Between]
) -> None:
    ways[1].late_s = 5.0
    record_id = deposit(vault)
    [found] = [store.problem for store in health_of(vault.ground).stores if store.problem is not None]
    assert found.code == "store-unreachable"
    assert health_of(vault.ground).owed_copies == 1
    assert stored.rows(vault, "SELECT store, state FROM copies ORDER BY store") == [(0, "kept"), (1, "owed")]
    ways[1].late_s = 0.0
    deadline = time.monotonic() + 30
    while heal_copies(vault.ground) == 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert [store for store, _ in addresses(vault, record_id)] == [0, 1]
    assert extend_locks(vault.ground) == 2
    ways[0].late_s = 5.0
    assert read(vault, record_id) == content_of(CLIP)
    ways[0].late_s = 0.0
    time.sleep(5)  # until it counts as there again
    assert codes(vault) == []


def test_answers_that_are_lost_after_writing_double_nothing(vault: Vault, ways: list[Between]) -> None:
    for way in ways:
        way.swallow = 1
    record_id = deposit(vault)
    assert read(vault, record_id) == content_of(CLIP)
    assert find_orphans(vault.ground) == []


def test_a_vault_opens_with_one_engine_and_not_with_none(
    tmp_path: Path, names: tuple[str, str], ways: list[Between]
) -> None:
    lines = tuple(buckets.line(tmp_path, name, at=way.address) for name, way in zip(names, ways, strict=True))
    vault = new_vault(tmp_path, lines, timeout_s=2.0)
    record_id = deposit(vault)
    vault.close()
    ways[0].late_s = 3.0
    vault = open_vault(vault.folder, vaults.custodian())
    assert read(vault, record_id) == content_of(CLIP)
    vault.close()
    ways[1].late_s = 3.0
    with refused(UnavailableError, "store-unreachable"):
        open_vault(vault.folder, vaults.custodian())


def test_what_is_laid_over_an_object_is_named_and_hides_nothing(vault: Vault, names: tuple[str, str]) -> None:
    covered, marked = deposit(vault), deposit(vault, CALL, 2)
    (_, first), *_ = addresses(vault, covered)
    (_, second), *_ = addresses(vault, marked)
    disposer = buckets.client(*buckets.keys()["disposer"])
    store = vault.ground.stores[0]
    upload = store.upload(first.name)
    upload.write(b"another version")
    store.keep([upload])
    disposer.remove_object(names[0], second.name)
    assert (read(vault, covered), read(vault, marked)) == (content_of(CLIP), content_of(CALL, 2))
    progress = check(vault)
    assert progress.damaged == ()
    assert set(progress.shadowed) == {first.name, second.name}
    vault.publish()
    verdict = verify_vault(vault.folder, vaults.custodian())
    assert verdict.findings == []
    assert any("another version laid over" in note for note in verdict.notes)
    assert len(find_orphans(vault.ground)) == 2


def test_orphans_lapse_and_are_swept_and_what_rows_name_stays(tmp_path: Path, names: tuple[str, str]) -> None:
    vault = new_vault(tmp_path, tuple(buckets.line(tmp_path, name) for name in names), lock_s=3)
    record_id = deposit(vault)
    request = vaults.request(class_id=CLIP, subject_key=None, file_name=None)
    prepared = vault.deposits.prepare(
        vault.actor(vaults.MANAGER), vaults.CONTRACT, request, BytesSource(content_of(CLIP, 5))
    )
    assert prepared is not None  # and never committed: what a kill leaves
    extend_locks(vault.ground)
    assert len(find_orphans(vault.ground)) == 2
    vault.ground.clock = lambda: datetime.now(UTC) + timedelta(days=1, hours=1)
    time.sleep(4.5)
    assert sweep_orphans(vault.ground) == 2
    assert find_orphans(vault.ground) == []
    assert read(vault, record_id) == content_of(CLIP)
    vault.close()


ALTERED = {
    "version": "UPDATE copies SET version = version || 'x' WHERE store = 0",
    "no version": "UPDATE copies SET version = NULL WHERE store = 0",
    "state": "UPDATE copies SET state = 'owed', version = NULL WHERE store = 0",
    "no row": "DELETE FROM copies WHERE store = 0",
    "swapped": "UPDATE copies SET store = 1 - store + 10; UPDATE copies SET store = store - 10",
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_address_is_found(vault: Vault, what: str) -> None:
    deposit(vault)
    for statement in ALTERED[what].split("; "):
        stored.change(vault, statement)
    assert codes(vault) != []
    assert codes(vault, keyless=True) != []


def test_a_backup_of_buckets_is_restored_into_folders(vault: Vault, tmp_path: Path) -> None:
    clip, call = deposit(vault), deposit(vault, CALL)
    (tmp_path / "copy").mkdir()
    back_up(vault, vault.actor(vaults.ADMIN), tmp_path / "copy", lambda *_: None)
    vault.close()
    restore(tmp_path / "copy", tmp_path / "second", tmp_path / "vault.epoch", None, lambda *_: None)
    second = open_vault(tmp_path / "second", vaults.custodian())
    assert stored.rows(second, "SELECT * FROM copies") == []
    assert (read(second, clip), read(second, call)) == (content_of(CLIP), content_of(CALL))
    assert codes(second) == []
    second.close()


def test_a_store_that_is_not_private_is_refused_where_a_class_must_stay(tmp_path: Path, vault: Vault) -> None:
    store = vault.ground.stores[0]
    public = replace(read_place(buckets.line(tmp_path), tmp_path), host="198.51.100.7", is_secure=True)
    public = replace(public, host="8.8.8.8")
    store.place = public  # type: ignore[attr-defined]  # as if the settings named it
    store._private_until = 0.0  # type: ignore[attr-defined]  # noqa: SLF001 - it has not been looked at
    with refused(RefusedError, "store-not-private"):
        vault.ground.require_residence(vault.ground.contract(vaults.CONTRACT).policy)
    with refused(RefusedError, "store-not-private"):
        deposit(vault)
    assert stored.rows(vault, "SELECT * FROM records") == []


def test_an_engine_that_ignores_locks_is_refused_before_anything_is_served(vault: Vault, ways: list[Between]) -> None:
    probe_stores(vault.ground.stores)
    ways[1].ignores_locks = True
    with refused(IntegrityError, "store-unfaithful"):
        probe_stores(vault.ground.stores)


class Load:
    """Three depositors, each of whom sends a record again until there is a receipt for it."""

    def __init__(self, vault: Vault) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self._vault, self._stopped = vault, threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(3)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 90
        while len(self.acknowledged) < count:
            assert time.monotonic() < deadline, "work goes on"
            time.sleep(0.05)

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        content = crash_load.video(number, 3000)
        while not self._stopped.is_set():
            request = vaults.request(class_id=CLIP, subject_key=None, file_name=None)
            while not self._is_taken(request, content) and not self._stopped.is_set():
                time.sleep(0.2)

    def _is_taken(self, request: DepositRequest, content: bytes) -> bool:
        actor = self._vault.actor(vaults.MANAGER)
        try:
            self._vault.deposits.deposit(actor, vaults.CONTRACT, request, BytesSource(content))
        except UnavailableError:
            return False
        self.acknowledged[request.id] = content
        return True


@pytest.mark.kills_engines
@pytest.mark.parametrize("what", ["kill-rgw", "kill-osd", "kill-all"])
def test_deposits_while_an_engine_is_killed_lose_and_double_nothing(
    tmp_path: Path, names: tuple[str, str], what: str
) -> None:
    vault = new_vault(tmp_path, tuple(buckets.line(tmp_path, name) for name in names), timeout_s=4.0)
    load = Load(vault)
    load.wait_for(15)
    engines.run("ceph-rgw", what)
    time.sleep(1)
    engines.run("ceph-rgw", "restart")
    load.wait_for(len(load.acknowledged) + 15)
    load.stop()
    deadline = time.monotonic() + 60
    while (health_of(vault.ground).owed_copies or lock_queue(vault.ground).length) and time.monotonic() < deadline:
        heal_copies(vault.ground)
        extend_locks(vault.ground)
    for record_id, content in load.acknowledged.items():
        assert read(vault, record_id) == content
        assert [store for store, _ in addresses(vault, record_id)] == [0, 1]
    [[count]] = stored.rows(vault, "SELECT count(*) FROM records")
    assert count - len(load.acknowledged) in range(4), "at most one of each thread was committed and not acknowledged"
    assert check(vault).damaged == ()
    assert codes(vault) == []
    vault.close()


def test_what_is_due_is_erased_in_every_version(tmp_path: Path, names: tuple[str, str]) -> None:
    vault = new_vault(tmp_path, tuple(buckets.line(tmp_path, name) for name in names), lock_s=2)
    record_id = deposit(vault, CALL)
    [(place, address)] = addresses(vault, record_id)
    store = vault.ground.stores[place]
    store.hold(address, on=True)
    time.sleep(3.5)
    with refused(ConflictError, "object-locked"):
        store.erase(address.name)
    store.hold(address, on=False)
    store.erase(address.name)
    with refused(NotFoundError, "object-missing"):
        store.stat(address)
    with pytest.raises(KuraError):
        read(vault, record_id)
    vault.close()

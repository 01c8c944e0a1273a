"""Copies where a store is away: one durable copy is enough, the rest is owed, made later, and read from wherever."""

import shutil
from datetime import UTC, datetime, timedelta

import crash_load
import pytest
import stored
import vaults
from crash_load import BytesSource
from ledger_vectors import refused
from memory_store import MemoryStore

from vault.bootstrap import open_vault, verify_vault
from vault.errors import IntegrityError, RefusedError, UnavailableError
from vault.records.healing import heal_copies, owed_count
from vault.records.health import health_of
from vault.records.locking import ROLLING, extend_locks, lock_queue, renew_rolling, wanted_lock
from vault.records.orphans import find_orphans, sweep_orphans
from vault.records.placement import placed
from vault.records.vault import Vault
from vault.storage.objects import LAST_LOCK, Address

CLIP, CALL = "surveillance_video", "call_recording"


def deposit(vault: Vault, class_id: str = CLIP, number: int = 1) -> str:
    content = content_of(class_id, number)
    request = vaults.request(class_id=class_id, subject_key=None, file_name=None)
    return vault.deposits.deposit(vault.actor(vaults.MANAGER), vaults.CONTRACT, request, BytesSource(content)).record_id


def content_of(class_id: str, number: int = 1) -> bytes:
    return crash_load.video(number, 5_000) if class_id == CLIP else crash_load.sound(number, 400)


def read(vault: Vault, record_id: str) -> bytes:
    return crash_load.read(vault, vault.actor(vaults.MANAGER), record_id)


def copies(vault: Vault) -> list[tuple[int, str]]:
    return [(store, state) for store, state in stored.rows(vault, "SELECT store, state FROM copies ORDER BY store")]


def pull(vault: Vault, store: str) -> None:
    (vault.folder / "objects" / store).rename(vault.folder.parent / f"pulled-{store}")


def plug(vault: Vault, store: str) -> None:
    (vault.folder.parent / f"pulled-{store}").rename(vault.folder / "objects" / store)


def codes(vault: Vault) -> list[str]:
    if vault._closers:  # noqa: SLF001 - it is open, and publishes now and then
        vault.publish()
    return [finding.code for finding in verify_vault(vault.folder, vaults.custodian()).findings]


def test_copies_that_are_simply_in_place_have_no_rows(vault: Vault) -> None:
    deposit(vault)
    deposit(vault, CALL)
    assert copies(vault) == []


@pytest.mark.parametrize("store", ["a", "b"])
def test_with_one_disk_pulled_work_goes_on_and_the_copy_is_made_when_it_is_back(vault: Vault, store: str) -> None:
    before = deposit(vault)
    pull(vault, store)
    record_id = deposit(vault)
    place = "ab".index(store)
    assert copies(vault) == [(place, "owed")]
    assert read(vault, record_id) == read(vault, before) == content_of(CLIP)
    health = health_of(vault.ground)
    assert health.owed_copies == 1
    assert [found.problem.code if found.problem else None for found in health.stores] == [
        "store-missing" if place == 0 else None,
        "store-missing" if place == 1 else None,
    ]
    assert heal_copies(vault.ground) == 0
    plug(vault, store)
    assert codes(vault) == ["copies-owed"]
    assert heal_copies(vault.ground) == 1
    assert copies(vault) == []
    pull(vault, "ab"[1 - place])
    assert read(vault, record_id) == content_of(CLIP)
    plug(vault, "ab"[1 - place])
    assert codes(vault) == []


def test_a_class_of_one_copy_takes_whichever_disk_there_is(vault: Vault) -> None:
    pull(vault, "a")
    record_id = deposit(vault, CALL)
    assert copies(vault) == [(0, "owed"), (1, "kept")]
    assert read(vault, record_id) == content_of(CALL)
    plug(vault, "a")
    assert heal_copies(vault.ground) == 1
    assert copies(vault) == [(1, "kept")], "the other copy stands, and is known of"
    assert find_orphans(vault.ground) == []
    assert codes(vault) == []
    pull(vault, "b")
    assert read(vault, record_id) == content_of(CALL)
    plug(vault, "b")


def test_with_both_disks_pulled_nothing_is_taken(vault: Vault) -> None:
    pull(vault, "a")
    pull(vault, "b")
    with refused(UnavailableError, "store-missing"):
        deposit(vault)
    vault.close()
    with refused(UnavailableError, "store-missing"):
        open_vault(vault.folder, vaults.custodian())
    assert codes(vault) == ["store-missing"]


def test_a_vault_opens_with_one_of_its_disks_and_verification_says_which_is_lacking(vault: Vault) -> None:
    record_id = deposit(vault)
    pull(vault, "a")
    vault = vaults.reopen(vault)
    assert read(vault, record_id) == content_of(CLIP)
    deposit(vault)
    assert codes(vault) == ["store-missing", "copies-owed"]
    vault.close()


def test_a_disk_that_goes_while_bytes_are_written_costs_its_copy_only(vault: Vault) -> None:
    """Pulled between a record's bytes and their end: the other disk takes it."""

    class Pulling(BytesSource):
        def finish(self) -> None:
            super().finish()
            shutil.rmtree(vault.folder / "objects" / "b")

    request = vaults.request(class_id=CLIP, subject_key=None, file_name=None)
    source = Pulling(content_of(CLIP))
    vault.deposits.deposit(vault.actor(vaults.MANAGER), vaults.CONTRACT, request, source)
    assert copies(vault) == [(1, "owed")]
    assert read(vault, request.id) == content_of(CLIP)
    (vault.folder / "objects" / "b").mkdir()
    assert heal_copies(vault.ground) == 1
    assert codes(vault) == []


def test_a_damaged_copy_is_not_multiplied(vault: Vault) -> None:
    pull(vault, "b")
    deposit(vault)
    plug(vault, "b")
    [path] = (path for path in (vault.folder / "objects" / "a").rglob("*") if path.is_file())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert heal_copies(vault.ground) == 0
    assert copies(vault) == [(1, "owed")]
    assert not [one for one in (vault.folder / "objects" / "b").rglob("*") if one.is_file()]
    path.write_bytes(whole)
    assert heal_copies(vault.ground) == 1


@pytest.mark.parametrize("left", [b"", b"cut", None])
def test_a_healing_that_was_cut_is_done_again(vault: Vault, left: bytes | None) -> None:
    """What a kill leaves: a part, a damaged file, or the whole copy whose row is not changed yet."""
    pull(vault, "b")
    record_id = deposit(vault)
    plug(vault, "b")
    [path] = (path for path in (vault.folder / "objects" / "a").rglob("*") if path.is_file())
    target = vault.folder / "objects" / "b" / path.parent.name / path.name
    target.parent.mkdir(exist_ok=True)
    if left == b"":
        target.with_name(target.name + ".part").write_bytes(b"half")
    else:
        target.write_bytes(path.read_bytes() if left is None else left)
    assert heal_copies(vault.ground) == 1
    assert owed_count(vault.ground) == 0
    assert target.read_bytes() == path.read_bytes()
    assert codes(vault) == []
    assert read(vault, record_id) == content_of(CLIP)


ALTERED = {
    "owed, though it stands": "UPDATE copies SET state = 'owed'",
    "in another store": "UPDATE copies SET store = 0",
    "in a store that there is not": "UPDATE copies SET store = 7",
    "with a version, in a folder": "UPDATE copies SET version = 'x'",
    "of another object": "UPDATE copies SET object_name = (SELECT name FROM objects WHERE copies = 2)",
}


@pytest.mark.parametrize("statement", ALTERED.values(), ids=ALTERED)
def test_an_altered_row_of_a_copy_is_found(vault: Vault, statement: str) -> None:
    deposit(vault)
    pull(vault, "a")
    deposit(vault, CALL)
    plug(vault, "a")
    heal_copies(vault.ground)
    assert codes(vault) == []
    stored.change(vault, statement)
    assert codes(vault) != []


def test_where_copies_stand_follows_from_the_object_and_its_rows() -> None:
    def places(copies: int, *rows: tuple[int, str, str | None]) -> list[tuple[int, str | None]]:
        return [(copy.store, copy.address.version) for copy in placed("n", copies, rows)]

    assert places(1) == [(0, None)]
    assert places(2) == [(0, None), (1, None)]
    assert places(2, (0, "owed", None)) == [(1, None)]
    assert places(1, (0, "owed", None), (1, "kept", None)) == [(1, None)]
    assert places(2, (0, "kept", "v"), (1, "kept", "w")) == [(0, "v"), (1, "w")]


class Engines:
    """Two strict stores in memory that lock, in place of a vault's folders."""

    def __init__(self, vault: Vault, birth_lock: timedelta = timedelta(days=2)) -> None:
        self.vault = vault
        self.stores = [MemoryStore(vault.ground.vault_id, birth_lock=birth_lock) for _ in range(2)]
        vault.ground.stores = self.stores


def test_locks_are_extended_to_the_start_of_the_disposal_day(vault: Vault) -> None:
    engines = Engines(vault)
    deposit(vault)
    deposit(vault, CALL)
    assert lock_queue(vault.ground).length == 3
    assert not lock_queue(vault.ground).is_late
    assert extend_locks(vault.ground) == 3
    assert extend_locks(vault.ground) == 0
    assert lock_queue(vault.ground).length == 0
    query = "SELECT c.object_name, c.version, c.store, b.scope FROM copies c JOIN objects o ON o.name = c.object_name"
    query += " JOIN records r ON r.id = o.record_id JOIN buckets b ON b.id = r.bucket_id"
    for name, version, store, scope in stored.rows(vault, query):
        due = datetime.fromisoformat(f"{scope}T00:00:00+09:00")
        assert engines.stores[store].stat(Address(name, version)).locked_until == due


def test_the_queue_is_late_after_half_of_the_short_lock(vault: Vault) -> None:
    Engines(vault)
    deposit(vault)
    now = vault.ground.clock()
    vault.ground.clock = lambda: now + timedelta(hours=23)
    assert not lock_queue(vault.ground).is_late
    vault.ground.clock = lambda: now + timedelta(hours=25)
    queue = lock_queue(vault.ground)
    assert (queue.length, queue.is_late) == (2, True)
    assert queue.oldest_s == pytest.approx(25 * 3600, abs=60)


def test_a_store_that_is_away_keeps_its_locks_waiting_and_the_others_go_on(vault: Vault) -> None:
    engines = Engines(vault)
    deposit(vault)
    engines.stores[0].is_there = False
    assert extend_locks(vault.ground) == 1
    assert lock_queue(vault.ground).length == 1
    engines.stores[0].is_there = True
    assert extend_locks(vault.ground) == 1


def test_a_copy_owed_to_an_engine_is_made_with_a_version_and_a_lock(vault: Vault) -> None:
    engines = Engines(vault)
    engines.stores[1].is_there = False
    record_id = deposit(vault)
    engines.stores[1].is_there = True
    assert heal_copies(vault.ground) == 1
    assert copies(vault) == [(0, "kept"), (1, "kept")]
    assert extend_locks(vault.ground) == 2
    engines.stores[0].is_there = False
    assert read(vault, record_id) == content_of(CLIP)


def test_orphans_in_engines_go_when_their_lock_has_lapsed(vault: Vault) -> None:
    engines = Engines(vault, birth_lock=timedelta(days=2))
    store = engines.stores[0]
    upload = store.upload(store.new_name())
    upload.finish()
    store.keep([upload])
    now = vault.ground.clock()
    vault.ground.clock = lambda: now + timedelta(days=1, hours=1)
    assert len(find_orphans(vault.ground)) == 1
    assert sweep_orphans(vault.ground) == 0, "it is locked still"
    for stored_object in store._objects.values():  # noqa: SLF001 - time does not pass in a test
        stored_object.locked_until = now - timedelta(seconds=1)
    assert sweep_orphans(vault.ground) == 1
    assert list(store.listed()) == []


def test_what_is_refused_is_never_sent_to_an_engine(vault: Vault) -> None:
    engines = Engines(vault)
    with refused(RefusedError, "pdf-malformed"):
        vault.deposits.deposit(
            vault.actor(vaults.OPERATOR), vaults.CONTRACT, vaults.request(), BytesSource(vaults.pdf()[:-900])
        )
    assert [list(store.listed()) for store in engines.stores] == [[], []]
    assert all(not store.open_uploads for store in engines.stores)


def test_an_engine_that_does_not_do_what_it_says_fails_the_deposit(vault: Vault) -> None:
    engines = Engines(vault)

    def unfaithful(uploads: object) -> list[IntegrityError]:
        del uploads
        return [IntegrityError("store-unfaithful", store="memory", what="lock")]

    engines.stores[1].keep = unfaithful  # type: ignore[method-assign,assignment]
    with refused(IntegrityError, "store-unfaithful"):
        deposit(vault)
    assert stored.rows(vault, "SELECT * FROM records") == []


def test_how_long_a_lock_is_wanted() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert wanted_lock("2027-04-01", now) == datetime(2027, 3, 31, 15, tzinfo=UTC), "the day begins in Japan"
    assert wanted_lock("trigger:contract-completed", now) == now + ROLLING
    assert wanted_lock("2106-02-07", now) <= LAST_LOCK
    assert wanted_lock("2126-04-01", now) == now + ROLLING, "beyond what an engine can be told"


def test_rolling_locks_are_renewed_before_they_lapse(vault: Vault) -> None:
    Engines(vault)
    deposit(vault)
    extend_locks(vault.ground)
    stored.change(vault, "UPDATE buckets SET scope = 'trigger:x' WHERE id IN (SELECT bucket_id FROM records)")
    stored.change(vault, "UPDATE copies SET lock_wanted = locked_until")
    assert renew_rolling(vault.ground) == 2
    assert renew_rolling(vault.ground) == 0
    assert lock_queue(vault.ground).length == 2
    assert extend_locks(vault.ground) == 2


def test_disks_are_told_apart_from_their_folders(vault: Vault) -> None:
    """A file in a folder's place is no store."""
    pull(vault, "b")
    (vault.folder / "objects" / "b").write_bytes(b"")
    deposit(vault)
    assert copies(vault) == [(1, "owed")]
    (vault.folder / "objects" / "b").unlink()
    plug(vault, "b")

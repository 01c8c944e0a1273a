"""What every object store promises: one suite that runs on each adapter, the strict one in memory included."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import buckets
import pytest
from ledger_vectors import refused
from memory_store import MemoryStore

from vault.errors import ConflictError, IntegrityError, NotFoundError, RefusedError, UnavailableError
from vault.storage.filesystem import FilesystemStore
from vault.storage.objects import LAST_LOCK, Address, Facts, ObjectStore, is_object_name, object_name

VAULT = "0123456789abcdef"
SHORT = timedelta(seconds=1)


def bucket_store(folder: Path) -> ObjectStore:
    return buckets.store(folder, VAULT, birth_lock=SHORT)


IN_MEMORY = pytest.param(lambda _: MemoryStore(VAULT), id="memory")
LOCKING_IN_MEMORY = pytest.param(lambda _: MemoryStore(VAULT, birth_lock=SHORT), id="memory with locks")
IN_A_FOLDER = pytest.param(lambda folder: FilesystemStore(folder, VAULT), id="filesystem")
IN_A_BUCKET = pytest.param(bucket_store, id="s3", marks=pytest.mark.engines)
ENGINES = [LOCKING_IN_MEMORY, IN_A_BUCKET]


@pytest.fixture(params=[IN_A_FOLDER, IN_MEMORY, *ENGINES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    made: ObjectStore = request.param(tmp_path)
    return made


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    made: ObjectStore = request.param(tmp_path)
    return made


def kept(store: ObjectStore, *parts: bytes, name: str | None = None) -> Facts:
    upload = store.upload(name or store.new_name())
    for part in parts:
        upload.write(part)
    upload.finish()
    [outcome] = store.keep([upload])
    if not isinstance(outcome, Facts):
        raise outcome
    return outcome


def put(store: ObjectStore, *parts: bytes, name: str | None = None) -> Address:
    return kept(store, *parts, name=name).address


def get(store: ObjectStore, address: Address, offset: int = 0, count: int | None = None) -> bytes:
    reader = store.open(address)
    try:
        buffer = bytearray(reader.size - offset if count is None else count)
        reader.read_into(offset, memoryview(buffer))
        return bytes(buffer)
    finally:
        reader.close()


def listed(store: ObjectStore) -> set[Address]:
    return {found.address for found in store.listed() if found.is_ended}


def lapse(store: ObjectStore, address: Address) -> None:
    """Wait until an object is not locked any more: an engine's clock is real."""
    until = store.stat(address).locked_until
    while until is not None and datetime.now(UTC) < until + timedelta(seconds=1):
        time.sleep(0.05)


@pytest.mark.parametrize("parts", [(), (b"",), (b"x",), (b"ab", b"", b"c" * 70_000), (bytes(3 << 20),)])
def test_what_was_put_is_read_back(store: ObjectStore, parts: tuple[bytes, ...]) -> None:
    name = put(store, *parts)
    assert get(store, name) == b"".join(parts)
    reader = store.open(name)
    assert reader.size == sum(map(len, parts))
    reader.close()


def test_any_range_is_read(store: ObjectStore) -> None:
    data = bytes(range(256)) * 20
    name = put(store, data)
    for offset, count in [(0, 0), (0, 1), (5119, 1), (5120, 0), (100, 3000)]:
        assert get(store, name, offset, count) == data[offset : offset + count]


@pytest.mark.parametrize(("offset", "count"), [(0, 11), (10, 1), (5, 6), (1000, 1)])
def test_reading_beyond_the_end_is_refused(store: ObjectStore, offset: int, count: int) -> None:
    name = put(store, b"0123456789")
    with refused(IntegrityError, "object-short"):
        get(store, name, offset, count)


def test_several_readers_do_not_disturb_each_other(store: ObjectStore) -> None:
    name = put(store, bytes(range(200)))
    one, other = store.open(name), store.open(name)
    first, second = bytearray(10), bytearray(10)
    one.read_into(0, memoryview(first))
    other.read_into(100, memoryview(second))
    assert (bytes(first), bytes(second)) == (bytes(range(10)), bytes(range(100, 110)))
    one.close()
    one.close()
    other.close()


def test_nothing_is_there_before_the_end(store: ObjectStore) -> None:
    name = store.new_name()
    upload = store.upload(name)
    upload.write(b"half")
    with refused(NotFoundError, "object-missing"):
        store.open(Address(name))
    upload.finish()
    with refused(NotFoundError, "object-missing"):
        store.open(Address(name))
    assert listed(store) == set()
    [facts] = store.keep([upload])
    assert isinstance(facts, Facts)
    assert listed(store) == {facts.address}
    assert get(store, facts.address) == b"half"


def test_many_are_kept_together(store: ObjectStore) -> None:
    contents = {store.new_name(): bytes([number]) * number for number in range(20)}
    uploads = []
    for name, content in contents.items():
        uploads.append(store.upload(name))
        uploads[-1].write(content)
        uploads[-1].finish()
    outcomes = store.keep(uploads)
    assert store.keep([]) == []
    assert [outcome.address.name for outcome in outcomes if isinstance(outcome, Facts)] == list(contents)
    for outcome in outcomes:
        assert isinstance(outcome, Facts)
        assert get(store, outcome.address) == contents[outcome.address.name]
        assert store.stat(outcome.address) == outcome
    assert {address.name for address in listed(store)} == set(contents)


def test_an_aborted_upload_leaves_nothing(store: ObjectStore) -> None:
    name = store.new_name()
    upload = store.upload(name)
    upload.write(b"half")
    upload.abort()
    upload.abort()
    assert list(store.listed()) == []
    with refused(NotFoundError, "object-missing"):
        store.open(Address(name))


def test_what_stands_at_an_address_never_changes(store: ObjectStore) -> None:
    address = put(store, b"first")
    upload = store.upload(address.name)
    upload.write(b"second")
    upload.finish()
    [outcome] = store.keep([upload])
    assert isinstance(outcome, UnavailableError) or outcome.address != address  # type: ignore[union-attr]
    assert get(store, address) == b"first"


def test_a_name_being_written_is_not_written_twice(store: ObjectStore) -> None:
    name = store.new_name()
    upload = store.upload(name)
    upload.write(b"first")
    with refused(UnavailableError, "store-failed"):
        store.upload(name)
    upload.finish()
    [facts] = store.keep([upload])
    assert isinstance(facts, Facts)
    assert get(store, facts.address) == b"first"


def test_aborting_after_the_end_keeps_the_object(store: ObjectStore) -> None:
    upload = store.upload(store.new_name())
    upload.write(b"kept")
    upload.finish()
    [facts] = store.keep([upload])
    upload.abort()
    assert isinstance(facts, Facts)
    assert get(store, facts.address) == b"kept"


def test_a_missing_object_is_not_found_and_deleting_it_is_harmless(store: ObjectStore) -> None:
    gone = put(store, b"x")
    lapse(store, gone)
    store.delete(gone)
    store.delete(gone)
    store.erase(gone.name)
    for ask in (store.open, store.stat):
        with refused(NotFoundError, "object-missing"):
            ask(gone)


def test_a_deleted_object_is_gone_and_the_others_stay(store: ObjectStore) -> None:
    address, other = put(store, b"1"), put(store, b"2")
    lapse(store, address)
    store.erase(address.name)
    with refused(NotFoundError, "object-missing"):
        store.open(address)
    assert get(store, other) == b"2"
    assert listed(store) == {other}


def test_a_small_object_being_read_outlives_its_deletion(store: ObjectStore) -> None:
    address = put(store, b"being read")
    lapse(store, address)
    reader = store.open(address)
    store.delete(address)
    buffer = bytearray(10)
    reader.read_into(0, memoryview(buffer))
    assert buffer == b"being read"
    reader.close()


def test_an_object_in_an_engine_is_reached_by_its_version_only(engine: ObjectStore) -> None:
    address = put(engine, b"x")
    assert address.version is not None
    for wrong in (Address(address.name), Address(address.name, address.version[:-1] + "_")):
        with pytest.raises((NotFoundError, UnavailableError)):
            engine.open(wrong)


def test_an_object_is_born_locked_and_nobody_deletes_it_before(engine: ObjectStore) -> None:
    facts = kept(engine, b"x")
    assert facts.locked_until is not None
    assert facts.locked_until > datetime.now(UTC) - SHORT
    engine.lock(facts.address, datetime.now(UTC) + timedelta(seconds=3))
    for remove in (engine.delete, lambda address: engine.erase(address.name)):
        with refused(ConflictError, "object-locked"):
            remove(facts.address)
    assert get(engine, facts.address) == b"x"
    lapse(engine, facts.address)
    engine.delete(facts.address)
    assert listed(engine) == set()


def test_a_lock_is_extended_never_shortened_and_asking_again_is_harmless(engine: ObjectStore) -> None:
    address = put(engine, b"x")
    until = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
    for asked in (until, until, until - timedelta(days=1)):
        assert engine.lock(address, asked) == until
        assert engine.stat(address).locked_until == until
    assert engine.lock(address, until + timedelta(microseconds=1)) > until
    with refused(RefusedError, "lock-too-far"):
        engine.lock(address, LAST_LOCK + timedelta(days=1))


def test_a_held_object_stays_after_its_lock_until_it_is_released(engine: ObjectStore) -> None:
    address = put(engine, b"x")
    for _ in range(2):
        engine.hold(address, on=True)
    assert engine.stat(address).is_held
    lapse(engine, address)
    with refused(ConflictError, "object-locked"):
        engine.delete(address)
    engine.hold(address, on=False)
    engine.hold(address, on=False)
    engine.delete(address)
    assert listed(engine) == set()


@pytest.mark.parametrize("store", [IN_A_FOLDER, IN_MEMORY], indirect=True)
def test_a_folder_promises_no_locks(store: ObjectStore) -> None:
    address = put(store, b"x")
    with refused(RefusedError, "store-cannot-lock"):
        store.lock(address, datetime.now(UTC))
    with refused(RefusedError, "store-cannot-lock"):
        store.hold(address, on=True)
    assert address.version is None


def test_a_store_that_is_there_says_so_and_keeps_its_promises(store: ObjectStore) -> None:
    store.require_there()
    store.require_on_premises()
    assert store.probe()
    assert list(store.listed()) == []


def test_names_are_fresh_random_and_carry_the_vaults_mark(store: ObjectStore) -> None:
    names = [store.new_name() for _ in range(600)]
    assert len(set(names)) == 600
    assert all(is_object_name(VAULT, name) for name in names)
    assert not any(is_object_name("fedcba9876543210", name) for name in names)


def test_the_list_tells_when_each_was_written(store: ObjectStore) -> None:
    put(store, b"now")
    [found] = store.listed()
    assert abs(datetime.now(UTC) - found.written_at) < timedelta(minutes=1)


def test_many_threads_put_and_get_at_once(store: ObjectStore) -> None:
    def work(number: int) -> bool:
        data = b"%d" % number * 1000
        return get(store, put(store, data)) == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(80)))
    assert len(listed(store)) == 80


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "../../etc/passwd",
        "0" * 32,
        "A" * 32,
        object_name(VAULT, "ab" * 12).upper(),
        object_name(VAULT, "a") + "0",
    ],
)
def test_a_name_without_the_mark_is_foreign(name: str) -> None:
    assert not is_object_name(VAULT, name)


def test_the_strict_store_fails_who_breaks_the_protocol() -> None:
    store = MemoryStore(VAULT, room=10)
    upload = store.upload(store.new_name())
    with refused(UnavailableError, "disk-full"):
        upload.write(bytes(11))
    upload.abort()
    with pytest.raises(AssertionError):
        upload.write(b"late")
    with pytest.raises(AssertionError):
        store.upload("0" * 32)
    deleted = put(store, b"x")
    store.delete(deleted)
    with pytest.raises(AssertionError):
        store.upload(deleted.name)
    assert (store.used(), store.open_readers, store.open_uploads) == (0, 0, {})
    locking = MemoryStore(VAULT, birth_lock=SHORT)
    with pytest.raises(AssertionError):
        locking.delete(Address(put(locking, b"x").name))

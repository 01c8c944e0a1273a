"""What every object store promises: one suite that runs on each adapter, the strict one in memory included."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_vectors import refused
from memory_store import MemoryStore

from vault.errors import IntegrityError, NotFoundError, UnavailableError
from vault.storage.filesystem import FilesystemStore
from vault.storage.objects import ObjectStore, is_object_name, object_name

VAULT = "0123456789abcdef"
ADAPTERS: dict[str, Callable[[Path], ObjectStore]] = {
    "filesystem": lambda folder: FilesystemStore(folder, VAULT),
    "memory": lambda _: MemoryStore(VAULT),
}


@pytest.fixture(params=ADAPTERS.values(), ids=list(ADAPTERS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    made: ObjectStore = request.param(tmp_path)
    return made


def put(store: ObjectStore, *parts: bytes, name: str | None = None) -> str:
    name = name or store.new_name()
    upload = store.upload(name)
    for part in parts:
        upload.write(part)
    upload.finish()
    store.keep([upload])
    return name


def get(store: ObjectStore, name: str, offset: int = 0, count: int | None = None) -> bytes:
    reader = store.open(name)
    try:
        buffer = bytearray(reader.size - offset if count is None else count)
        reader.read_into(offset, memoryview(buffer))
        return bytes(buffer)
    finally:
        reader.close()


def listed(store: ObjectStore) -> dict[str, bool]:
    return {name: is_ended for name, _, is_ended in store.names()}


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
        store.open(name)
    upload.finish()
    with refused(NotFoundError, "object-missing"):
        store.open(name)
    assert listed(store) == {name: False}
    store.keep([upload])
    assert listed(store) == {name: True}
    assert get(store, name) == b"half"


def test_many_are_kept_together(store: ObjectStore) -> None:
    contents = {store.new_name(): bytes([number]) * number for number in range(20)}
    uploads = []
    for name, content in contents.items():
        uploads.append(store.upload(name))
        uploads[-1].write(content)
        uploads[-1].finish()
    store.keep(uploads)
    store.keep([])
    assert listed(store) == dict.fromkeys(contents, True)
    assert {name: get(store, name) for name in contents} == contents


def test_an_aborted_upload_leaves_nothing(store: ObjectStore) -> None:
    name = store.new_name()
    upload = store.upload(name)
    upload.write(b"half")
    upload.abort()
    upload.abort()
    assert listed(store) == {}
    with refused(NotFoundError, "object-missing"):
        store.open(name)


def test_an_object_is_never_overwritten(store: ObjectStore) -> None:
    name = put(store, b"first")
    with refused(UnavailableError, "store-failed"):
        put(store, b"second", name=name)
    assert get(store, name) == b"first"
    assert listed(store) == {name: True}


def test_a_name_being_written_is_not_written_twice(store: ObjectStore) -> None:
    name = store.new_name()
    upload = store.upload(name)
    upload.write(b"first")
    with refused(UnavailableError, "store-failed"):
        store.upload(name)
    upload.finish()
    store.keep([upload])
    assert get(store, name) == b"first"


def test_aborting_after_the_end_keeps_the_object(store: ObjectStore) -> None:
    name = store.new_name()
    upload = store.upload(name)
    upload.write(b"kept")
    upload.finish()
    store.keep([upload])
    upload.abort()
    assert get(store, name) == b"kept"


def test_a_missing_object_is_not_found_and_deleting_it_is_harmless(store: ObjectStore) -> None:
    name = store.new_name()
    store.delete(name)
    with refused(NotFoundError, "object-missing"):
        store.open(name)


def test_a_deleted_object_is_gone_and_the_others_stay(store: ObjectStore) -> None:
    name, other = put(store, b"1"), put(store, b"2")
    store.delete(name)
    store.delete(name)
    with refused(NotFoundError, "object-missing"):
        store.open(name)
    assert get(store, other) == b"2"
    assert listed(store) == {other: True}


def test_a_reader_outlives_the_deletion(store: ObjectStore) -> None:
    name = put(store, b"being read")
    reader = store.open(name)
    store.delete(name)
    buffer = bytearray(10)
    reader.read_into(0, memoryview(buffer))
    assert buffer == b"being read"
    reader.close()


def test_names_are_fresh_random_and_carry_the_vaults_mark(store: ObjectStore) -> None:
    names = [store.new_name() for _ in range(600)]
    assert len(set(names)) == 600
    assert all(is_object_name(VAULT, name) for name in names)
    assert not any(is_object_name("fedcba9876543210", name) for name in names)


def test_the_list_tells_when_each_was_written(store: ObjectStore) -> None:
    put(store, b"now")
    [(_, written_at, _)] = store.names()
    assert abs(datetime.now(UTC) - written_at) < timedelta(minutes=1)


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
        store.upload(deleted)
    assert (store.used(), store.open_readers, store.open_uploads) == (0, 0, {})

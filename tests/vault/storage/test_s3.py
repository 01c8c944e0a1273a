"""An S3 store on a real engine: memory, faults on the way, lookalikes, wrong buckets and credentials, least rights."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import buckets
import engines
import pytest
from between import Between, between
from ledger_vectors import refused
from minio import Minio
from minio.commonconfig import GOVERNANCE
from minio.error import S3Error
from minio.retention import Retention
from minio.versioningconfig import VersioningConfig

from vault.errors import IntegrityError, KuraError, NotFoundError, RefusedError, UnavailableError
from vault.storage.objects import LAST_LOCK, Address, Facts, ObjectStore
from vault.storage.s3 import S3Store
from vault.storage.s3_place import read_place

pytestmark = pytest.mark.engines

VAULT = "0123456789abcdef"


@pytest.fixture
def way() -> Iterator[Between]:
    with between(buckets.address(), buckets.keys()["depositor"]) as running:
        yield running


@pytest.fixture
def store(way: Between, tmp_path: Path) -> S3Store:
    """A store that reaches the engine by a way on which things can go wrong."""
    return buckets.store(tmp_path, VAULT, at=way.address, timeout_s=1.0, birth_lock=timedelta(seconds=2))


def put(store: ObjectStore, data: bytes = b"sealed") -> Facts:
    upload = store.upload(store.new_name())
    upload.write(data)
    upload.finish()
    [outcome] = store.keep([upload])
    if isinstance(outcome, KuraError):
        raise outcome
    return outcome


def get(store: ObjectStore, address: Address) -> bytes:
    reader = store.open(address)
    data = bytearray(reader.size)
    reader.read_into(0, memoryview(data))
    return bytes(data)


def test_an_engine_that_loses_its_answer_after_writing_is_asked_what_it_has(store: S3Store, way: Between) -> None:
    way.swallow = 1
    facts = put(store)
    assert get(store, facts.address) == b"sealed"
    assert [found.address for found in store.listed()] == [facts.address], "nothing is stored twice"
    assert way.requests["PUT"] == 1


def test_an_engine_that_answers_too_late_has_the_object_once(store: S3Store, way: Between) -> None:
    upload = store.upload(store.new_name())
    upload.write(b"late")
    way.late_puts = 1
    [outcome] = store.keep([upload])
    assert isinstance(outcome, Facts)
    assert get(store, outcome.address) == b"late"
    assert [found.address for found in store.listed()] == [outcome.address]


def test_a_cut_connection_is_tried_again(store: S3Store, way: Between) -> None:
    way.reset = 1
    assert get(store, put(store).address) == b"sealed"


def test_an_engine_that_stays_silent_is_away_and_for_a_while_is_not_even_asked(store: S3Store, way: Between) -> None:
    way.late_s = 3.0
    with refused(UnavailableError, "store-unreachable"):
        put(store)
    asked = way.requests.total()
    with refused(UnavailableError, "store-unreachable"):
        store.upload(store.new_name())
    assert way.requests.total() == asked


def test_a_byte_altered_on_the_way_is_refused_by_the_engine_and_stored_nowhere(store: S3Store, way: Between) -> None:
    way.flip_sent = True
    with refused(UnavailableError, "store-failed"):
        put(store)
    way.flip_sent = False
    assert list(store.listed()) == []


def test_a_byte_altered_on_the_way_back_is_what_the_reader_gets(store: S3Store, way: Between) -> None:
    """The store is not trusted: whoever reads authenticates. `test_copies_in_engines` shows that it does."""
    facts = put(store)
    way.flip_given = True
    assert get(store, facts.address) != b"sealed"


def test_clocks_that_differ_are_refused(store: S3Store, way: Between) -> None:
    way.shift = timedelta(seconds=4)
    assert store.probe()
    for shift in (timedelta(seconds=9), -timedelta(seconds=9)):
        way.shift = shift
        with refused(RefusedError, "store-clock-differs"):
            store.probe()


def test_a_lookalike_that_takes_locks_and_ignores_them_is_refused(store: S3Store, way: Between) -> None:
    way.ignores_locks = True
    put(store)  # it says that it locked
    with refused(IntegrityError, "store-unfaithful"):
        store.probe()


def test_a_lookalike_that_lets_locks_be_shortened_is_refused(store: S3Store, way: Between) -> None:
    way.shortens_locks = True
    with refused(IntegrityError, "store-unfaithful"):
        store.probe()


def test_a_bucket_without_locks_or_without_versions_is_refused(tmp_path: Path) -> None:
    bucket = buckets.new_bucket(object_lock=False)
    store = buckets.store(tmp_path, VAULT, bucket=bucket)
    with refused(RefusedError, "store-without-versions"):
        store.require_there()
    buckets.owner().set_bucket_versioning(bucket, VersioningConfig("Enabled"))
    for look in (store.require_there, store.probe):
        with refused(RefusedError, "store-without-locks"):
            look()
    with pytest.raises(KuraError):
        put(store)


def test_a_bucket_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    store = buckets.store(tmp_path, VAULT, bucket="kura-nowhere")
    with refused(UnavailableError, "store-bucket-missing"):
        store.require_there()


@pytest.mark.kills_engines
def test_an_engine_whose_disks_hang_is_away_though_its_gateway_answers(tmp_path: Path) -> None:
    store = buckets.store(tmp_path, VAULT, timeout_s=2.0)
    store.require_there()
    engines.run("ceph-rgw", "pause")
    try:
        with refused(UnavailableError, "store-unreachable"):
            store.require_there()
    finally:
        engines.run("ceph-rgw", "resume")
    deadline = time.monotonic() + 60
    while True:  # a disk that hung may take a moment
        with suppress(UnavailableError):
            store.require_there()
            break
        assert time.monotonic() < deadline


@pytest.mark.parametrize("wrong", ["access", "secret"])
def test_wrong_credentials_are_denied_and_never_repeated(tmp_path: Path, wrong: str) -> None:
    line = buckets.line(tmp_path)
    place = read_place(line, tmp_path)
    text = place.credentials.read_text()
    access, secret = buckets.keys()["depositor"]
    place.credentials.write_text(text.replace(access if wrong == "access" else secret, "WRONGWRONG" * 2))
    store = S3Store(place, VAULT, tmp_path)
    for attempt in (store.require_there, lambda: put(store), lambda: list(store.listed())):
        with pytest.raises(UnavailableError) as caught:
            attempt()
        assert caught.value.code == "store-denied"
        for said in (caught.value.sentence("en"), caught.value.sentence("ja"), repr(caught.value.facts), repr(place)):
            assert access not in said
            assert secret not in said
            assert "WRONG" not in said


def test_a_date_beyond_what_engines_can_count_is_refused_and_the_last_one_is_kept(tmp_path: Path) -> None:
    store = buckets.store(tmp_path, VAULT)
    address = put(store).address
    for beyond in (LAST_LOCK + timedelta(days=1), datetime(2120, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)):
        with refused(RefusedError, "lock-too-far"):
            store.lock(address, beyond)
    assert store.lock(address, LAST_LOCK) == LAST_LOCK
    assert store.stat(address).locked_until == LAST_LOCK


def test_what_is_larger_than_one_put_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    place = read_place(buckets.line(tmp_path), tmp_path)
    store = S3Store(place, VAULT, tmp_path, max_bytes=1000)
    upload = store.upload(store.new_name())
    upload.write(bytes(1000))
    with refused(RefusedError, "object-too-large"):
        upload.write(b"x")
    upload.abort()


def test_another_version_and_a_marker_over_an_object_hide_nothing(tmp_path: Path) -> None:
    bucket = buckets.new_bucket()
    store = buckets.store(tmp_path, VAULT, bucket=bucket, birth_lock=timedelta(seconds=1))
    facts = put(store, b"first")
    disposer = buckets.client(*buckets.keys()["disposer"])
    disposer.remove_object(bucket, facts.address.name)
    assert get(store, facts.address) == b"first"
    assert [found.is_marker for found in store.listed()].count(True) == 1
    time.sleep(max(0.0, (facts.locked_until - datetime.now(UTC)).total_seconds() + 1))  # type: ignore[operator]
    store.erase(facts.address.name)
    assert list(store.listed()) == []


def attempts_on(attacker: Minio, bucket: str, facts: Facts) -> dict[str, Callable[[], object]]:
    """What an attacker would do to a locked object."""
    name, version, until = facts.address.name, facts.address.version, facts.locked_until
    assert until is not None
    soon = Retention("COMPLIANCE", datetime.now(UTC) + timedelta(seconds=1))
    return {
        "delete": lambda: attacker.remove_object(bucket, name, version_id=version),
        "shorten": lambda: attacker.set_object_retention(bucket, name, soon, version_id=version),
        "loosen": lambda: attacker.set_object_retention(bucket, name, Retention(GOVERNANCE, until), version_id=version),
        "drop the policy": lambda: attacker.delete_bucket_policy(bucket),
        "remove the bucket": lambda: attacker.remove_bucket(bucket),
    }


def test_with_every_credential_of_the_service_nobody_deletes_or_loosens_a_locked_object(tmp_path: Path) -> None:
    """And when the lock has lapsed the disposer deletes it, and no other."""
    bucket = buckets.new_bucket()
    store = buckets.store(tmp_path, VAULT, bucket=bucket, birth_lock=timedelta(seconds=4))
    facts = put(store)
    name, version = facts.address.name, facts.address.version
    until = facts.locked_until
    assert until is not None
    for user in buckets.USERS:
        attempts = attempts_on(buckets.client(*buckets.keys()[user]), bucket, facts)
        for what, attempt in attempts.items():
            with pytest.raises(S3Error):
                attempt()
            assert store.stat(facts.address) == facts, (user, what)
    with pytest.raises(S3Error):
        buckets.client(*buckets.keys()["auditor"]).set_object_retention(
            bucket, name, Retention("COMPLIANCE", until + timedelta(days=1)), version_id=version
        )
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds() + 1))
    for user in ("depositor", "auditor"):
        with pytest.raises(S3Error):
            buckets.client(*buckets.keys()[user]).remove_object(bucket, name, version_id=version)
    store.delete(facts.address)
    with refused(NotFoundError, "object-missing"):
        store.stat(facts.address)


def test_a_stranger_reads_nothing(tmp_path: Path) -> None:
    bucket = buckets.new_bucket()
    facts = put(buckets.store(tmp_path, VAULT, bucket=bucket))
    stranger = buckets.client(os.environ["S3_OTHER_ACCESS_KEY"], os.environ["S3_OTHER_SECRET_KEY"])
    with pytest.raises(S3Error):
        stranger.get_object(bucket, facts.address.name, version_id=facts.address.version)


def test_memory_stays_flat_however_large_an_object_is(tmp_path: Path) -> None:
    program = (
        "import sys, resource; from datetime import timedelta; from pathlib import Path\n"
        "from vault.storage.s3 import S3Store; from vault.storage.s3_place import read_place\n"
        "store = S3Store(read_place(sys.argv[1], Path('/')), sys.argv[2], Path(sys.argv[3]))\n"
        "def put(mebibytes):\n"
        "    upload = store.upload(store.new_name())\n"
        "    for number in range(mebibytes): upload.write(bytes([number % 256]) * (1 << 20))\n"
        "    upload.finish(); [facts] = store.keep([upload]); assert facts.size == mebibytes << 20, facts\n"
        "    return facts\n"
        "put(8); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "reader = store.open(put(200).address); part = memoryview(bytearray(1 << 20))\n"
        "for offset in range(0, reader.size, 1 << 20): reader.read_into(offset, part)\n"
        "assert part[0] == 199, part[0]\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, buckets.line(tmp_path), VAULT, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert int(done.stdout) < 32 << 10  # KiB


@pytest.mark.kills_engines
@pytest.mark.parametrize("what", ["kill-rgw", "kill-osd", "kill-all"])
def test_what_was_kept_before_an_engine_was_killed_is_there_afterwards_and_once(tmp_path: Path, what: str) -> None:
    store = buckets.store(tmp_path, VAULT, timeout_s=2.0)
    kept: list[Facts] = []
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            try:
                kept.append(put(store, b"%d" % number * 20_000))
            except KuraError:
                time.sleep(0.1)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    while len(kept) < 20:
        time.sleep(0.05)
    engines.run("ceph-rgw", what)
    time.sleep(1)
    engines.run("ceph-rgw", "restart")
    before = len(kept)
    deadline = time.monotonic() + 60
    while len(kept) < before + 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    for worker in workers:
        worker.join()
    assert len(kept) >= before + 20, "work goes on"
    listed = {found.address for found in store.listed()}
    for facts in kept:
        assert facts.address in listed
        assert len(get(store, facts.address)) == facts.size
        assert store.stat(facts.address) == facts
    assert len({facts.address.name for facts in kept}) == len(kept)

"""Objects as files: where they lie, what a cut upload leaves, and folders synced once for many."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ledger_vectors import refused

from vault.errors import NotFoundError, UnavailableError
from vault.storage import filesystem
from vault.storage.filesystem import FilesystemStore, _FolderSync
from vault.storage.objects import Address, object_name

VAULT = "0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> FilesystemStore:
    return FilesystemStore(tmp_path, VAULT)


def put(store: FilesystemStore, data: bytes = b"sealed", name: str | None = None) -> str:
    name = name or store.new_name()
    upload = store.upload(name)
    upload.write(data)
    upload.finish()
    store.keep([upload])
    return name


def test_an_object_lies_in_the_folder_of_its_first_two_digits_for_its_owner_only(
    store: FilesystemStore, tmp_path: Path
) -> None:
    name = put(store)
    path = tmp_path / name[:2] / name
    assert path.read_bytes() == b"sealed"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [entry.name for entry in path.parent.iterdir()] == [name]


def test_a_disk_that_is_not_mounted_does_not_become_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        store = FilesystemStore(folder, VAULT)
        for attempt in (
            store.require_there,
            store.probe,
            lambda store=store: store.upload(store.new_name()),
            lambda store=store: store.open(Address(store.new_name())),
            lambda store=store: store.delete(Address(store.new_name())),
            lambda store=store: list(store.listed()),
        ):
            with pytest.raises(UnavailableError):
                attempt()
    assert not (tmp_path / "missing").exists()


def test_names_stay_in_one_folder_for_a_while_and_then_move_on(store: FilesystemStore) -> None:
    shards = [store.new_name()[:2] for _ in range(256 * 12)]
    groups = [set(shards[first : first + 256]) for first in range(0, len(shards), 256)]
    assert all(len(group) == 1 for group in groups)
    assert len(set(shards)) > 1


def test_an_upload_is_written_beside_its_place(store: FilesystemStore, tmp_path: Path) -> None:
    name = store.new_name()
    upload = store.upload(name)
    upload.write(b"half")
    assert [entry.name for entry in (tmp_path / name[:2]).iterdir()] == [f"{name}.part"]
    upload.finish()
    store.keep([upload])
    assert [entry.name for entry in (tmp_path / name[:2]).iterdir()] == [name]


def test_deleting_removes_what_a_cut_upload_left_too(store: FilesystemStore, tmp_path: Path) -> None:
    name = store.new_name()
    store.upload(name).write(b"half")
    store.delete(Address(name))
    assert list((tmp_path / name[:2]).iterdir()) == []


def test_a_leftover_of_a_cut_upload_is_not_written_into(store: FilesystemStore, tmp_path: Path) -> None:
    name = store.new_name()
    (tmp_path / name[:2]).mkdir()
    leftover = tmp_path / name[:2] / f"{name}.part"
    leftover.write_bytes(b"of another")
    with refused(UnavailableError, "store-failed"):
        store.upload(name)
    assert leftover.read_bytes() == b"of another"


def test_foreign_files_are_listed_as_they_are(store: FilesystemStore, tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lost+found" / "notes.txt").write_text("x")
    (tmp_path / "README").write_text("x")
    name = put(store)
    assert {(found.address.name, found.is_ended) for found in store.listed()} == {
        ("notes.txt", True),
        ("README", True),
        (name, True),
    }


def test_the_time_of_writing_is_the_files(store: FilesystemStore, tmp_path: Path) -> None:
    name = put(store)
    os.utime(tmp_path / name[:2] / name, (1_000_000_000, 1_000_000_000))
    assert [found.written_at for found in store.listed()] == [datetime.fromtimestamp(1_000_000_000, UTC)]


def test_a_link_is_not_followed(store: FilesystemStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"elsewhere")
    name = object_name(VAULT, "ab" * 12)
    (tmp_path / name[:2]).mkdir()
    (tmp_path / name[:2] / name).symlink_to(secret)
    with pytest.raises((UnavailableError, NotFoundError)):
        store.open(Address(name))


def test_a_disk_that_was_pulled_is_away_and_an_empty_one_in_its_place_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    store = FilesystemStore(folder, VAULT)
    name = put(store)
    shutil.rmtree(folder)
    with refused(UnavailableError, "store-missing"):
        store.upload(name[:2] + store.new_name()[2:])
    with refused(UnavailableError, "store-missing"):
        store.open(Address(name))
    folder.mkdir()
    other = name[:2] + store.new_name()[2:]
    put(store, b"again", other)
    assert (folder / other[:2] / other).read_bytes() == b"again"
    with refused(NotFoundError, "object-missing"):
        store.open(Address(name))


class Syncs:
    """Counts the real fsyncs of a folder, and holds each until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Semaphore(0)
        self.count = 0
        real = filesystem._fsync_folder  # noqa: SLF001 - the one call that is watched

        def watched(folder: Path) -> None:
            self.count += 1
            self.begun.release()
            self.let_go.acquire()
            real(folder)

        monkeypatch.setattr(filesystem, "_fsync_folder", watched)


def test_a_folder_is_synced_anew_for_who_asks_while_a_sync_runs_and_once_for_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that began before a rename does not cover it: only one that begins later does."""
    syncs, folder = Syncs(monkeypatch), _FolderSync(tmp_path)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(folder.sync)
        syncs.begun.acquire()
        waiting = [pool.submit(folder.sync) for _ in range(8)]
        while folder._asked < 9:  # noqa: SLF001 - until all eight have asked
            os.sched_yield()
        syncs.let_go.release()
        first.result()
        syncs.begun.acquire()
        assert not any(one.done() for one in waiting)
        syncs.let_go.release()
        for one in waiting:
            one.result()
    assert syncs.count == 2


def test_a_sync_that_fails_is_tried_again_by_the_next_who_waits(tmp_path: Path) -> None:
    folder = _FolderSync(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        folder.sync()
    (tmp_path / "missing").mkdir()
    folder.sync()
    folder.sync()
    assert folder._done == folder._asked == 3  # noqa: SLF001 - every asking is served

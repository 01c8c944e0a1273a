"""Every copy is read to its end, and what is wrong with one is said of its record."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from full_vault import FullVault, make_full_vault
from vaults import custodian

from vault.bootstrap import verify_vault

pytestmark = pytest.mark.both_worlds


@dataclass(frozen=True)
class Copy:
    record_id: str
    path: Path


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> FullVault:
    return make_full_vault(tmp_path_factory.mktemp("copies"))


def copies(full: FullVault, media_type: str, store: str) -> list[Copy]:
    with closing(sqlite3.connect(full.folder / "kura.db")) as database:
        rows = database.execute("SELECT record_id, name FROM objects WHERE media_type = ?", [media_type]).fetchall()
    return [Copy(record_id, full.folder / "objects" / store / name[:2] / name) for record_id, name in rows]


def found(full: FullVault, *, keyless: bool = False) -> list[tuple[str, str]]:
    verdict = verify_vault(full.folder, None if keyless else custodian(), keyless=keyless)
    return sorted((finding.code, finding.what) for finding in verdict.findings)


@pytest.mark.parametrize("store", ["a", "b"])
@pytest.mark.parametrize("place", [0, 20, 39, 40, (1 << 20) - 1, 1 << 20, 2 << 20, -1])
def test_an_altered_byte_of_any_segment_of_any_copy_is_found(full: FullVault, store: str, place: int) -> None:
    [copy] = copies(full, "video/mp4", store)
    whole = copy.path.read_bytes()
    altered = bytearray(whole)
    altered[place] ^= 1
    copy.path.write_bytes(altered)
    assert found(full) == [("object-altered", f"records/{copy.record_id}")]
    assert found(full, keyless=True) == [("object-altered", f"{store}/{copy.path.name}")]
    copy.path.write_bytes(whole)


@pytest.mark.parametrize(
    "cut",
    [lambda whole: whole[:0], lambda whole: whole[:39], lambda whole: whole[: 1 << 20], lambda whole: whole + b"\0"],
    ids=["empty", "within the header", "after a segment", "lengthened"],
)
def test_a_copy_of_another_length_is_found(full: FullVault, cut: Callable[[bytes], bytes]) -> None:
    [copy] = copies(full, "video/mp4", "b")
    whole = copy.path.read_bytes()
    copy.path.write_bytes(cut(whole))
    assert found(full) == [("object-short", f"records/{copy.record_id}")]
    copy.path.write_bytes(whole)


def test_a_missing_copy_hides_nothing_of_the_other(full: FullVault) -> None:
    [first], [second] = (copies(full, "video/mp4", store) for store in "ab")
    whole = first.path.read_bytes()
    first.path.unlink()
    second.path.write_bytes(bytes(len(whole)))
    what = f"records/{first.record_id}"
    assert found(full) == [("object-altered", what), ("object-missing", what)]
    for copy in (first, second):
        copy.path.write_bytes(whole)


def test_copies_put_in_each_others_place_are_found_at_both_records(full: FullVault) -> None:
    pdfs = copies(full, "application/pdf", "a")
    sizes = {copy: copy.path.stat().st_size for copy in pdfs}
    one, other = next((a, b) for a in pdfs for b in pdfs if a != b and sizes[a] == sizes[b])
    contents = one.path.read_bytes(), other.path.read_bytes()
    one.path.write_bytes(contents[1])
    other.path.write_bytes(contents[0])
    assert found(full) == sorted(("object-altered", f"records/{copy.record_id}") for copy in (one, other))
    for copy, content in zip((one, other), contents, strict=True):
        copy.path.write_bytes(content)
    assert found(full) == []


@pytest.mark.parametrize("version", [1 << 32, 1 << 62, -1])
def test_a_version_that_no_object_has_is_named_by_its_record(full: FullVault, version: int) -> None:
    [copy] = copies(full, "video/mp4", "a")
    with closing(sqlite3.connect(full.folder / "kura.db", isolation_level=None)) as database:
        update = "UPDATE objects SET version = ? WHERE record_id = ?"
        database.execute(update, [version, copy.record_id])
        assert f"records/{copy.record_id}" in " ".join(what for _, what in found(full))
        assert "records" not in {what for _, what in found(full)}
        database.execute(update, [1, copy.record_id])
    assert found(full) == []

"""The yardstick stores what it is given, and notices what it is not given back."""

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from bench.park import park
from bench.yardstick import get, put

CONTENTS = {"empty": b"", "small": b"x" * 1000, "frame": b"f" * (1 << 20), "frames": b"g" * ((2 << 20) + 5)}


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "sources"
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return sorted(folder.iterdir())


@pytest.fixture
def stored(tmp_path: Path, sources: list[Path]) -> list[Path]:
    folder = tmp_path / "stored"
    folder.mkdir()
    assert put(sources, [folder]) > 0
    return sorted(folder.iterdir())


def test_everything_is_stored_sealed_under_its_name_and_read_back(stored: list[Path]) -> None:
    assert [path.name for path in stored] == sorted(CONTENTS)
    assert all(b"xxxx" not in path.read_bytes() for path in stored)
    assert get(stored) > 0


def test_two_folders_get_a_copy_each(tmp_path: Path, sources: list[Path]) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    put(sources, folders)
    for folder in folders:
        get(sorted(folder.iterdir()))


@pytest.mark.parametrize("name", ["small", "frames"])
def test_a_flipped_bit_does_not_open(stored: list[Path], name: str) -> None:
    path = next(path for path in stored if path.name == name)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidTag):
        get(stored)


def test_a_wrong_digest_is_noticed(stored: list[Path]) -> None:
    path = stored[-1]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="digest differs"):
        get(stored)


def test_a_short_file_is_noticed(stored: list[Path]) -> None:
    path = next(path for path in stored if path.name == "frames")
    path.write_bytes(path.read_bytes()[: 1 << 20])
    with pytest.raises(ValueError, match="short file"):
        get(stored)


def test_a_name_in_use_is_not_overwritten(tmp_path: Path, sources: list[Path]) -> None:
    (tmp_path / ".small.tmp").write_bytes(b"of a run before")
    with pytest.raises(FileExistsError):
        put(sources, [tmp_path])


def test_parked_outputs_take_no_room_and_keep_their_files(stored: list[Path]) -> None:
    park(stored[0].parent)
    assert [path.stat().st_size for path in stored] == [0] * len(stored)

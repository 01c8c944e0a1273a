from hashlib import sha256
from typing import Any

import naive_tree
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import RFC6962, entry, refused, unhex

from vault.errors import IntegrityError, RefusedError
from vault.ledger.merkle import consistency_proof, inclusion_proof, leaf_hash, root_at
from vault.ledger.tiles import (
    Tile,
    parse_entries_path,
    parse_tile_path,
    reader_of_tiles,
    subtree_in_tile,
    tile_of_subtree,
    tiles_between,
    tiles_of,
)

SIZE = 70_000
LEAVES = [leaf_hash(entry(index)) for index in range(SIZE)]
tile_indexes = st.one_of(st.integers(0, 3000), st.integers(0, 2**55))


def build_tiles(size: int) -> dict[Tile, bytes]:
    """Build all tiles of the first `size` vector entries, each from the leaves or the full tiles below it."""
    built: dict[Tile, bytes] = {}
    for tile in tiles_of(size):
        first = tile.index * 256
        if tile.level == 0:
            built[tile] = b"".join(LEAVES[first : first + tile.width])
        else:
            below = [built[Tile(tile.level - 1, first + at)] for at in range(tile.width)]
            built[tile] = b"".join(subtree_in_tile(full, 8, 0) for full in below)
    return built


@pytest.fixture(scope="module")
def tiles() -> dict[Tile, bytes]:
    return build_tiles(SIZE)


@pytest.mark.parametrize("vector", RFC6962["tile_paths"], ids=lambda vector: str(vector["n"]))
def test_paths_are_those_of_sumdb(vector: dict[str, Any]) -> None:
    full, partial = Tile(0, vector["n"]), Tile(0, vector["n"], 17)
    assert (full.path(), partial.path()) == (vector["full"], vector["partial17"])
    assert (parse_tile_path(vector["full"]), parse_tile_path(vector["partial17"])) == (full, partial)


@pytest.mark.parametrize("vector", RFC6962["tiles_size_70000"], ids=lambda vector: vector["c2sp_path"])
def test_tiles_are_those_of_sumdb(tiles: dict[Tile, bytes], vector: dict[str, Any]) -> None:
    tile = parse_tile_path(vector["c2sp_path"])
    assert tile == Tile(vector["level"], vector["n"], vector["width"])
    data = tiles[tile]
    assert len(data) == vector["len"]
    assert data[:32].hex() == vector["first_hash"]
    assert sha256(data).hexdigest() == vector["sha256"]


def test_tree_of_70000_has_the_tiles_the_specification_counts() -> None:
    listed = list(tiles_of(SIZE))
    partial = [tile for tile in listed if tile.width < 256]
    assert len([tile for tile in listed if tile.level == 0 and tile.width == 256]) == 273
    assert Tile(1, 0) in listed
    assert partial == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]


def test_a_full_tile_appears_in_the_level_above_at_once() -> None:
    assert list(tiles_of(0)) == []
    assert list(tiles_of(255)) == [Tile(0, 0, 255)]
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]


@given(st.integers(0, 140_000))
def test_widths_follow_the_formula_of_the_specification(size: int) -> None:
    partial = {tile.level: tile.width for tile in tiles_of(size) if tile.width < 256}
    expected = {level: size // 256**level % 256 for level in range(4)}
    assert partial == {level: width for level, width in expected.items() if width}


@given(st.integers(0, 140_000), st.integers(0, 2000))
def test_tiles_between_are_those_of_the_new_tree_that_the_old_had_not(old: int, added: int) -> None:
    before = set(tiles_of(old))
    assert list(tiles_between(old, old + added)) == [tile for tile in tiles_of(old + added) if tile not in before]


@pytest.mark.parametrize(("old", "new"), [(1, 0), (-1, 5)])
def test_tiles_of_a_log_that_shrinks_are_refused(old: int, new: int) -> None:
    with refused(RefusedError, "tree-sizes-impossible"):
        list(tiles_between(old, new))


@given(st.integers(0, 63), tile_indexes, st.integers(1, 256))
def test_paths_are_read_back(level: int, index: int, width: int) -> None:
    tile, bundle = Tile(level, index, width), Tile(0, index, width)
    assert parse_tile_path(tile.path()) == tile
    assert parse_entries_path(bundle.entries_path()) == bundle


def test_entry_bundles_have_paths_of_their_own() -> None:
    assert Tile(0, 1234, 17).entries_path() == "tile/entries/x001/234.p/17"
    with refused(RefusedError, "tile-impossible"):
        Tile(1, 0).entries_path()
    with refused(RefusedError, "tile-path-malformed"):
        parse_tile_path("tile/entries/000")
    with refused(RefusedError, "tile-path-malformed"):
        parse_entries_path("tile/0/000")
    with refused(RefusedError, "tile-path-malformed"):
        parse_entries_path("tile/1/000")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/0/-01",
        "tile/0/x000/000",
        "tile/0/x000/001",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x001/00",
        "tile/0/X001/000",
        "tile/0/x1/000",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/257",
        "tile/0/000.p/999",
        "tile/0/000.p/017",
        "tile/0/000.p/17/",
        "tile/0/000.P/17",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/000.p/17\n",
        " tile/0/000",
        "/tile/0/000",
        "tile//0/000",
        "tile/0/../0/000",
        "tile/0/%30%30%30",
        "tile/0/\uff10\uff100",
        "tile/\u0660/000",
        "tile/data/000",
        "tile/0/" + "x999/" * 6 + "999",
        "tile/0/" + "x999/" * 1000 + "999",
    ],
)
def test_paths_in_another_form_are_refused(path: str) -> None:
    with refused(RefusedError, "tile-path-malformed"):
        parse_tile_path(path)
    with refused(RefusedError, "tile-path-malformed"):
        parse_entries_path(path.replace("tile/0/", "tile/entries/"))


@pytest.mark.parametrize(("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_tiles_that_no_tree_has_are_refused(level: int, index: int, width: int) -> None:
    with refused(RefusedError, "tile-impossible"):
        Tile(level, index, width)


@given(st.integers(1, 256), st.data())
def test_inner_nodes_of_a_tile_are_those_of_the_tree(width: int, data: st.DataObject) -> None:
    entries = [entry(index) for index in range(width)]
    level = data.draw(st.integers(0, width.bit_length() - 1))
    index = data.draw(st.integers(0, (width >> level) - 1))
    expected = naive_tree.subtree(level, index, entries)
    assert subtree_in_tile(b"".join(LEAVES[:width]), level, index) == expected
    assert subtree_in_tile(LEAVES[:width], level, index) == expected


@pytest.mark.parametrize(
    ("tile", "level", "index"),
    [
        (b"", 0, 0),
        (bytes(32), 1, 0),
        (bytes(32), 0, 1),
        (bytes(32), 0, -1),
        (bytes(32 * 255), 8, 0),
        (bytes(32 * 256), 8, 1),
        (bytes(32 * 5), 2, 1),
        (bytes(31), 0, 0),
        (bytes(33), 0, 0),
        (bytes(32 * 257), 0, 0),
        ([bytes(32)], 1, 0),
        ([bytes(31)], 0, 0),
    ],
)
def test_nodes_that_a_tile_does_not_have_are_refused(tile: bytes | list[bytes], level: int, index: int) -> None:
    with refused(IntegrityError, "tile-malformed"):
        subtree_in_tile(tile, level, index)


@given(st.integers(0, 62), st.integers(0, 2**40))
def test_the_place_of_a_subtree_covers_its_leaves(level: int, index: int) -> None:
    place = tile_of_subtree(level, index)
    assert 0 <= place.level_in_tile < 8
    hashes = 1 << place.level_in_tile  # of the tile, under the node
    assert 0 <= place.index_in_tile * hashes < 256
    leaves_per_hash = 256**place.tile_level
    first_hash = place.tile_index * 256 + place.index_in_tile * hashes
    assert first_hash * leaves_per_hash == index << level
    assert hashes * leaves_per_hash == 1 << level


def newest(tiles: dict[Tile, bytes]) -> dict[tuple[int, int], bytes]:
    return {(tile.level, tile.index): data for tile, data in tiles.items()}


def test_roots_and_proofs_come_from_tiles_alone(tiles: dict[Tile, bytes]) -> None:
    by_place = newest(tiles)
    read = reader_of_tiles(lambda level, index: by_place[level, index])
    for vector in RFC6962["big_roots"]:
        assert root_at(vector["size"], read).hex() == vector["root"]
    for vector in RFC6962["inclusion"]:
        assert inclusion_proof(vector["index"], vector["size"], read) == unhex(vector["proof"])
    for vector in RFC6962["consistency"]:
        assert consistency_proof(vector["old"], vector["new"], read) == unhex(vector["proof"])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000, 65_535, 65_536, 65_537])
def test_the_tiles_of_a_size_are_enough_for_its_root_and_proofs(size: int) -> None:
    by_place = newest(build_tiles(size))
    read = reader_of_tiles(lambda level, index: by_place[level, index])
    root_at(size, read)
    for index in {0, size // 2, size - 1}:
        inclusion_proof(index, size, read)
        consistency_proof(index, size, read)

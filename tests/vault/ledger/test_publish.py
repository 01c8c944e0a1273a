"""The published ledger: tiles and checkpoint at many sizes, read back with nothing but the specification's paths."""

from itertools import pairwise
from pathlib import Path

import naive_tree
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_vectors import RFC6962, entry
from ledgers import ORIGIN, files_of, verifier

from vault.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from vault.ledger.merkle import consistency_proof, inclusion_proof, leaf_hash
from vault.ledger.proofs import verify_consistency, verify_inclusion
from vault.ledger.publish import publish
from vault.ledger.tiles import Tile, reader_of_tiles, tiles_of

ENTRIES = [entry(index) for index in range(600)]
LEAVES = [leaf_hash(one) for one in ENTRIES]
SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEY = verifier(SIGNING_KEY)
SIZES = [1, 2, 3, 7, 70, 255, 256, 257, 300, 511, 512, 513, 599, 600]


def tile_bytes(tile: Tile) -> bytes:
    if tile.level == 0:
        return b"".join(LEAVES[tile.index * 256 :][: tile.width])
    return b"".join(naive_tree.subtree(8, tile.index * 256 + i, ENTRIES) for i in range(tile.width))


def note(size: int) -> str:
    root = naive_tree.merkle_tree_hash(ENTRIES[:size])
    return sign_checkpoint(Checkpoint(ORIGIN, size, root), KEY, SIGNING_KEY.sign)


def publish_at(folder: Path, old_size: int, size: int) -> None:
    publish(folder, note(size), old_size, size, tile_bytes)


def require_whole(folder: Path, size: int) -> None:
    """Read everything as a client does: the checkpoint first, then the tiles that its size names."""
    head = open_checkpoint((folder / "checkpoint").read_bytes(), KEY)
    assert head.size == size

    def read_tile(level: int, index: int) -> bytes:
        width = min(256, (size >> 8 * level) - 256 * index)
        return (folder / Tile(level, index, width).path()).read_bytes()

    read = reader_of_tiles(read_tile)
    for index in {0, size // 2, size - 1}:
        proof = inclusion_proof(index, size, read)
        verify_inclusion(leaf=LEAVES[index], index=index, tree_size=size, proof=proof, root=head.root)
    for old in {1, size // 2, size} - {0}:
        old_root = naive_tree.merkle_tree_hash(ENTRIES[:old])
        proof = consistency_proof(old, size, read)
        verify_consistency(old_size=old, new_size=size, old_root=old_root, new_root=head.root, proof=proof)
    assert set(files_of(folder)) == {"checkpoint"} | {tile.path() for tile in tiles_of(size)}


@pytest.mark.parametrize("size", SIZES)
def test_a_ledger_published_at_once_is_whole(tmp_path: Path, size: int) -> None:
    publish_at(tmp_path, 0, size)
    require_whole(tmp_path, size)


def test_a_ledger_published_step_by_step_is_whole_at_each_and_keeps_no_older_partial(tmp_path: Path) -> None:
    for old, size in pairwise([0, *SIZES]):
        publish_at(tmp_path, old, size)
        require_whole(tmp_path, size)


@pytest.mark.parametrize("step", [1, 17, 100])
def test_every_step_is_whole(tmp_path: Path, step: int) -> None:
    sizes = [*range(0, 601, step)] if step > 1 else [*range(250, 262)]
    publish_at(tmp_path, 0, sizes[0] or step)
    for old, size in pairwise(sizes):
        publish_at(tmp_path, old, size)
    require_whole(tmp_path, sizes[-1])


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    publish_at(tmp_path, 0, 300)
    before = files_of(tmp_path)
    publish_at(tmp_path, 0, 300)
    assert files_of(tmp_path) == before


def test_tiles_stand_before_the_checkpoint_that_needs_them(tmp_path: Path) -> None:
    publish_at(tmp_path, 0, 300)

    def fail_at_the_last(tile: Tile) -> bytes:
        if tile.level == 1:
            raise OSError(tile.path())
        return tile_bytes(tile)

    with pytest.raises(OSError, match="tile/1/000"):
        publish(tmp_path, note(600), 300, 600, fail_at_the_last)
    assert open_checkpoint((tmp_path / "checkpoint").read_bytes(), KEY).size == 300
    for tile in tiles_of(300):
        assert (tmp_path / tile.path()).read_bytes() == tile_bytes(tile)
    publish_at(tmp_path, 300, 600)
    require_whole(tmp_path, 600)


def test_the_hashes_are_those_of_the_vectors(tmp_path: Path) -> None:
    publish_at(tmp_path, 0, 70)
    head = open_checkpoint((tmp_path / "checkpoint").read_bytes(), KEY)
    assert head.root.hex() == RFC6962["roots_1_to_70"][69]

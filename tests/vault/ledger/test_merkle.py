from typing import Any

import naive_tree
import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import RFC6962, entry, refused, unhex

from vault.errors import IntegrityError, RefusedError
from vault.ledger.merkle import (
    EMPTY_ROOT,
    CompactRange,
    compact_range_at,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_at,
)

ENTRIES = [entry(index) for index in range(70)]
entry_lists = st.lists(st.binary(max_size=8), max_size=40)


def read(level: int, index: int) -> bytes:
    return naive_tree.subtree(level, index, ENTRIES)


def root_of(entries: list[bytes]) -> bytes:
    return CompactRange().extend(leaf_hash(one) for one in entries).root()


def test_empty_tree_has_the_hash_of_nothing() -> None:
    assert CompactRange().root() == EMPTY_ROOT == bytes.fromhex(RFC6962["empty_root"])
    assert root_at(0, read) == EMPTY_ROOT


def test_leaves_and_nodes_are_hashed_apart() -> None:
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    assert leaf_hash(left + right) != node_hash(left, right)
    assert node_hash(left, right) != node_hash(right, left)


@pytest.mark.parametrize("size", range(1, 71))
def test_roots_of_small_trees_are_those_of_sumdb(size: int) -> None:
    expected = bytes.fromhex(RFC6962["roots_1_to_70"][size - 1])
    assert root_of(ENTRIES[:size]) == expected
    assert root_at(size, read) == expected


def test_roots_of_big_trees_are_those_of_sumdb() -> None:
    grown = CompactRange()
    for vector in RFC6962["big_roots"]:
        grown = grown.extend(leaf_hash(entry(index)) for index in range(grown.size, vector["size"]))
        assert grown.root().hex() == vector["root"]


def test_certificate_transparency_tree_has_its_known_hashes() -> None:
    grown = CompactRange()
    for vector in RFC6962["ct_test_tree"]:
        leaf = leaf_hash(bytes.fromhex(vector["leaf_hex"]))
        assert leaf.hex() == vector["leaf_hash"]
        grown = grown.extend([leaf])
        assert grown.root().hex() == vector["root_at_size_index_plus_1"]


@pytest.mark.parametrize("vector", RFC6962["inclusion"], ids=lambda vector: f"{vector['index']}-of-{vector['size']}")
def test_inclusion_proofs_are_those_of_sumdb(vector: dict[str, Any]) -> None:
    assert inclusion_proof(vector["index"], vector["size"], read) == unhex(vector["proof"])


@pytest.mark.parametrize("vector", RFC6962["consistency"], ids=lambda vector: f"{vector['old']}-to-{vector['new']}")
def test_consistency_proofs_are_those_of_sumdb(vector: dict[str, Any]) -> None:
    assert consistency_proof(vector["old"], vector["new"], read) == unhex(vector["proof"])


@given(entry_lists, st.data())
def test_any_tree_is_the_tree_of_the_standard(entries: list[bytes], data: st.DataObject) -> None:
    size = len(entries)

    def read_these(level: int, index: int) -> bytes:
        return naive_tree.subtree(level, index, entries)

    assert root_of(entries) == root_at(size, read_these) == naive_tree.merkle_tree_hash(entries)
    if size:
        index = data.draw(st.integers(0, size - 1))
        assert inclusion_proof(index, size, read_these) == naive_tree.path(index, entries)
        old_size = data.draw(st.integers(1, size))
        assert consistency_proof(old_size, size, read_these) == naive_tree.proof(old_size, entries)


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=40))
def test_an_independent_implementation_has_the_same_root(entries: list[bytes]) -> None:
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for one in entries:
        tree.append_entry(one)
    assert root_of(entries) == tree.get_root()


@given(entry_lists, entry_lists)
def test_growing_in_steps_is_growing_at_once(first: list[bytes], second: list[bytes]) -> None:
    leaves = [leaf_hash(one) for one in first + second]
    at_once = CompactRange().extend(leaves)
    half = CompactRange().extend(leaves[: len(first)])
    stored = CompactRange.decode(half.size, half.encode())
    assert stored == half
    assert stored.extend(leaves[len(first) :]) == at_once


@given(st.integers(0, 70))
def test_compact_range_is_read_back_from_the_tree(size: int) -> None:
    assert compact_range_at(size, read) == CompactRange().extend(leaf_hash(one) for one in ENTRIES[:size])


@pytest.mark.parametrize(("size", "length"), [(0, 32), (1, 0), (1, 31), (1, 33), (3, 32), (4, 64), (7, 95), (-1, 32)])
def test_compact_range_of_the_wrong_length_is_refused(size: int, length: int) -> None:
    with refused(IntegrityError, "compact-range-malformed"):
        CompactRange.decode(size, bytes(length))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_leaf_that_is_not_a_hash_is_refused(length: int) -> None:
    with refused(IntegrityError, "compact-range-malformed"):
        CompactRange().extend([bytes(length), bytes(32)])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 5), (5, 5), (6, 5)])
def test_no_proof_for_an_entry_outside_the_tree(index: int, size: int) -> None:
    with refused(RefusedError, "leaf-not-in-tree"):
        inclusion_proof(index, size, read)


@pytest.mark.parametrize(("old", "new"), [(1, 0), (6, 5), (-1, 5), (-2, -1)])
def test_no_consistency_proof_for_a_log_that_shrinks(old: int, new: int) -> None:
    with refused(RefusedError, "tree-sizes-impossible"):
        consistency_proof(old, new, read)


@pytest.mark.parametrize("size", [0, 1, 7, 70])
def test_nothing_is_needed_to_show_that_a_tree_continues_the_empty_one_or_itself(size: int) -> None:
    assert consistency_proof(0, size, read) == []
    assert consistency_proof(size, size, read) == []


def test_a_proof_in_a_huge_tree_reads_few_subtrees() -> None:
    asked: list[tuple[int, int]] = []

    def record(level: int, index: int) -> bytes:
        asked.append((level, index))
        return bytes(32)

    size = 2**62 + 2**40 + 12345
    inclusion_proof(size - 1, size, record)
    inclusion_proof(7, size, record)
    consistency_proof(2**40 + 3, size, record)
    root_at(size, record)
    assert len(asked) < 4 * 2 * 63
    assert all((index + 1) << level <= size for level, index in asked)

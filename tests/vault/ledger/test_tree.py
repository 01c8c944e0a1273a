"""The growing tree against the naive one: roots, proofs and remembered subtrees at every size."""

import naive_tree
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import entry

from vault.ledger import tree
from vault.ledger.merkle import CompactRange, consistency_proof, inclusion_proof, leaf_hash, root_at
from vault.ledger.tree import GrowingTree

ENTRIES = [entry(index) for index in range(600)]
batches = st.lists(st.integers(0, 40), min_size=1, max_size=12)


def unread(level: int, index: int) -> bytes:
    raise AssertionError((level, index))


def stored(level: int, index: int) -> bytes:
    return naive_tree.subtree(level, index, ENTRIES)


def grow(growing: GrowingTree, count: int) -> None:
    begin = growing.range.size
    growing.adopt(*growing.extended(leaf_hash(one) for one in ENTRIES[begin : begin + count]))


@given(batches)
def test_roots_and_proofs_are_those_of_the_naive_tree_without_reading_storage(counts: list[int]) -> None:
    growing = GrowingTree(CompactRange(), unread)
    for count in counts:
        grow(growing, count)
    size = sum(counts)
    entries = ENTRIES[:size]
    assert growing.range.size == size
    assert growing.range.root() == naive_tree.merkle_tree_hash(entries)
    for index in {0, size // 2, size - 1} & set(range(size)):
        assert inclusion_proof(index, size, growing.read) == naive_tree.path(index, entries)
    for old in {1, size // 3, size - 1} & set(range(1, size)):
        assert consistency_proof(old, size, growing.read) == naive_tree.proof(old, entries)
        assert root_at(old, growing.read) == naive_tree.merkle_tree_hash(entries[:old])


@given(st.integers(0, 300), st.integers(0, 60))
def test_a_tree_taken_up_from_its_compact_range_goes_on_as_if_never_stopped(size: int, more: int) -> None:
    growing = GrowingTree(CompactRange().extend(leaf_hash(one) for one in ENTRIES[:size]), stored)
    grow(growing, more)
    entries = ENTRIES[: size + more]
    assert growing.range.root() == naive_tree.merkle_tree_hash(entries)
    for index in {0, size - 1, size, size + more - 1} & set(range(size + more)):
        assert inclusion_proof(index, size + more, growing.read) == naive_tree.path(index, entries)


@given(st.integers(0, 200), st.integers(1, 40))
def test_each_completed_subtree_is_told_once_and_lowest_first(size: int, more: int) -> None:
    growing = GrowingTree(CompactRange().extend(leaf_hash(one) for one in ENTRIES[:size]), stored)
    _, completed = growing.extended(leaf_hash(one) for one in ENTRIES[size : size + more])
    names = [name for name, _ in completed]
    expected = {
        (level, index)
        for level in range(10)
        for index in range((size + more) >> level)
        if ((index + 1) << level) > size
    }
    assert set(names) == expected
    assert len(names) == len(expected)
    for (level, index), digest in completed:
        assert digest == naive_tree.subtree(level, index, ENTRIES)


def test_an_extension_that_is_not_adopted_leaves_nothing_behind() -> None:
    growing = GrowingTree(CompactRange(), unread)
    grow(growing, 7)
    before = growing.range
    growing.extended(leaf_hash(b"lost") for _ in range(9))
    assert growing.range == before
    grow(growing, 5)
    assert growing.range.root() == naive_tree.merkle_tree_hash(ENTRIES[:12])


def test_a_tree_that_forgets_reads_older_subtrees_from_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_REMEMBERED", 64)
    read: list[tuple[int, int]] = []

    def counted(level: int, index: int) -> bytes:
        read.append((level, index))
        return stored(level, index)

    growing = GrowingTree(CompactRange(), counted)
    for _ in range(60):
        grow(growing, 10)
    assert not read
    for index in (0, 1, 255, 256, 300, 511, 512, 598, 599):
        assert inclusion_proof(index, 600, growing.read) == naive_tree.path(index, ENTRIES)
    assert (0, 1) in read
    assert (0, 599) not in read
    assert growing.range.root() == naive_tree.merkle_tree_hash(ENTRIES)

from dataclasses import asdict, dataclass, replace
from typing import Any

import naive_tree
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import RFC6962, entry, refused, unhex

from vault.errors import IntegrityError
from vault.ledger.merkle import EMPTY_ROOT, leaf_hash
from vault.ledger.proofs import verify_consistency, verify_inclusion

ENTRIES = [entry(index) for index in range(70)]
ROOTS = [EMPTY_ROOT, *unhex(RFC6962["roots_1_to_70"])]
LEAVES = [leaf_hash(one) for one in ENTRIES]


@dataclass(frozen=True)
class Inclusion:
    """A claim that a leaf is in a tree."""

    leaf: bytes
    index: int
    tree_size: int
    proof: list[bytes]
    root: bytes

    def verify(self) -> None:
        verify_inclusion(**asdict(self))


@dataclass(frozen=True)
class Consistency:
    """A claim that a tree continues an older one."""

    old_size: int
    old_root: bytes
    new_size: int
    new_root: bytes
    proof: list[bytes]

    def verify(self) -> None:
        verify_consistency(**asdict(self))


def inclusion(index: int, size: int) -> Inclusion:
    return Inclusion(LEAVES[index], index, size, naive_tree.path(index, ENTRIES[:size]), ROOTS[size])


def consistency(old: int, new: int) -> Consistency:
    return Consistency(old, ROOTS[old], new, ROOTS[new], naive_tree.proof(old, ENTRIES[:new]))


@st.composite
def inclusions(draw: st.DrawFn) -> Inclusion:
    size = draw(st.integers(1, 70))
    return inclusion(draw(st.integers(0, size - 1)), size)


@st.composite
def consistencies(draw: st.DrawFn) -> Consistency:
    new = draw(st.integers(2, 70))
    return consistency(draw(st.integers(1, new - 1)), new)


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


def assert_refused(claim: Inclusion | Consistency) -> None:
    with refused(IntegrityError, "proof-invalid"):
        claim.verify()


@pytest.mark.parametrize("vector", RFC6962["inclusion"], ids=lambda vector: f"{vector['index']}-of-{vector['size']}")
def test_inclusion_proofs_of_sumdb_hold(vector: dict[str, Any]) -> None:
    index, size = vector["index"], vector["size"]
    Inclusion(LEAVES[index], index, size, unhex(vector["proof"]), ROOTS[size]).verify()


@pytest.mark.parametrize("vector", RFC6962["consistency"], ids=lambda vector: f"{vector['old']}-to-{vector['new']}")
def test_consistency_proofs_of_sumdb_hold(vector: dict[str, Any]) -> None:
    old, new = vector["old"], vector["new"]
    Consistency(old, ROOTS[old], new, ROOTS[new], unhex(vector["proof"])).verify()


@given(inclusions(), st.integers(0, 255), st.data())
def test_a_flipped_bit_anywhere_breaks_an_inclusion_proof(claim: Inclusion, bit: int, data: st.DataObject) -> None:
    assert_refused(replace(claim, leaf=flip(claim.leaf, bit)))
    assert_refused(replace(claim, root=flip(claim.root, bit)))
    if claim.proof:
        at = data.draw(st.integers(0, len(claim.proof) - 1))
        changed = [*claim.proof[:at], flip(claim.proof[at], bit), *claim.proof[at + 1 :]]
        assert_refused(replace(claim, proof=changed))


@given(inclusions(), st.integers(-3, 2**65))
def test_an_inclusion_proof_holds_for_one_index_only(claim: Inclusion, index: int) -> None:
    if index != claim.index:
        assert_refused(replace(claim, index=index))


@given(inclusions(), st.integers(-3, 80))
def test_an_inclusion_proof_leads_to_the_root_of_one_size_only(claim: Inclusion, size: int) -> None:
    # The proof alone may fit several sizes; the root that the checkpoint gives for another size never does.
    if 0 <= size <= 70 and size != claim.tree_size:
        assert_refused(replace(claim, tree_size=size, root=ROOTS[size]))
    if size <= claim.index:
        assert_refused(replace(claim, tree_size=size))


@given(inclusions(), st.binary(min_size=32, max_size=32))
def test_a_longer_or_shorter_inclusion_proof_is_refused(claim: Inclusion, extra: bytes) -> None:
    assert_refused(replace(claim, proof=[*claim.proof, extra]))
    assert_refused(replace(claim, proof=[extra, *claim.proof]))
    assert_refused(replace(claim, proof=[*claim.proof, claim.root]))
    if claim.proof:
        assert_refused(replace(claim, proof=claim.proof[1:]))
        assert_refused(replace(claim, proof=claim.proof[:-1]))
        assert_refused(replace(claim, proof=[]))


def test_reordered_siblings_are_refused() -> None:
    claim = inclusion(5, 13)
    assert_refused(replace(claim, proof=claim.proof[::-1]))


def test_an_inner_node_is_not_taken_for_a_leaf() -> None:
    claim = inclusion(0, 4)
    inner = naive_tree.merkle_tree_hash(ENTRIES[:2])
    assert_refused(replace(claim, leaf=inner, proof=claim.proof[1:]))
    verify_inclusion(leaf=inner, index=0, tree_size=2, proof=claim.proof[1:], root=claim.root)  # if the size is a lie


def test_a_proof_does_not_hold_under_a_size_that_it_is_too_long_or_too_short_for() -> None:
    # The hashes do lead to the root each time; the length alone gives the lie away.
    assert_refused(Inclusion(LEAVES[1], 0, 1, [LEAVES[0]], ROOTS[2]))
    assert_refused(Inclusion(LEAVES[0], 0, 3, [LEAVES[1]], ROOTS[2]))
    assert_refused(replace(consistency(7, 8), old_size=3, new_size=4))
    assert_refused(replace(consistency(4, 8), new_size=16))


@pytest.mark.parametrize("cut", [31, 33])
def test_hashes_of_other_lengths_are_refused(cut: int) -> None:
    first, second = naive_tree.path(2, ENTRIES[:4])
    joined = LEAVES[2] + first
    shifted = Inclusion(joined[:cut], 2, 4, [joined[cut:], second], ROOTS[4])  # the same bytes are hashed
    assert_refused(shifted)
    assert_refused(replace(inclusion(0, 1), root=ROOTS[1] + b"\x00"))


def test_the_only_leaf_is_its_own_root() -> None:
    verify_inclusion(leaf=LEAVES[0], index=0, tree_size=1, proof=[], root=LEAVES[0])


def test_nothing_is_in_the_empty_tree() -> None:
    assert_refused(Inclusion(EMPTY_ROOT, 0, 0, [], EMPTY_ROOT))


@given(consistencies(), st.integers(0, 255), st.data())
def test_a_flipped_bit_anywhere_breaks_a_consistency_proof(claim: Consistency, bit: int, data: st.DataObject) -> None:
    assert_refused(replace(claim, old_root=flip(claim.old_root, bit)))
    assert_refused(replace(claim, new_root=flip(claim.new_root, bit)))
    at = data.draw(st.integers(0, len(claim.proof) - 1))
    changed = [*claim.proof[:at], flip(claim.proof[at], bit), *claim.proof[at + 1 :]]
    assert_refused(replace(claim, proof=changed))


@given(consistencies(), st.integers(0, 70))
def test_a_consistency_proof_fits_its_own_sizes_only(claim: Consistency, size: int) -> None:
    if size != claim.old_size:
        assert_refused(replace(claim, old_size=size, old_root=ROOTS[size]))
    if size != claim.new_size:
        assert_refused(replace(claim, new_size=size, new_root=ROOTS[size]))


@given(consistencies(), st.binary(min_size=32, max_size=32))
def test_a_longer_or_shorter_consistency_proof_is_refused(claim: Consistency, extra: bytes) -> None:
    assert_refused(replace(claim, proof=[*claim.proof, extra]))
    assert_refused(replace(claim, proof=[extra, *claim.proof]))
    assert_refused(replace(claim, proof=claim.proof[1:]))
    assert_refused(replace(claim, proof=claim.proof[:-1]))
    assert_refused(replace(claim, proof=[]))


@given(consistencies(), st.integers(0, 69))
def test_a_rewritten_entry_cannot_be_made_consistent(claim: Consistency, index: int) -> None:
    if index >= claim.old_size:
        return
    rewritten = [*ENTRIES[:index], b"rewritten", *ENTRIES[index + 1 :]][: claim.new_size]
    new_root = naive_tree.merkle_tree_hash(rewritten)
    assert_refused(replace(claim, new_root=new_root, proof=naive_tree.proof(claim.old_size, rewritten)))


@pytest.mark.parametrize("size", [0, 1, 7, 70])
def test_every_tree_continues_the_empty_tree_and_itself(size: int) -> None:
    Consistency(0, EMPTY_ROOT, size, ROOTS[size], []).verify()
    Consistency(size, ROOTS[size], size, ROOTS[size], []).verify()


@pytest.mark.parametrize(
    "claim",
    [
        Consistency(0, ROOTS[1], 7, ROOTS[7], []),
        Consistency(0, EMPTY_ROOT, 7, ROOTS[7], [ROOTS[1]]),
        Consistency(0, EMPTY_ROOT, 0, ROOTS[1], []),
        Consistency(0, ROOTS[1], 0, ROOTS[1], []),
        Consistency(7, ROOTS[7], 7, ROOTS[6], []),
        Consistency(7, ROOTS[7], 7, ROOTS[7], [ROOTS[1]]),
        Consistency(7, ROOTS[7], 6, ROOTS[6], []),
        Consistency(-1, ROOTS[1], 7, ROOTS[7], []),
        Consistency(4, ROOTS[4], 8, ROOTS[8], []),
        Consistency(0, EMPTY_ROOT[:31], 7, ROOTS[7], []),
        Consistency(7, b"", 7, b"", []),
    ],
    ids=str,
)
def test_impossible_histories_are_refused(claim: Consistency) -> None:
    assert_refused(claim)


def test_huge_sizes_end_quickly() -> None:
    assert_refused(Inclusion(LEAVES[0], 2**4000, 2**4001, [LEAVES[0]] * 64, ROOTS[1]))
    assert_refused(Consistency(2**4000, ROOTS[1], 2**4001, ROOTS[2], [LEAVES[0]] * 64))

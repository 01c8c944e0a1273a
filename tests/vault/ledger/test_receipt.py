from dataclasses import replace

import naive_tree
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import SIGNED_NOTE, entry, refused

from vault.errors import IntegrityError
from vault.ledger.checkpoint import Checkpoint, sign_checkpoint
from vault.ledger.merkle import HashReader, inclusion_proof, root_at
from vault.ledger.note import VerifierKey
from vault.ledger.receipt import Receipt
from vault.ledger.strict_text import encode_base64

GENERATED = SIGNED_NOTE["generated"]
KEY = VerifierKey.decode(GENERATED["vkey"])
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(GENERATED["seed_hex"]))
ENTRY = entry(69)
# The vector leaves the entry to its reader; our receipts carry it as the extra data.
TEXT: str = SIGNED_NOTE["tlog_proof"].replace("\nindex", f"\nextra {encode_base64(ENTRY)}\nindex", 1)
RECEIPT = Receipt.decode(TEXT)


def read_tree_of(entries: list[bytes]) -> HashReader:
    return lambda level, index: naive_tree.subtree(level, index, entries)


def test_proof_of_an_independent_maker_is_a_receipt() -> None:
    assert (RECEIPT.entry, RECEIPT.index, len(RECEIPT.proof)) == (ENTRY, 69, 3)
    assert RECEIPT.checkpoint == SIGNED_NOTE["cosigned_checkpoint"]
    checkpoint = RECEIPT.verify(KEY)
    assert (checkpoint.origin, checkpoint.size) == (KEY.name, 70)
    assert RECEIPT.encode() == TEXT


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=40), st.data())
def test_every_entry_of_any_ledger_has_a_receipt(entries: list[bytes], data: st.DataObject) -> None:
    index, size = data.draw(st.integers(0, len(entries) - 1)), len(entries)
    read = read_tree_of(entries)
    checkpoint = Checkpoint(KEY.name, size, root_at(size, read))
    note = sign_checkpoint(checkpoint, KEY, SIGNER.sign)
    receipt = Receipt(entries[index], index, tuple(inclusion_proof(index, size, read)), note)
    assert Receipt.decode(receipt.encode()) == receipt
    assert receipt.verify(KEY) == checkpoint


@given(st.data())
def test_a_changed_character_in_what_is_proven_is_refused(data: st.DataObject) -> None:
    proven = TEXT[: TEXT.index(GENERATED["note"]) + len(GENERATED["note"])]  # the cosignatures after it prove no more
    at = data.draw(st.integers(0, len(proven) - 1))
    other = data.draw(st.characters().filter(lambda character: character != TEXT[at]))
    with pytest.raises(IntegrityError):
        Receipt.decode(TEXT[:at] + other + TEXT[at + 1 :]).verify(KEY)


@given(st.text(max_size=80))
def test_garbage_is_refused_and_nothing_else_escapes(garbage: str) -> None:
    with refused(IntegrityError, "receipt-malformed"):
        Receipt.decode(garbage)


@pytest.mark.parametrize(
    "changed",
    [
        replace(RECEIPT, entry=entry(68)),
        replace(RECEIPT, entry=ENTRY + b"\n"),
        replace(RECEIPT, index=68),
        replace(RECEIPT, index=70),
        replace(RECEIPT, index=2**62),
        replace(RECEIPT, proof=()),
        replace(RECEIPT, proof=RECEIPT.proof[1:]),
        replace(RECEIPT, proof=RECEIPT.proof[:-1]),
        replace(RECEIPT, proof=RECEIPT.proof[::-1]),
        replace(RECEIPT, proof=(*RECEIPT.proof, bytes(32))),
        replace(RECEIPT, proof=(bytes(32), *RECEIPT.proof)),
        replace(RECEIPT, proof=(bytes(32), *RECEIPT.proof[1:])),
    ],
)
def test_a_receipt_for_something_else_is_not_included(changed: Receipt) -> None:
    with refused(IntegrityError, "receipt-not-included"):
        Receipt.decode(changed.encode()).verify(KEY)


def test_a_receipt_under_a_later_checkpoint_of_another_tree_is_not_included() -> None:
    other_tree = sign_checkpoint(Checkpoint(KEY.name, 70, bytes(32)), KEY, SIGNER.sign)
    with refused(IntegrityError, "receipt-not-included"):
        replace(RECEIPT, checkpoint=other_tree).verify(KEY)


@pytest.mark.parametrize(
    "checkpoint",
    [
        "",
        "\n",
        RECEIPT.checkpoint[:-1],
        RECEIPT.checkpoint + "\n",
        "\n" + RECEIPT.checkpoint,
        RECEIPT.checkpoint.replace("\n70\n", "\n71\n"),
        RECEIPT.checkpoint.replace("\n", "\r\n"),
        RECEIPT.checkpoint.replace("jmsIj36A", "jmsIj36B"),
        *(vector["note"] for vector in SIGNED_NOTE["must_reject"]),
    ],
)
def test_a_receipt_without_a_signed_checkpoint_is_refused(checkpoint: str) -> None:
    with refused(IntegrityError, "receipt-checkpoint-invalid"):
        replace(RECEIPT, checkpoint=checkpoint).verify(KEY)


def test_a_receipt_of_another_ledger_is_refused() -> None:
    other = VerifierKey.named("other.example/log", KEY.public_key)
    with refused(IntegrityError, "receipt-checkpoint-invalid"):
        RECEIPT.verify(other)


PROOF_LINE = encode_base64(RECEIPT.proof[0]) + "\n"
EXTRA_LINE = f"extra {encode_base64(ENTRY)}\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        SIGNED_NOTE["tlog_proof"],
        TEXT[: TEXT.index("\n\n") + 1],
        TEXT.replace("@v1", "@v2"),
        TEXT.replace("c2sp.org", "C2SP.org"),
        "\n" + TEXT,
        "\ufeff" + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace(EXTRA_LINE, EXTRA_LINE * 2),
        TEXT.replace(EXTRA_LINE, "extra \n"),
        TEXT.replace(EXTRA_LINE, "extra\n"),
        TEXT.replace("extra ", "extra  "),
        TEXT.replace("extra ", "extra\t"),
        TEXT.replace("extra ", "Extra "),
        TEXT.replace(EXTRA_LINE, EXTRA_LINE[:-2] + "\n"),
        TEXT.replace(EXTRA_LINE, "").replace("index 69\n", f"index 69\n{EXTRA_LINE}"),
        TEXT.replace("index 69\n", ""),
        TEXT.replace("index 69", "index 069"),
        TEXT.replace("index 69", "index -69"),
        TEXT.replace("index 69", "index +69"),
        TEXT.replace("index 69", "index 69 "),
        TEXT.replace("index 69", "index  69"),
        TEXT.replace("index 69", "index \uff16\uff19"),
        TEXT.replace("index 69", "index"),
        TEXT.replace("index 69", "index "),
        TEXT.replace("index 69", f"index {2**63}"),
        TEXT.replace("index 69", f"index {2**63 - 1}"),
        TEXT.replace("index 69", "index " + "9" * 5000),
        TEXT.replace(PROOF_LINE, PROOF_LINE.replace("=", "")),
        TEXT.replace(PROOF_LINE, " " + PROOF_LINE),
        TEXT.replace(PROOF_LINE, "AAAA\n"),
        TEXT.replace(PROOF_LINE, PROOF_LINE[:-2] + "A==\n"),
        TEXT.replace(PROOF_LINE, PROOF_LINE * 64),
    ],
)
def test_receipts_in_another_form_are_refused(text: str) -> None:
    with refused(IntegrityError, "receipt-malformed"):
        Receipt.decode(text)


def test_a_blank_line_before_the_proof_makes_it_part_of_no_checkpoint() -> None:
    with refused(IntegrityError, "receipt-checkpoint-invalid"):
        Receipt.decode(TEXT.replace("index 69\n", "index 69\n\n")).verify(KEY)


def test_entries_of_impossible_length_have_no_receipt() -> None:
    longest = replace(RECEIPT, entry=bytes(65_535))
    assert Receipt.decode(longest.encode()) == longest
    for impossible in (b"", bytes(65_536)):
        with refused(IntegrityError, "receipt-malformed"):
            replace(RECEIPT, entry=impossible)

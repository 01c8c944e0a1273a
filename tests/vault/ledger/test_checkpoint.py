from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import RFC6962, SIGNED_NOTE, refused

from vault.errors import IntegrityError
from vault.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from vault.ledger.merkle import EMPTY_ROOT
from vault.ledger.note import VerifierKey, sign_note

GENERATED = SIGNED_NOTE["generated"]
NOTE: str = GENERATED["note"]
BODY = NOTE[: NOTE.index("\n\n") + 1]
KEY = VerifierKey.decode(GENERATED["vkey"])
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(GENERATED["seed_hex"]))
CHECKPOINT = Checkpoint(GENERATED["name"], 70, bytes.fromhex(RFC6962["roots_1_to_70"][69]))


def test_checkpoint_of_sumdb_is_made_and_opened() -> None:
    assert CHECKPOINT.body() == BODY
    assert sign_checkpoint(CHECKPOINT, KEY, SIGNER.sign) == NOTE
    assert open_checkpoint(NOTE, KEY) == open_checkpoint(NOTE.encode(), KEY) == CHECKPOINT


def test_cosigned_checkpoint_opens() -> None:
    assert open_checkpoint(SIGNED_NOTE["cosigned_checkpoint"], KEY) == CHECKPOINT


@pytest.mark.parametrize("vector", SIGNED_NOTE["must_reject"], ids=lambda vector: vector["name"])
def test_notes_that_must_be_rejected_are_no_checkpoints(vector: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        open_checkpoint(vector["note"], KEY)


@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_checkpoints_are_read_back(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(KEY.name, size, root)
    assert Checkpoint.parse(checkpoint.body()) == checkpoint
    assert open_checkpoint(sign_checkpoint(checkpoint, KEY, SIGNER.sign), KEY) == checkpoint


def test_the_empty_log_has_a_checkpoint() -> None:
    empty = Checkpoint(KEY.name, 0, EMPTY_ROOT)
    assert Checkpoint.parse(empty.body()) == empty


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n\n\n",
        BODY[:-1],
        BODY + "\n",
        BODY + "extension\n",
        BODY + "extension",
        BODY.replace("\n70", ""),
        BODY.replace("\n70\n", "\n\n70\n"),
        BODY.replace("\n", "\r\n"),
        BODY.replace("70", "070"),
        BODY.replace("70", "+70"),
        BODY.replace("70", "-70"),
        BODY.replace("70", "70 "),
        BODY.replace("70", "7_0"),
        BODY.replace("70", "\uff17\uff10"),
        BODY.replace("70", "0x46"),
        BODY.replace("70", "70.0"),
        BODY.replace("70", ""),
        BODY.replace("70", "0"),
        BODY.replace("70", str(2**63)),
        BODY.replace("70", "9" * 5000),
        BODY.replace("XF4k=", "XF4l="),
        BODY.replace("XF4k=", "XF4k"),
        BODY.replace("XF4k=", "XA=="),
        BODY.replace("XF4k=", "XF4kAAAA"),
        BODY.replace("N0B9N", "N0B9-"),
        BODY.replace("vault.example.lg.jp/audit", ""),
        BODY.replace("/audit", " audit"),
        BODY.replace("/audit", "+audit"),
        f"{KEY.name}\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
    ],
)
def test_checkpoints_in_another_form_are_refused_though_signed(body: str) -> None:
    with refused(IntegrityError, "checkpoint-malformed"):
        Checkpoint.parse(body)
    if body.endswith("\n") and "\r" not in body:
        with refused(IntegrityError, "checkpoint-malformed"):
            open_checkpoint(sign_note(body, KEY, SIGNER.sign), KEY)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 1, bytes(32)),
        ("a b", 1, bytes(32)),
        ("a\nb", 1, bytes(32)),
        ("a", -1, bytes(32)),
        ("a", 2**63, bytes(32)),
        ("a", 1, bytes(31)),
        ("a", 1, bytes(33)),
        ("a", 0, bytes(32)),
        ("a", 1, EMPTY_ROOT),
    ],
)
def test_heads_that_no_log_has_are_refused(origin: str, size: int, root: bytes) -> None:
    with refused(IntegrityError, "checkpoint-malformed"):
        Checkpoint(origin, size, root)


def test_a_log_neither_signs_nor_vouches_for_another_origin() -> None:
    foreign = Checkpoint("other.example/log", 70, CHECKPOINT.root)
    with refused(IntegrityError, "checkpoint-origin-differs"):
        sign_checkpoint(foreign, KEY, SIGNER.sign)
    with refused(IntegrityError, "checkpoint-origin-differs"):
        open_checkpoint(sign_note(foreign.body(), KEY, SIGNER.sign), KEY)


def test_a_checkpoint_of_another_log_is_not_signed_by_this_key() -> None:
    other = VerifierKey.named("other.example/log", KEY.public_key)
    with refused(IntegrityError, "note-unsigned"):
        open_checkpoint(NOTE, other)

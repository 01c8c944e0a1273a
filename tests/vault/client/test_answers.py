"""Receipts are believed only where they prove what was sent."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from ledger_vectors import refused

from vault.client.answers import Ledger, Sent, Taken
from vault.errors import IntegrityError
from vault.ledger.event import EventKind
from vault.ledger.note import VerifierKey
from vault.sealing.spooled import SpoolHeader

if TYPE_CHECKING:
    from tests.vault.client.conftest import City

RECORD, OTHER = "01932b0e-3c00-7abc-8def-0123456789ab", "01932b0e-3c00-7abc-8def-0123456789ac"
CONTENT, SALT = b"%PDF-1.7 one form", bytes(range(32))
DIGEST = hashlib.sha256(CONTENT).digest()
SENT = Sent(RECORD, "application_form", 7, DIGEST)
CHECK_SALT = "55" * 32
SPOOLED = SpoolHeader(
    id=RECORD,
    contract="nishinomiya",
    bucket="00" * 16,
    envelope="00" * 16,
    envelope_sealed="00" * 80,
    data_key="00" * 40,
    request="00" * 40,
    check_salt=CHECK_SALT,
    check=hashlib.sha256(bytes.fromhex(CHECK_SALT) + DIGEST).hexdigest(),
)


def body(**changed: object) -> dict[str, Any]:
    values: dict[str, Any] = {
        "record": RECORD,
        "class": "application_form",
        "contract": "nishinomiya",
        "sequence": 7,
        "commitment": hashlib.sha256(SALT + DIGEST).hexdigest(),
    }
    return values | changed


def answer(receipt: str, **changed: object) -> dict[str, Any]:
    values: dict[str, Any] = {
        "record": RECORD,
        "receipt": receipt,
        "digest": DIGEST.hex(),
        "salt": SALT.hex(),
        "compared": True,
    }
    return values | changed


def test_a_sound_answer_is_taken(city: "City") -> None:
    for _ in range(5):
        receipt = city.receipt(body())
        for sent in (SENT, replace(SENT, content=SPOOLED), replace(SENT, class_id=None, sequence=None)):
            taken = city.ledger.taken(answer(receipt), sent, is_new=True)
            assert isinstance(taken, Taken)
            assert taken.receipt.encode() == receipt
            assert (taken.is_new, taken.is_compared) == (True, True)
        assert taken.checkpoint.size == len(city.entries)


@pytest.mark.parametrize(
    ("member", "changed"),
    [
        ("record", {"record": OTHER}),
        ("class", {"class": "issuance_receipt"}),
        ("contract", {"contract": "amagasaki"}),
        ("sequence", {"sequence": 8}),
        ("sequence", {"sequence": None}),
        ("commitment", {"commitment": hashlib.sha256(DIGEST + SALT).hexdigest()}),
        ("commitment", {"commitment": None}),
        ("commitment", {"commitment": 7}),
    ],
)
def test_a_receipt_of_something_else_is_not_ours(city: "City", member: str, changed: dict[str, object]) -> None:
    with pytest.raises(IntegrityError) as caught:
        city.ledger.taken(answer(city.receipt(body(**changed))), SENT, is_new=True)
    assert caught.value.code == "receipt-not-ours"
    assert caught.value.facts["member"] == member


def test_a_receipt_of_another_station_or_another_event_is_not_ours(city: "City") -> None:
    for receipt in (
        city.receipt(body(), actor="station:counter-2"),
        city.receipt(body(), actor="person:1001"),
        city.receipt(body(), kind=EventKind.CONTENT_READ),
    ):
        with refused(IntegrityError, "receipt-not-ours"):
            city.ledger.taken(answer(receipt), SENT, is_new=True)


def test_a_receipt_of_another_ledger_or_forged_is_refused(city: "City") -> None:
    receipt = city.receipt(body())
    other_key = Ledger(
        VerifierKey.named("kura.test/other/nishinomiya", city.key.public_key), "nishinomiya", "counter-1"
    )
    with refused(IntegrityError, "receipt-checkpoint-invalid"):
        other_key.taken(answer(receipt), SENT, is_new=True)
    forger = type(city)()
    with refused(IntegrityError, "receipt-checkpoint-invalid"):
        city.ledger.taken(answer(forger.receipt(body())), SENT, is_new=True)
    city.receipt(body(sequence=8))
    moved = receipt.replace("index 0", "index 1")
    with refused(IntegrityError, "receipt-not-included"):
        city.ledger.taken(answer(moved), SENT, is_new=True)


def test_bytes_other_than_those_sent_are_not_ours(city: "City") -> None:
    other = hashlib.sha256(b"another form").digest()
    receipt = city.receipt(body(commitment=hashlib.sha256(SALT + other).hexdigest()))
    for sent in (SENT, replace(SENT, content=SPOOLED)):
        with pytest.raises(IntegrityError) as caught:
            city.ledger.taken(answer(receipt, digest=other.hex()), sent, is_new=True)
        assert caught.value.facts["member"] == "digest"


def test_a_salt_that_does_not_open_the_commitment_is_not_ours(city: "City") -> None:
    with refused(IntegrityError, "receipt-not-ours"):
        city.ledger.taken(answer(city.receipt(body()), salt="00" * 32), SENT, is_new=True)


def test_a_repeat_in_a_sealed_vault_is_taken_but_not_compared(city: "City") -> None:
    receipt = city.receipt(body())
    uncompared = answer(receipt, digest=None, salt=None, compared=False)
    taken = city.ledger.taken(uncompared, SENT, is_new=False)
    assert not taken.is_compared
    with refused(IntegrityError, "vault-answer-malformed"):
        city.ledger.taken(uncompared, SENT, is_new=True)


MALFORMED: list[Callable[[dict[str, Any]], object]] = [
    lambda values: values.pop("receipt"),
    lambda values: values.pop("compared"),
    lambda values: values.pop("salt"),
    lambda values: values.update(receipt=None),
    lambda values: values.update(receipt="not a receipt"),
    lambda values: values.update(digest=None),
    lambda values: values.update(digest=DIGEST.hex().upper()),
    lambda values: values.update(digest="xy" * 32),
    lambda values: values.update(salt=SALT.hex()[:-2]),
    lambda values: values.update(salt=7),
    lambda values: values.update(compared="yes"),
    lambda values: values.update(compared=None),
    lambda values: values.update(record=OTHER),
    lambda values: values.update(record=None),
]


@pytest.mark.parametrize("change", MALFORMED, ids=range(len(MALFORMED)))
def test_an_answer_in_another_form_is_never_taken(city: "City", change: Callable[[dict[str, Any]], object]) -> None:
    values = answer(city.receipt(body()))
    change(values)
    with pytest.raises(IntegrityError):
        city.ledger.taken(values, SENT, is_new=True)

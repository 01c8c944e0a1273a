"""Depositing over the narrow API, as a supplier's plain HTTP library does it."""

import hashlib

import pytest
import vaults
from narrow_api import PlainStation

from vault.ledger.receipt import Receipt
from vault.records.vault import Vault


def test_a_deposit_gives_a_receipt_that_proves_it(vault: Vault, counter: PlainStation) -> None:
    content = vaults.pdf(1)
    answer = counter.deposit(content, sequence=1)
    assert answer.status == 201, answer.body
    values = answer.json
    assert values["digest"] == hashlib.sha256(content).hexdigest()
    receipt = Receipt.decode(values["receipt"])
    receipt.verify(vault.ground.log_of(vaults.CONTRACT).key)
    commitment = hashlib.sha256(bytes.fromhex(values["salt"] + values["digest"])).hexdigest()
    assert commitment.encode() in receipt.entry


@pytest.mark.parametrize("size", [0, 3 << 20], ids=["as small as it is", "more than 1 MiB"])
def test_the_same_id_with_the_same_bytes_gives_the_same_receipt(counter: PlainStation, size: int) -> None:
    content, record_id = vaults.pdf(1, size), vaults.new_id()
    first = counter.deposit(content, record_id)
    again = counter.deposit(content, record_id)
    assert (first.status, again.status) == (201, 200), again.body
    assert again.json == first.json
    other = counter.deposit(content[:-1] + b" ", record_id)
    assert (other.status, other.code) == (409, "record-id-taken")

"""Batches: an outcome for each document in order; what is good shares a commit, what is bad stops nothing else."""

import hashlib
import json

import pytest
import stored
import vaults
from narrow_api import Answer, PlainStation, deposit_header
from wire import BATCH, PDF, batch_line

from vault.bootstrap import verify_vault
from vault.ledger.event import EventKind
from vault.ledger.receipt import Receipt
from vault.records.vault import Vault

TYPE = "application/vnd.kura.batch"


def send(station: PlainStation, *documents: bytes) -> Answer:
    return station.ask("POST", BATCH, b"".join(documents), content_type=TYPE)


def codes(answer: Answer) -> list[str | None]:
    assert answer.status == 200, answer.body
    return [result["problem"]["code"] if "problem" in result else None for result in answer.json["results"]]


@pytest.mark.both_worlds
def test_every_document_gets_its_own_receipt_in_order(vault: Vault, counter: PlainStation) -> None:
    ids, contents = [vaults.new_id() for _ in range(8)], [vaults.pdf(number) for number in range(8)]
    before = vault.ground.log_of(vaults.CONTRACT).size
    answer = send(counter, *(batch_line(c, id=i, sequence=n + 1) for n, (i, c) in enumerate(zip(ids, contents))))  # noqa: B905 - as many
    results = answer.json["results"]
    assert [result["record"] for result in results] == ids
    assert [result["digest"] for result in results] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert all(result["new"] and result["compared"] for result in results)
    receipts = [Receipt.decode(result["receipt"]) for result in results]
    key = vault.ground.log_of(vaults.CONTRACT).key
    checkpoints = {receipt.verify(key) for receipt in receipts}
    assert len(checkpoints) == 1  # one commit
    assert vault.ground.log_of(vaults.CONTRACT).size == before + 8
    assert [receipt.index for receipt in receipts] == list(range(before, before + 8))


@pytest.mark.both_worlds
def test_one_that_is_bad_has_its_own_problem_and_stops_no_other(vault: Vault, counter: PlainStation) -> None:
    taken = vaults.new_id()
    assert counter.deposit(PDF, taken, sequence=9).status == 201
    before = vault.ground.log_of(vaults.CONTRACT).size
    answer = send(
        counter,
        batch_line(PDF),
        batch_line(PDF, id="../x"),
        batch_line(PDF, id=None),
        batch_line(PDF, **{"class": "call_recording", "subject_key": None}),
        batch_line(PDF, retain="P99Y"),
        batch_line(PDF, sha256=hashlib.sha256(b"").hexdigest()),
        batch_line(PDF, sha256="x"),
        batch_line(PDF[:900]),
        batch_line(b"no form"),
        batch_line(vaults.pdf(2), id=taken),
        batch_line(PDF, sequence=9),
        batch_line(PDF, sha256=hashlib.sha256(PDF).hexdigest()),
    )
    assert codes(answer) == [
        None,
        "record-id-malformed",
        "record-id-malformed",
        "not-allowed",
        "deposit-header-malformed",
        "digest-not-as-announced",
        "content-digest-malformed",
        "pdf-malformed",
        "media-type-refused",
        "record-id-taken",
        "sequence-taken",
        None,
    ]
    for result in answer.json["results"]:
        if "problem" in result:
            problem = result["problem"]
            assert problem["type"] == f"urn:kura:problem:{problem['code']}"
            assert 400 <= problem["status"] < 500
    assert vault.ground.log_of(vaults.CONTRACT).size == before + 2
    assert len(stored.rows(vault, "SELECT id FROM records")) == 3
    assert len(stored.objects(vault)) == 3


@pytest.mark.both_worlds
def test_the_same_batch_again_gives_the_same_receipts(vault: Vault, counter: PlainStation) -> None:
    documents = [batch_line(vaults.pdf(number), sequence=number + 1) for number in range(4)]
    first = send(counter, *documents).json["results"]
    before = stored.everything(vault)
    again = send(counter, *documents).json["results"]
    assert again == [result | {"new": False} for result in first]
    assert stored.everything(vault) == before


def test_a_document_twice_in_one_batch_is_one_record(vault: Vault, counter: PlainStation) -> None:
    record_id = vaults.new_id()
    same, other = batch_line(PDF, id=record_id), batch_line(vaults.pdf(2), id=record_id)
    answer = send(counter, same, same, other)
    assert codes(answer) == [None, None, "record-id-taken"]
    first, second, _ = answer.json["results"]
    assert second == first | {"new": False}
    assert len(stored.objects(vault)) == 1


@pytest.mark.both_worlds
@pytest.mark.parametrize("is_sealed", [False, True], ids=["open", "sealed"])
def test_two_hundred_and_fifty_six_are_taken_at_once(vault: Vault, counter: PlainStation, *, is_sealed: bool) -> None:
    if is_sealed:
        vault.seal()
    answer = send(counter, *(batch_line(PDF, sequence=number + 1) for number in range(256)))
    assert codes(answer) == [None] * 256
    assert counter.ask("GET", "/v1/health").json["newest"] == 256
    kinds = [event.kind for event in stored.events(vault, vault.ground.log_of(vaults.CONTRACT).id)]
    assert kinds.count(EventKind.DEPOSIT_ACCEPTED) == 256
    if is_sealed:
        vault.unseal(vaults.custodian())
    vault.publish()
    vault.close()
    assert verify_vault(vault.folder, vaults.custodian()).findings == []


def test_what_is_wrong_in_the_middle_takes_nothing_of_the_batch(vault: Vault, counter: PlainStation) -> None:
    before = stored.everything(vault)
    answer = send(counter, batch_line(PDF), batch_line(PDF), b"{}\n")
    assert (answer.status, answer.code) == (400, "batch-malformed")
    assert "3" not in answer.json["title"].split("document ")[0]
    assert stored.everything(vault) == before


def test_a_batch_may_come_in_chunks(counter: PlainStation) -> None:
    documents = [batch_line(vaults.pdf(number)) for number in range(3)]
    answer = counter.ask("POST", BATCH, iter(documents), content_type=f"{TYPE}; note=1")
    assert codes(answer) == [None] * 3


def test_chunks_of_more_than_a_batch_are_refused(vault: Vault, counter: PlainStation) -> None:
    before = stored.everything(vault)
    answer = counter.ask("POST", BATCH, (bytes(1 << 20) for _ in range(33)), content_type=TYPE)
    assert (answer.status, answer.code) == (413, "request-too-large")
    assert stored.everything(vault) == before


def test_a_line_of_a_batch_says_what_the_header_says() -> None:
    line = json.loads(batch_line(b"", id="x").splitlines()[0])
    del line["id"], line["content_bytes"]
    assert deposit_header(**line) == deposit_header()

"""Depositing: the whole journey, repeated ids, batches, two at once, two copies, and what a sealed vault takes."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path

import crash_load
import engines
import pytest
import stored
import vaults
from crash_load import BytesSource
from ledger_vectors import refused

from vault.bootstrap import now_utc, open_vault
from vault.errors import ConflictError, KuraError, NotFoundError, RefusedError, UnavailableError
from vault.ledger.event import EventKind, decode_entry
from vault.ledger.receipt import Receipt
from vault.people.persons import NewPerson
from vault.people.purpose import ViewPurpose
from vault.records.deposit_event import commitment_of
from vault.records.deposited import Deposited
from vault.records.prepare import Prepared
from vault.records.reading import Purpose
from vault.records.request import DepositRequest
from vault.records.search import Query
from vault.records.vault import Vault

pytestmark = pytest.mark.in_buckets


def sound(number: int = 0) -> bytes:
    return crash_load.sound(number, 400 + number)


def call(**overrides: object) -> DepositRequest:
    return vaults.request(**{"class_id": "call_recording", "file_name": None} | overrides)


def clip(**overrides: object) -> DepositRequest:
    return call(**{"class_id": "surveillance_video", "subject_key": None} | overrides)


def deposit(vault: Vault, request: DepositRequest, content: bytes, actor: str = vaults.MANAGER) -> Deposited:
    return vault.deposits.deposit(vault.actor(actor), vaults.CONTRACT, request, BytesSource(content))


def prepare(vault: Vault, request: DepositRequest, content: bytes) -> Prepared:
    actor = vault.actor(vaults.MANAGER)
    prepared = vault.deposits.prepare(actor, vaults.CONTRACT, request, BytesSource(content))
    assert isinstance(prepared, Prepared)
    return prepared


def content_of(vault: Vault, record_id: str) -> bytes:
    return crash_load.read(vault, vault.actor(vaults.MANAGER), record_id)


@pytest.mark.both_worlds
@pytest.mark.parametrize("size", [2_000, 3 << 20])
def test_a_form_goes_through_the_whole_vault_and_comes_back_byte_for_byte(
    shared: Vault, tmp_path: Path, size: int
) -> None:
    content, request = vaults.pdf(size, size), vaults.request()
    operator = shared.actor(vaults.OPERATOR)
    source = vaults.source(content, tmp_path)
    done = shared.deposits.deposit(operator, vaults.CONTRACT, request, source)
    assert (done.record_id, done.digest, done.is_new, done.is_compared) == (
        request.id,
        hashlib.sha256(content).digest(),
        True,
        True,
    )
    receipt = Receipt.decode(done.receipt.encode())
    receipt.verify(shared.ground.log_of(vaults.CONTRACT).key)
    event = decode_entry(receipt.entry).event
    assert (event.kind, event.actor) == (EventKind.DEPOSIT_ACCEPTED, "person:1001")
    assert done.salt is not None
    assert event.body["commitment"] == commitment_of(done.salt, hashlib.sha256(content).digest())
    reading = shared.readings.read(operator, vaults.CONTRACT, request.id, Purpose(ViewPurpose.CASE_PROCESSING))
    assert b"".join(map(bytes, reading.parts())) == content
    assert reading.metadata.fields == {"subject_key": "NIS-00001", "file_name": "form.pdf"}


def test_nothing_that_may_point_to_a_citizen_is_in_the_clear(vault: Vault) -> None:
    marker = "兵庫太郎-47110815"
    deposit(vault, call(subject_key=marker, file_name=f"{marker}.wav"), sound() + marker.encode())
    vault.searches.search(vault.actor(vaults.MANAGER), vaults.CONTRACT, Query(subject_key=marker))
    content_of(vault, stored.rows(vault, "SELECT id FROM records")[0][0])
    vault.close()
    for path in vault.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert marker.encode() not in data, path
            assert b"47110815" not in data, path
            assert "問合せ".encode() not in data, path


@pytest.mark.both_worlds
def test_the_same_id_and_bytes_give_the_same_receipt_and_store_nothing(shared: Vault) -> None:
    request, content = call(), sound()
    first = deposit(shared, request, content)
    before = stored.everything(shared)
    again = deposit(shared, request, content)
    assert (again.is_new, again.is_compared, again.salt, again.digest) == (False, True, first.salt, first.digest)
    assert again.receipt.encode() == first.receipt.encode()
    assert shared.deposits.receipt(vaults.CONTRACT, request.id).encode() == first.receipt.encode()
    assert stored.everything(shared) == before


OTHER = {
    "bytes": lambda request: (request, sound(9), vaults.MANAGER),
    "class": lambda request: (clip(id=request.id), crash_load.video(1, 99), vaults.MANAGER),
    "subject key": lambda request: (call(id=request.id, subject_key="NIS-00002"), sound(), vaults.MANAGER),
    "file name": lambda request: (call(id=request.id, file_name="other.wav"), sound(), vaults.MANAGER),
}


@pytest.mark.both_worlds
@pytest.mark.parametrize("other", OTHER.values(), ids=OTHER)
def test_the_same_id_with_anything_else_is_a_conflict_and_stores_nothing(shared: Vault, other: object) -> None:
    request = call()
    deposit(shared, request, sound())
    before = stored.everything(shared)
    with refused(ConflictError, "record-id-taken"):
        deposit(shared, *other(request))  # type: ignore[operator]  # one of the lambdas above
    assert stored.everything(shared) == before


def test_another_depositor_cannot_learn_a_receipt_by_its_id(vault: Vault) -> None:
    request, content = vaults.request(subject_key="NIS-7"), vaults.pdf(3)
    deposit(vault, request, content, vaults.OPERATOR)
    vault.add_person(vault.actor(vaults.ADMIN), vaults.CONTRACT, NewPerson.parse("1002:別人:scan_operator"))
    before = stored.everything(vault)
    with refused(ConflictError, "record-id-taken"):
        deposit(vault, request, content, "1002")
    assert stored.everything(vault) == before


@pytest.mark.both_worlds
def test_a_batch_gives_a_receipt_or_an_error_each(vault: Vault) -> None:
    taken = call()
    deposit(vault, taken, sound())
    good = [prepare(vault, call(), sound(number)) for number in range(3)]
    twice = call()
    first, second = prepare(vault, twice, sound(5)), prepare(vault, twice, sound(6))
    before = stored.everything(vault)[1]
    outcomes = vault.deposits.commit([good[0], first, second, *good[1:]])
    assert [outcome.code if isinstance(outcome, KuraError) else outcome.is_new for outcome in outcomes] == [
        True,
        True,
        "record-id-taken",
        True,
        True,
    ]
    gone = {f"a/{second.content.name[:2]}/{second.content.name}"}
    assert before - stored.objects(vault) == (set() if engines.is_engines() else gone)  # in an engine it is locked
    done = [outcome for outcome in outcomes if isinstance(outcome, Deposited)]
    assert len({outcome.receipt.checkpoint for outcome in done}) == 1
    for outcome in done:
        outcome.receipt.verify(vault.ground.log_of(vaults.CONTRACT).key)
    assert content_of(vault, twice.id) == sound(5)


@pytest.mark.both_worlds
def test_a_batch_repeating_one_record_gives_the_same_receipt_twice(vault: Vault) -> None:
    request = call()
    both = [prepare(vault, request, sound()) for _ in range(2)]
    first, second = vault.deposits.commit(both)
    assert isinstance(first, Deposited)
    assert isinstance(second, Deposited)
    assert (first.is_new, second.is_new) == (True, False)
    assert first.receipt.encode() == second.receipt.encode()
    assert len(stored.objects(vault)) == 1


@pytest.mark.both_worlds
def test_a_batch_that_cannot_be_committed_leaves_no_objects(vault: Vault) -> None:
    prepared = [prepare(vault, call(), sound(number)) for number in range(3)]
    stored.change(vault, "UPDATE buckets SET state = 'closed'")
    outcomes = vault.deposits.commit(prepared)
    assert [outcome.code for outcome in outcomes if isinstance(outcome, KuraError)] == ["bucket-closed"] * 3
    assert stored.objects(vault) == set()


@pytest.mark.both_worlds
@pytest.mark.parametrize("same_bytes", [True, False])
def test_of_two_deposits_of_one_id_at_once_one_is_taken(vault: Vault, *, same_bytes: bool) -> None:
    request, start = call(), threading.Barrier(2)

    def work(number: int) -> Deposited | KuraError:
        source = BytesSource(sound(0 if same_bytes else number))
        prepared = vault.deposits.prepare(vault.actor(vaults.MANAGER), vaults.CONTRACT, request, source)
        assert isinstance(prepared, Prepared)
        start.wait()
        return vault.deposits.commit([prepared])[0]

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(work, range(2)))
    done = [outcome for outcome in outcomes if isinstance(outcome, Deposited)]
    failed = [outcome.code for outcome in outcomes if isinstance(outcome, KuraError)]
    assert sum(outcome.is_new for outcome in done) == 1
    assert (len(done), failed) == ((2, []) if same_bytes else (1, ["record-id-taken"]))
    assert len({outcome.receipt.encode() for outcome in done}) == 1
    assert len(stored.objects(vault)) == 1
    assert len(stored.events(vault, vaults.CONTRACT, EventKind.DEPOSIT_ACCEPTED)) == 1


@pytest.mark.both_worlds
def test_a_class_with_two_copies_stands_in_both_stores(vault: Vault) -> None:
    deposit(vault, clip(), crash_load.video(1, 5_000))
    deposit(vault, call(), sound())
    [[name]] = stored.rows(vault, "SELECT name FROM objects WHERE copies = 2")
    [[single]] = stored.rows(vault, "SELECT name FROM objects WHERE copies = 1")
    assert stored.objects(vault) == {f"{s}/{name[:2]}/{name}" for s in "ab"} | {f"a/{single[:2]}/{single}"}
    assert stored.content(vault, 0, name) == stored.content(vault, 1, name)


@pytest.mark.both_worlds
def test_a_sealed_vault_takes_and_says_that_it_did_not_compare(vault: Vault) -> None:
    vault.seal()
    request = call()
    first = deposit(vault, request, sound())
    first.receipt.verify(vault.ground.log_of(vaults.CONTRACT).key)
    assert stored.rows(vault, "SELECT is_indexed FROM records") == [(0,)]
    again = deposit(vault, request, sound(8))
    assert (again.is_new, again.is_compared, again.salt, again.digest) == (False, False, None, None)
    assert again.receipt.encode() == first.receipt.encode()
    assert len(stored.objects(vault)) == 1


def test_a_sealed_vault_refuses_what_has_no_bucket_yet(vault: Vault) -> None:
    vault.seal()
    before = stored.everything(vault)
    with refused(UnavailableError, "bucket-not-ready"):
        deposit(vault, call(ended_at=now_utc() - timedelta(days=40)), sound())
    assert stored.everything(vault) == before
    vault.unseal(vaults.custodian())
    assert deposit(vault, call(ended_at=now_utc() - timedelta(days=40)), sound()).is_new


def test_buckets_are_made_ahead_for_every_class(vault: Vault) -> None:
    start = now_utc()
    vault.seal()
    for days in (0, 1, 17, 35):
        vault.ground.clock = partial(start.__add__, timedelta(days=days))
        assert deposit(vault, call(ended_at=start + timedelta(days=days)), sound(days)).is_new
        assert deposit(vault, vaults.request(ended_at=vault.ground.clock()), vaults.pdf(days), vaults.OPERATOR).is_new


@pytest.mark.both_worlds
def test_a_guard_that_fails_leaves_the_objects_of_what_may_be_committed(vault: Vault, tmp_path: Path) -> None:
    """The rows are durable when the guard fails: the depositor is told no, retries after a restart, and finds it."""
    request = call()
    vault.close()
    guard = tmp_path / "vault.epoch" / "guard-nishinomiya"
    vault = open_vault(vault.folder, vaults.custodian())
    vault._guard.close()  # noqa: SLF001 - so that the file is opened again
    whole = guard.read_bytes()
    guard.unlink()
    with refused(UnavailableError, "guard-unwritable"):
        deposit(vault, request, sound())
    assert len(stored.objects(vault)) == 1
    guard.write_bytes(whole)
    vault = vaults.reopen(vault)
    assert content_of(vault, request.id) == sound()
    assert deposit(vault, request, sound()).is_new is False
    vault.close()


@pytest.mark.both_worlds
def test_a_receipt_of_an_unknown_record_is_not_found(shared: Vault) -> None:
    with refused(NotFoundError, "record-unknown"):
        shared.deposits.receipt(vaults.CONTRACT, vaults.new_id())
    with refused(NotFoundError, "record-unknown"):
        shared.deposits.receipt("elsewhere", deposit(shared, call(), sound()).record_id)


def test_a_bucket_row_altered_in_the_database_gets_no_data_key(vault: Vault) -> None:
    """A public half that the vault did not sign: whoever put it there would open all that is sealed to it."""
    vault = vaults.reopen(vault)
    stored.change(vault, "UPDATE buckets SET public_key = :key WHERE class_id = 'call_recording'", key=bytes(32))
    before = stored.everything(vault)
    with pytest.raises(KuraError) as caught:
        deposit(vault, call(), sound())
    assert caught.value.code == "bucket-not-vouched-for"
    assert stored.everything(vault) == before
    vault.close()


def test_damaged_media_of_a_class_that_quarantines_is_taken_and_flagged(vault: Vault) -> None:
    request = call()
    content = sound()[:-100]
    deposit(vault, request, content)
    assert stored.rows(vault, "SELECT status FROM records") == [("quarantined",)]
    [event] = stored.events(vault, vaults.CONTRACT, EventKind.DEPOSIT_ACCEPTED)
    assert event.body["status"] == "quarantined"
    reading = vault.readings.read(
        vault.actor(vaults.MANAGER), vaults.CONTRACT, request.id, Purpose(ViewPurpose.COMPLAINT)
    )
    assert b"".join(map(bytes, reading.parts())) == content
    assert reading.metadata.flaw == "wav-malformed"
    with refused(RefusedError, "pdf-malformed"):
        deposit(vault, vaults.request(), vaults.pdf()[:-900], vaults.OPERATOR)

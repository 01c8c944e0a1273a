"""Spools: what a station sealed to a bucket while the vault could not be reached arrives as the record it is."""

import hashlib
import io
import json
from datetime import timedelta
from typing import Any

import pytest
import stored
import vaults
from narrow_api import FORM, Answer, Api, PlainStation
from wire import PDF

from retention.periods import JST
from vault.bootstrap import verify_vault
from vault.people.persons import NewPerson
from vault.people.purpose import ViewPurpose
from vault.records.reading import Purpose
from vault.records.vault import Vault
from vault.sealing.spooled import MEDIA_TYPE, SpoolBucket, SpoolWriter

LARGE = vaults.large_pdf()


def bucket_for(station: PlainStation, class_id: str, day: str) -> SpoolBucket:
    buckets: list[dict[str, Any]] = station.ask("GET", "/v1/buckets").json["buckets"]
    [one] = [b for b in buckets if b["class"] == class_id and b["first_day"] <= day <= b["last_day"]]
    return SpoolBucket(vaults.CONTRACT, one["bucket"], bytes.fromhex(one["public_key"]))


def spool(bucket: SpoolBucket, content: bytes, record_id: str, **members: object) -> bytes:
    said: dict[str, Any] = {name: value for name, value in (FORM | members).items() if value is not None}
    writer = SpoolWriter(bucket, record_id, said, hashlib.sha256(content).digest())
    return b"".join(map(bytes, writer.parts(io.BytesIO(content).readinto)))


def deliver(station: PlainStation, record_id: str, sealed: bytes, **fields: str) -> Answer:
    return station.ask("PUT", f"/v1/deposits/{record_id}", sealed, content_type=MEDIA_TYPE, **fields)


@pytest.fixture
def today(vault: Vault) -> str:
    """A time of today, and the members that say so."""
    return vault.ground.clock().isoformat()


@pytest.fixture
def bucket(vault: Vault, counter: PlainStation) -> SpoolBucket:
    return bucket_for(counter, "application_form", f"{vault.ground.clock():%Y-%m-%d}")


@pytest.mark.both_worlds
@pytest.mark.parametrize("content", [PDF, LARGE], ids=["small", "large"])
def test_a_spool_becomes_the_record_that_it_would_have_been(
    vault: Vault, counter: PlainStation, bucket: SpoolBucket, content: bytes, today: str
) -> None:
    direct, spooled = vaults.new_id(), vaults.new_id()
    members = {"ended_at": today, "file_name": "form.pdf", "title_code": "A-01", "site": "main_office"}
    assert counter.deposit(content, direct, sequence=1, **members).status == 201
    answer = deliver(counter, spooled, spool(bucket, content, spooled, sequence=2, **members))
    assert answer.status == 201, answer.body
    assert answer.json["digest"] == hashlib.sha256(content).hexdigest()
    columns = "class_id, station, started_at, ended_at, trigger_date, site, title_code, bucket_id, is_indexed, status"
    [one] = stored.rows(vault, f"SELECT {columns} FROM records WHERE id = :id", id=direct)  # noqa: S608 - above
    [two] = stored.rows(vault, f"SELECT {columns} FROM records WHERE id = :id", id=spooled)  # noqa: S608 - above
    assert one == two
    reading = vault.readings.read(
        vault.actor(vaults.OPERATOR), vaults.CONTRACT, spooled, Purpose(ViewPurpose.CASE_PROCESSING)
    )
    assert b"".join(map(bytes, reading.parts())) == content
    vault.publish()
    vault.close()
    assert verify_vault(vault.folder, vaults.custodian()).findings == []


@pytest.mark.both_worlds
def test_a_spool_again_gives_the_same_receipt_and_so_does_the_record_itself(
    vault: Vault, counter: PlainStation, bucket: SpoolBucket, today: str
) -> None:
    record_id = vaults.new_id()
    sealed = spool(bucket, PDF, record_id, ended_at=today, sequence=5)
    first = deliver(counter, record_id, sealed)
    before = stored.everything(vault)
    for again in (
        deliver(counter, record_id, sealed),
        deliver(counter, record_id, spool(bucket, PDF, record_id, ended_at=today, sequence=5)),
        counter.deposit(PDF, record_id, ended_at=today, sequence=5),
    ):
        assert (again.status, again.json) == (200, first.json)
    other = deliver(counter, record_id, spool(bucket, vaults.pdf(2), record_id, ended_at=today))
    assert (other.status, other.code) == (409, "record-id-taken")
    assert stored.everything(vault) == before


@pytest.mark.both_worlds
def test_a_spool_waits_until_the_vault_is_open(
    vault: Vault, counter: PlainStation, bucket: SpoolBucket, today: str
) -> None:
    record_id = vaults.new_id()
    sealed = spool(bucket, LARGE, record_id, ended_at=today)
    vault.seal()
    before = stored.everything(vault)
    answer = deliver(counter, record_id, sealed)
    assert (answer.status, answer.code) == (503, "vault-sealed")
    assert int(answer.headers["retry-after"]) > 0
    assert stored.everything(vault) == before
    assert counter.ask("GET", "/v1/buckets").status == 200
    vault.unseal(vaults.custodian())
    assert deliver(counter, record_id, sealed).status == 201


def test_every_altered_part_of_a_spool_is_found_out(
    vault: Vault, counter: PlainStation, bucket: SpoolBucket, today: str
) -> None:
    record_id = vaults.new_id()
    sealed = spool(bucket, LARGE, record_id, ended_at=today)
    begin = sealed.index(b"}\n") + 2
    before = stored.everything(vault)
    for position in (0, 5, begin - 9, begin, begin + 39, begin + 40, begin + 1_500_000, len(sealed) - 1):
        altered = bytearray(sealed)
        altered[position] ^= 1
        answer = deliver(counter, record_id, bytes(altered))
        assert answer.status in (400, 404, 422)
        assert answer.code in ("spool-malformed", "spool-altered", "spool-content-differs", "spool-bucket-unknown")
    header = json.loads(sealed[sealed.index(b"\n") : begin])
    for name, value in header.items():
        altered_header = header | {name: ("0" if value[-1] != "0" else "1").join([value[:-1], ""])}
        text = json.dumps(altered_header, sort_keys=True, separators=(",", ":")).encode()
        answer = deliver(counter, record_id, b"kura-spool/v1\n" + text + b"\n" + sealed[begin:])
        assert answer.status in (404, 422), name
    for other in (sealed[:-1], sealed + b"\0", sealed[: len(sealed) // 2], sealed[:begin], sealed[:40], sealed * 2):
        answer = deliver(counter, record_id, other)
        assert (answer.status, answer.code[:6]) == (422, "spool-")
    assert stored.everything(vault) == before
    assert deliver(counter, record_id, sealed).status == 201


def test_a_spool_is_of_its_own_record_class_bucket_and_contract(
    api: Api, vault: Vault, counter: PlainStation, bucket: SpoolBucket, today: str
) -> None:
    record_id, other_id = vaults.new_id(), vaults.new_id()
    sealed = spool(bucket, PDF, record_id, ended_at=today)
    policy = vaults.policy_text().replace('"nishinomiya"', '"elsewhere"')
    vault.open_contract(policy, [NewPerson.parse("1:名前:worker")])
    elsewhere = api.station("counter-9", contract="elsewhere")
    unknown = SpoolBucket(bucket.contract, "0" * 32, bucket.public_key)
    claimed = SpoolBucket("elsewhere", bucket.id, bucket.public_key)
    before = stored.everything(vault)
    refusals = {
        "other id": (counter, other_id, sealed, 422, "spool-altered"),
        "other contract": (elsewhere, record_id, sealed, 422, "spool-altered"),
        "bucket of another contract": (
            elsewhere, record_id, spool(claimed, PDF, record_id, ended_at=today), 404, "spool-bucket-unknown"
        ),
        "unknown bucket": (
            counter, record_id, spool(unknown, PDF, record_id, ended_at=today), 404, "spool-bucket-unknown"
        ),
        "other class": (
            counter,
            record_id,
            spool(bucket, PDF, record_id, ended_at=today, **{"class": "issuance_receipt"}),
            422,
            "spool-altered",
        ),
        "unknown member": (
            counter, record_id, spool(bucket, PDF, record_id, ended_at=today, x=1), 400, "deposit-header-malformed"
        ),
        "no form": (
            counter, record_id, spool(bucket, b"no form", record_id, ended_at=today), 415, "media-type-refused"
        ),
    }  # fmt: skip
    for name, (station, sent_as, content, status, code) in refusals.items():
        answer = deliver(station, sent_as, content)
        assert (name, answer.status, answer.code) == (name, status, code)
    assert stored.everything(vault) == before


def test_a_spool_to_a_bucket_that_was_destroyed_is_refused(
    vault: Vault, counter: PlainStation, bucket: SpoolBucket, today: str
) -> None:
    record_id = vaults.new_id()
    sealed = spool(bucket, PDF, record_id, ended_at=today)
    stored.change(vault, "UPDATE buckets SET state = 'destroyed' WHERE id = :id", id=bucket.id)
    before = stored.everything(vault)
    answer = deliver(counter, record_id, sealed)
    assert (answer.status, answer.code) == (404, "spool-bucket-unknown")
    assert stored.everything(vault) == before


@pytest.mark.both_worlds
def test_buckets_are_those_of_the_classes_that_a_station_deposits(api: Api, vault: Vault) -> None:
    yesterday = f"{vault.ground.clock().astimezone(JST) - timedelta(days=1):%Y-%m-%d}"
    classes = {}
    for kind in ("counter", "scanner", "recorder", "exchange"):
        buckets = api.station(f"{kind}-1", kind).ask("GET", "/v1/buckets").json["buckets"]
        classes[kind] = {one["class"] for one in buckets}
        assert all(one["last_day"] >= yesterday for one in buckets)
    assert classes["exchange"] == {"call_recording", "call_detail_record"}
    assert classes["recorder"] == {"surveillance_video", "entry_log", "recorder_journal"}
    assert "application_form" in classes["counter"] & classes["scanner"]
    assert "audit_trail" not in set().union(*classes.values())


def test_the_digest_of_a_spool_is_compared(
    vault: Vault, counter: PlainStation, bucket: SpoolBucket, today: str
) -> None:
    record_id = vaults.new_id()
    sealed = spool(bucket, LARGE, record_id, ended_at=today)
    before = stored.everything(vault)
    answer = deliver(counter, record_id, sealed, content_digest="sha-256=:" + "A" * 43 + "=:")
    assert (answer.status, answer.code) == (422, "digest-not-as-announced")
    assert stored.everything(vault) == before

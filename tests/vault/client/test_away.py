"""A station whose vault is away: what it keeps, under what it keeps it, and what it refuses to do."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from ledger_vectors import refused

from vault.client import Deposit, Spooled, Station
from vault.client.buckets import bucket_for, keep_buckets
from vault.client.state import State
from vault.errors import IntegrityError, RefusedError, UnavailableError
from vault.sealing.spooled import SpoolReader

PRIVATE = X25519PrivateKey.generate()
RECEIVED = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)  # the 22nd in Japan
FORM = Deposit(class_id="application_form", ended_at=RECEIVED, subject_key="NIS-00001", file_name="申込書.pdf")
CONTENT = random.Random(1).randbytes(3_000_000)


pytestmark = pytest.mark.usefixtures("pauses")


def answered(first: str = "2026-11-22", last: str = "2026-11-22", class_id: str = "application_form") -> bytes:
    public_key = PRIVATE.public_key().public_bytes_raw().hex()
    bucket = {"class": class_id, "first_day": first, "last_day": last, "bucket": "0f" * 16, "public_key": public_key}
    return json.dumps({"buckets": [bucket]}).encode()


@pytest.fixture
def ready_path(station_path: Path) -> Path:
    """A station that has fetched its buckets before the vault went away."""
    (station_path / "state").mkdir()
    state = State(station_path / "state" / "station.db")
    keep_buckets(state, answered(), RECEIVED)
    state.close()
    return station_path


def files_below(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def opened(path: Path) -> tuple[dict[str, object], bytes]:
    with path.open("rb") as file:
        reader = SpoolReader(file.readinto)
        request = json.loads(reader.open(PRIVATE))
        buffer = memoryview(bytearray(4_000_000))
        content = bytes(buffer[: reader.read_into(buffer)])
        reader.finish()
        return request, content


def test_a_record_is_sealed_and_opens_with_the_buckets_private_half_only(ready_path: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    with Station(ready_path) as station:
        contents: list[bytes | Path] = [CONTENT, source]
        for number, content in enumerate(contents, 1):
            done = station.deposit(content, FORM)
            assert isinstance(done, Spooled)
            assert done.sequence == number
            request, plain = opened(ready_path / "state" / "spool" / f"{done.record_id}.spool")
            assert request == FORM.members(number)
            assert plain == CONTENT
        assert (station.numbers().spooled, station.numbers().newest) == (2, 2)


def test_no_plaintext_is_on_the_disk(ready_path: Path) -> None:
    with Station(ready_path) as station:
        station.deposit(CONTENT, FORM, key="scan-1")
    digest = hashlib.sha256(CONTENT).digest()
    secrets = [
        CONTENT[:16],
        CONTENT[1_500_000:1_500_016],
        "申込書".encode(),
        b"NIS-00001",
        digest,
        digest.hex().encode(),
    ]
    for name, data in files_below(ready_path).items():
        for secret in secrets:
            assert secret not in data, name
            assert secret.decode("utf-8", "replace") not in name


def test_the_same_key_after_a_restart_is_the_same_spool(ready_path: Path) -> None:
    with Station(ready_path) as station:
        first = station.deposit(CONTENT, FORM, key="scan-1")
    with Station(ready_path) as station:
        assert station.deposit(CONTENT, FORM, key="scan-1") == first
        with refused(RefusedError, "spool-content-differs"):
            station.deposit(b"other bytes", FORM, key="scan-1")
    assert len(list((ready_path / "state" / "spool").glob("*.spool"))) == 1


def test_many_records_are_sealed_each_for_itself(ready_path: Path) -> None:
    contents = [CONTENT[:size] for size in (0, 1, 5_000, 3_000_000)] + [CONTENT * 2]
    with Station(ready_path) as station:
        results = station.deposit_many([(content, FORM) for content in contents])
    spools = [result.record_id for result in results if isinstance(result, Spooled)]
    assert [opened(ready_path / "state" / "spool" / f"{name}.spool")[1] for name in spools[:4]] == contents[:4]
    assert len(spools) == 5


@pytest.mark.parametrize(
    "deposit",
    [
        Deposit(class_id="call_recording", ended_at=RECEIVED),
        Deposit(class_id="application_form", ended_at=RECEIVED + timedelta(days=1)),
        Deposit(class_id="application_form", ended_at=RECEIVED - timedelta(hours=1)),
    ],
    ids=["class", "day after", "day before in Japan"],
)
def test_without_a_bucket_the_caller_is_told_and_nothing_is_kept(ready_path: Path, deposit: Deposit) -> None:
    with Station(ready_path) as station:
        with refused(UnavailableError, "spool-bucket-missing"):
            station.deposit(CONTENT, deposit)
        assert (station.numbers().open, station.numbers().spooled) == (1, 0)
    assert not list((ready_path / "state" / "spool").glob("*.spool*"))


def test_sending_without_a_spool_says_that_the_vault_is_away(ready_path: Path) -> None:
    with Station(ready_path) as station, refused(UnavailableError, "vault-unreachable"):
        station.send(CONTENT, FORM)
    assert not list((ready_path / "state" / "spool").glob("*.spool*"))


def test_the_spool_waits_while_the_vault_is_away(ready_path: Path) -> None:
    with Station(ready_path) as station:
        station.deposit(CONTENT, FORM)
        delivery = station.send_spooled()
        assert (delivery.taken, delivery.refused, delivery.waiting) == ([], [], 1)
        with refused(UnavailableError, "vault-unreachable"):
            station.health()


def test_a_damaged_spool_is_set_aside_and_its_number_stays_a_gap(ready_path: Path) -> None:
    with Station(ready_path) as station:
        done = station.deposit(CONTENT, FORM)
        path = ready_path / "state" / "spool" / f"{done.record_id}.spool"
        path.write_bytes(b"damaged")
        delivery = station.send_spooled()
        assert [(record_id, error.code) for record_id, error in delivery.refused] == [
            (done.record_id, "spool-malformed")
        ]
        assert (station.numbers().used, delivery.waiting) == (1, 0)
    assert (path.parent / "refused" / path.name).read_bytes() == b"damaged"


def test_a_spool_without_space_is_an_error_and_leaves_nothing(ready_path: Path) -> None:
    with Station(ready_path) as station:
        (ready_path / "state" / "spool").chmod(0o700)
        (ready_path / "state" / "spool" / "refused").rmdir()
        (ready_path / "state" / "spool").rmdir()
        with refused(UnavailableError, "spool-failed"):
            station.deposit(CONTENT, FORM)
        assert station.numbers().spooled == 0


def test_a_second_process_is_refused_and_the_first_goes_on(ready_path: Path) -> None:
    with Station(ready_path) as station:
        with refused(RefusedError, "station-busy"):
            Station(ready_path)
        station.deposit(CONTENT, FORM)
    Station(ready_path).close()


SPOOLING = """
import sys
from datetime import datetime
from pathlib import Path
from vault.client import Deposit, Station
from functools import partial
from vault.client import workplace
workplace.Connection = partial(workplace.Connection, sleep=lambda _: None)
form = Deposit(class_id="application_form", ended_at=datetime.fromisoformat(sys.argv[2]), subject_key="NIS-1")
with Station(Path(sys.argv[1])) as station:
    for line in range(10_000):
        done = station.deposit(b"%PDF one form" * 200_000, form, key=f"scan-{line}")
        print(done.sequence, done.record_id, flush=True)
"""


@pytest.mark.parametrize("spools", [1, 2, 3, 5, 8])
def test_killed_while_it_spools_what_was_said_is_whole_and_nothing_else_stays(ready_path: Path, spools: int) -> None:
    command = [sys.executable, "-c", SPOOLING, str(ready_path), RECEIVED.isoformat()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline().split() for _ in range(spools)]
        os.kill(child.pid, signal.SIGKILL)
        said += [line.split() for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    with Station(ready_path) as station:
        folder = ready_path / "state" / "spool"
        for sequence, record_id in said:
            request, content = opened(folder / f"{record_id}.spool")
            assert request["sequence"] == int(sequence)
            assert content == b"%PDF one form" * 200_000
        assert not list(folder.glob("*.new"))
        numbers = station.numbers()
        assert numbers.spooled == len(list(folder.glob("*.spool")))
        assert numbers.newest == numbers.spooled + numbers.open
        again = station.deposit(b"%PDF one form" * 200_000, FORM, key=f"scan-{len(said)}")
        assert isinstance(again, Spooled)
        assert station.numbers().newest == max(numbers.newest, again.sequence)


def test_buckets_go_by_class_and_japanese_day(tmp_path: Path) -> None:
    state = State(tmp_path / "station.db")
    keep_buckets(state, answered("2026-11-21", "2026-11-23"), RECEIVED)
    for hours in (-24, 0, 47):  # 00:30 on the 21st to 23:30 on the 23rd
        at = RECEIVED + timedelta(hours=hours)
        assert bucket_for(state, "nishinomiya", "application_form", at).id == "0f" * 16
    midnight = RECEIVED + timedelta(hours=47, minutes=30)  # what ends then ends on the 23rd: an end is exclusive
    assert bucket_for(state, "nishinomiya", "application_form", midnight).id == "0f" * 16
    for hours in (-25, 48):
        with refused(UnavailableError, "spool-bucket-missing"):
            bucket_for(state, "nishinomiya", "application_form", RECEIVED + timedelta(hours=hours))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"buckets": {}}',
        b'{"buckets": [1]}',
        b'{"buckets": [{}]}',
        answered().replace(b"0f0f", b"xyxy"),
        answered("22.11.2026"),
        answered().replace(b'"public_key": "', b'"public_key": "00'),
    ],
    ids=range(9),
)
def test_buckets_in_another_form_are_refused_and_the_old_ones_stay(tmp_path: Path, body: bytes) -> None:
    state = State(tmp_path / "station.db")
    keep_buckets(state, answered(), RECEIVED)
    before = state.told("buckets")
    if body == b'{"buckets": {}}':
        keep_buckets(state, body, RECEIVED)
        return
    with refused(IntegrityError, "vault-answer-malformed"):
        keep_buckets(state, body, RECEIVED)
    assert state.told("buckets") == before

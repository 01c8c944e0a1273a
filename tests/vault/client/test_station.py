"""A station and a real vault over TLS, from deposit to receipt."""

import hashlib
import io
import json
import random
import wave
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import vaults
from ledger_vectors import refused

from vault.client import Deposit, RefusedByVaultError, Spooled, Station, Taken, VaultBusyError
from vault.client.content import content_of
from vault.client.state import State
from vault.errors import IntegrityError, RefusedError, UnavailableError
from vault.ledger.note import VerifierKey
from vault.ledger.receipt import Receipt
from vault.people.purpose import ViewPurpose
from vault.records.numbering import numbers_from
from vault.records.reading import Purpose
from vault.records.vault import Vault

if TYPE_CHECKING:
    from tests.vault.client.conftest import Served

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


pytestmark = pytest.mark.usefixtures("pauses")


def form(number: int = 1, file_name: str = "form.pdf") -> Deposit:
    return Deposit(class_id="application_form", ended_at=YESTERDAY, subject_key=f"NIS-{number:05}", file_name=file_name)


def read_back(vault: Vault, record_id: str) -> bytes:
    purpose = Purpose(ViewPurpose.CASE_PROCESSING)
    reading = vault.readings.read(vault.actor(vaults.MANAGER), vaults.CONTRACT, record_id, purpose)
    return b"".join(bytes(part) for part in reading.parts())


def arrived(served: "Served") -> tuple[int, int, list[tuple[int, int]]]:
    """What the vault has of the station's numbers: the newest, how many, and the gaps."""
    with served.vault.ground.engine.connect() as connection:
        numbers = numbers_from(connection, served.path.name)
    return numbers.newest, numbers.arrived, list(numbers.missing)


@pytest.fixture
def station(served: "Served") -> Iterator[Station]:
    with Station(served.path) as station:
        yield station


def test_a_deposit_is_taken_and_its_receipt_is_kept(served: "Served", station: Station) -> None:
    content = vaults.pdf(1)
    taken = station.deposit(content, form(file_name="申込書.pdf"))
    assert isinstance(taken, Taken)
    assert (taken.is_new, taken.is_compared) == (True, True)
    assert read_back(served.vault, taken.record_id) == content
    kept = station.receipt(taken.record_id)
    assert kept is not None
    key = VerifierKey.decode((served.path / "log.vkey").read_text().strip())
    assert Receipt.decode(kept).verify(key) == taken.checkpoint
    assert station.numbers().taken == 1


def test_the_state_keeps_neither_name_nor_key_nor_digest(served: "Served", station: Station) -> None:
    content = vaults.pdf(1)
    station.deposit(content, form(42, file_name="申込書.pdf"), key="scan-1")
    state = b"".join(file.read_bytes() for file in served.path.rglob("*") if file.is_file())
    digest = hashlib.sha256(content)
    for secret in ("申込書".encode(), b"NIS-00042", digest.digest(), digest.hexdigest().encode()):
        assert secret not in state


@pytest.mark.parametrize("size", [0, 1 << 20, 3 << 20])
def test_files_of_any_size_stream(served: "Served", station: Station, tmp_path: Path, size: int) -> None:
    path = tmp_path / "form"
    path.write_bytes(vaults.pdf(2, size))
    taken = station.deposit(path, form())
    assert read_back(served.vault, taken.record_id) == path.read_bytes()


def test_many_records_share_requests_and_are_numbered_without_gaps(served: "Served", station: Station) -> None:
    contents = [vaults.pdf(number) for number in range(30)] + [vaults.pdf(77, 9 << 20), b"no PDF", vaults.pdf(31)]
    results = station.deposit_many([(content, form(number)) for number, content in enumerate(contents)])
    assert isinstance(results[31], RefusedByVaultError)
    taken = [result for result in results if isinstance(result, Taken)]
    assert len(taken) == 32
    for content, result in zip(contents, results, strict=True):
        if isinstance(result, Taken):
            assert read_back(served.vault, result.record_id) == content
    station.deposit(vaults.pdf(50), form())
    assert arrived(served) == (33, 33, [])  # the refused one's number was used again


def test_a_file_that_changes_under_a_batch_holds_up_no_other(
    served: "Served", station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{number}.pdf" for number in range(4)]
    for number, path in enumerate(paths):
        path.write_bytes(vaults.pdf(number))
    measured = content_of(paths[2])
    with paths[2].open("ab") as file:
        file.write(b"more")
    monkeypatch.setattr(
        "vault.client.station.content_of", lambda path: measured if path == paths[2] else content_of(path)
    )
    results = station.deposit_many([(path, form()) for path in paths])
    assert [isinstance(result, Taken) for result in results] == [True, True, False, True]
    assert isinstance(results[2], UnavailableError)
    assert results[2].code == "source-changed"
    station.deposit(vaults.pdf(9), form())
    station.deposit(vaults.pdf(10), form())
    assert arrived(served) == (5, 5, [])


def test_a_refused_record_is_told_in_the_vaults_words_and_leaves_no_gap(served: "Served", station: Station) -> None:
    with pytest.raises(RefusedByVaultError) as caught:
        station.deposit(b"no PDF", form())
    assert caught.value.sentence("ja")
    with refused(RefusedByVaultError, "subject-key-missing"):
        station.deposit(vaults.pdf(1), Deposit(class_id="application_form", ended_at=YESTERDAY))
    with refused(RefusedByVaultError, "not-allowed"):
        station.deposit(vaults.pdf(1), Deposit(class_id="call_recording", ended_at=YESTERDAY))
    for number in range(4):
        station.deposit(vaults.pdf(number), form())
    assert arrived(served) == (4, 4, [])


def test_the_same_key_is_the_same_record_after_a_restart(served: "Served") -> None:
    with Station(served.path) as station:
        first = station.deposit(vaults.pdf(1), form(), key="scan-1")
    with Station(served.path) as station:
        again = station.deposit(vaults.pdf(1), form(), key="scan-1")
        assert isinstance(again, Taken)
        assert (again.record_id, again.is_new, again.is_compared) == (first.record_id, False, True)
        with refused(RefusedByVaultError, "record-id-taken"):
            station.deposit(vaults.pdf(2), form(), key="scan-1")
    assert arrived(served) == (1, 1, [])


def test_a_sealed_vault_takes_records_and_does_not_compare_repeats(served: "Served", station: Station) -> None:
    served.vault.seal()
    first = station.deposit(vaults.pdf(1), form(), key="scan-1")
    again = station.deposit(vaults.pdf(1), form(), key="scan-1")
    assert isinstance(first, Taken)
    assert isinstance(again, Taken)
    assert (first.is_compared, again.is_compared) == (True, False)


def test_while_the_vault_is_away_records_are_spooled_and_arrive_later(served: "Served", station: Station) -> None:
    station.health()  # the buckets are here now
    served.stop()
    contents = [vaults.pdf(1), vaults.pdf(2), vaults.pdf(3, 3 << 20)]
    spooled = [station.deposit(content, form(7)) for content in contents]
    assert all(isinstance(one, Spooled) for one in spooled)
    assert station.send_spooled().waiting == 3
    served.start()
    delivery = station.send_spooled()
    assert [one.record_id for one in delivery.taken] == [one.record_id for one in spooled]
    assert (delivery.refused, delivery.waiting) == ([], 0)
    for one, content in zip(delivery.taken, contents, strict=True):
        assert read_back(served.vault, one.record_id) == content
        assert station.receipt(one.record_id) == one.receipt.encode()
    assert arrived(served) == (3, 3, [])
    assert not list((served.path / "state" / "spool").glob("*.spool"))


def test_the_spool_waits_for_an_open_vault(served: "Served", station: Station) -> None:
    station.health()
    served.stop()
    station.deposit(vaults.pdf(1), form())
    served.vault.seal()
    served.start()
    assert station.send_spooled().waiting == 1
    served.vault.unseal(vaults.custodian())
    assert len(station.send_spooled().taken) == 1


def test_a_spool_that_arrived_and_whose_answer_was_lost_arrives_once(served: "Served", station: Station) -> None:
    station.health()
    served.stop()
    done = station.deposit(vaults.pdf(1), form())
    path = served.path / "state" / "spool" / f"{done.record_id}.spool"
    spool = path.read_bytes()
    served.start()
    station.send_spooled()
    path.write_bytes(spool)  # as if the station had died before it removed it
    [taken] = station.send_spooled().taken
    assert (taken.is_new, taken.is_compared) == (False, True)
    assert arrived(served) == (1, 1, [])


def test_a_spool_that_the_vault_refuses_is_set_aside(served: "Served", station: Station) -> None:
    station.health()
    served.stop()
    done, good = station.deposit(b"no PDF", form()), station.deposit(vaults.pdf(1), form())
    served.start()
    delivery = station.send_spooled()
    assert [record_id for record_id, _ in delivery.refused] == [done.record_id]
    assert [one.record_id for one in delivery.taken] == [good.record_id]
    assert (served.path / "state" / "spool" / "refused" / f"{done.record_id}.spool").exists()
    assert arrived(served) == (2, 1, [(1, 1)])  # what was promised and did not arrive shows


def test_a_connection_that_the_vault_closed_is_made_again(served: "Served", station: Station) -> None:
    station.deposit(vaults.pdf(1), form())
    served.stop()
    served.start()
    assert isinstance(station.deposit(vaults.pdf(2), form()), Taken)


def test_an_early_refusal_is_read_while_much_is_still_to_be_sent(served: "Served", tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(256 << 20)
    with Station(served.path) as station, refused(RefusedByVaultError, "content-too-large"):
        station.deposit(path, form())


def test_retry_after_is_honoured_and_tries_are_bounded(served: "Served", pauses: list[float]) -> None:
    served.stop()
    served.start(requests_per_second=0.5, burst=1)
    with Station(served.path) as station, refused(VaultBusyError, "rate-exceeded"):
        for number in range(2):
            station.deposit(vaults.pdf(number), form())
    assert pauses == [2.0, 2.0, 2.0]


def test_numbers_that_a_crash_left_open_are_settled(served: "Served") -> None:
    with Station(served.path) as station:
        station.deposit(vaults.pdf(1), form(), key="known")
    state = State(served.path / "state" / "station.db")
    state.claim("application_form")  # never sent
    state.claim("application_form", "again")  # never sent, and will be
    state._database.execute("UPDATE numbers SET status = 'open' WHERE sequence = 1")  # noqa: SLF001 - sent, and not known to be
    state.close()
    with Station(served.path) as station:
        station.settle()
        numbers = station.numbers()
        assert (numbers.taken, numbers.free, numbers.open) == (1, 1, 1)
        for number, key in enumerate([None, "again", None]):
            station.deposit(vaults.pdf(number + 2), form(), key=key)
    assert arrived(served) == (4, 4, [])


def test_open_numbers_stay_open_while_nobody_can_say(served: "Served") -> None:
    with Station(served.path) as station:
        served.stop()
        with pytest.raises(UnavailableError):
            station.deposit(vaults.pdf(1), form())  # no buckets yet
        with pytest.raises(UnavailableError):
            station.settle()
        assert station.numbers().open == 1
        served.start()
        station.deposit(vaults.pdf(2), form())
        station.deposit(vaults.pdf(3), form())
    assert arrived(served) == (2, 2, [])


def test_a_station_that_lost_its_state_goes_on_behind_what_the_vault_has(served: "Served") -> None:
    with Station(served.path) as station:
        for number in range(5):
            station.deposit(vaults.pdf(number), form())
    for path in (served.path / "state").glob("station.db*"):
        path.unlink()
    with Station(served.path) as station:
        station.deposit(vaults.pdf(9), form())
        assert (station.numbers().newest, station.numbers().used) == (6, 1)
    assert arrived(served) == (6, 6, [])


def test_a_spool_whose_station_lost_its_state_is_delivered_all_the_same(served: "Served") -> None:
    with Station(served.path) as station:
        station.health()
        served.stop()
        done = station.deposit(vaults.pdf(1), form())
    for path in (served.path / "state").glob("station.db*"):
        path.unlink()
    served.start()
    with Station(served.path) as station:
        assert len(station.send_spooled().taken) == 1
        assert station.receipt(done.record_id) is not None


def test_each_deposit_shows_the_largest_checkpoint_it_knows(served: "Served", station: Station) -> None:
    station.deposit(vaults.pdf(1), form())
    state = State(served.path / "state" / "station.db")
    assert state.checkpoint is not None
    state.tell("checkpoint", state.checkpoint.replace("kura.test", "kura.other"))
    state.close()
    served.stop()
    served.start()
    with refused(RefusedByVaultError, "checkpoint-header-malformed"):
        station.deposit(vaults.pdf(2), form())
    [result] = station.deposit_many([(vaults.pdf(3), form())])
    assert isinstance(result, RefusedByVaultError)
    assert result.code == "checkpoint-header-malformed"


def test_health_is_that_of_the_stations_own_vault(served: "Served", station: Station) -> None:
    station.deposit(vaults.pdf(1), form())
    health = station.health()
    assert (health.is_sealed, health.takes, health.newest) == (False, True, 1)
    assert abs(health.clock_ahead_s) < 60
    served.vault.seal()
    assert station.health().is_sealed


def test_health_of_another_ledger_is_refused(served: "Served", city_key: VerifierKey) -> None:
    (served.path / "log.vkey").write_text(city_key.encode())
    with Station(served.path) as station:
        with refused(IntegrityError, "vault-differs"):
            station.health()
        with refused(IntegrityError, "receipt-checkpoint-invalid"):
            station.deposit(vaults.pdf(1), form())
        assert station.numbers().taken == 0


def wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(random.Random(1).randbytes(16_000))
    return file.getvalue()


def test_a_recorder_hands_in_calls_and_its_journal(served: "Served") -> None:
    path = served.enrol("exchange-1", "exchange")
    call = Deposit(class_id="call_recording", started_at=YESTERDAY - timedelta(minutes=5), ended_at=YESTERDAY)
    lines = b"".join(json.dumps({"call": number}).encode() + b"\n" for number in range(40))
    with Station(path) as station:
        assert isinstance(station.deposit(wav(), call), Taken)
        journal = station.journal("call_detail_record", lines, ended_at=YESTERDAY, started_at=YESTERDAY - timedelta(1))
        assert isinstance(journal, Taken)
        assert read_back(served.vault, journal.record_id) == lines
        with refused(RefusedError, "journal-kind-unknown"):
            station.journal("diary", lines, ended_at=YESTERDAY)
        served.stop()
        spooled = station.journal("call_detail_record", lines, ended_at=YESTERDAY, started_at=YESTERDAY - timedelta(1))
        assert isinstance(spooled, Spooled)
        served.start()
        assert len(station.send_spooled().taken) == 1

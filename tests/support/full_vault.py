"""A vault that has a row in every table, a value in every column, and a file of every kind; closed."""

import io
import struct
import wave
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engines import is_engines
from station_keys import signing_request
from vaults import CONTRACT, MANAGER, OFFICER, OPERATOR, custodian, new_id, new_vault, on_engines, pdf, request, source

from retention.roles import StationKind
from vault.people.certificates import fingerprint
from vault.people.purpose import ViewPurpose
from vault.people.stations import Station
from vault.records.healing import heal_copies
from vault.records.reading import Purpose
from vault.records.scrub import Progress, scrub
from vault.records.search import Query
from vault.records.vault import Vault

_SEARCHES = 260  # a tile of level 1 needs 256 entries


@dataclass(frozen=True)
class FullVault:
    folder: Path
    epoch_dir: Path


def wav(seconds: float = 0.1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\x01\x02" * int(8000 * seconds))
    return file.getvalue()


def mp4(size: int = 2000) -> bytes:
    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(body), kind) + body

    return box(b"ftyp", b"isom\0\0\2\0isommp42") + box(b"moov", box(b"mvhd", bytes(100))) + box(b"mdat", b"v" * size)


def make_full_vault(tmp_path: Path, *, two_disks: bool = False) -> FullVault:
    # On engines its rows are there; the files that are looked at and damaged stay in the folder.
    rows = {name: value for name, value in on_engines(tmp_path).items() if name != "hsm"} if is_engines() else {}
    vault = new_vault(tmp_path, two_disks=two_disks, engines_used=rows)
    clerk, manager = vault.actor(OPERATOR), vault.actor(MANAGER)
    site = vault.ground.contract(CONTRACT).policy.sites[0].id
    ended_at = datetime.now(UTC)
    for number in range(12):
        wanted = request(subject_key=f"NIS-{number:05d}", site=site, sequence=number, title_code="A-1", id=new_id())
        vault.deposits.deposit(clerk, CONTRACT, wanted, source(pdf(number), tmp_path))
    recorded = {"started_at": ended_at - timedelta(minutes=1), "ended_at": ended_at, "subject_key": None}
    call = request(class_id="call_recording", **recorded)
    vault.deposits.deposit(manager, CONTRACT, call, source(wav(), tmp_path))
    video = request(class_id="surveillance_video", **recorded)
    vault.deposits.deposit(manager, CONTRACT, video, source(mp4(2_200_000), tmp_path))
    tally = request(class_id="counter_tally", subject_key=None, clock_offset_s=-7200)
    vault.deposits.deposit(manager, CONTRACT, tally, source(b"class,count\napplication_form,12\n", tmp_path))
    _take_sealed(vault, tmp_path)
    _take_without_first_store(vault, tmp_path)
    purpose = Purpose(ViewPurpose.CASE_PROCESSING, "窓口での問合せ")
    vault.readings.read_many(manager, CONTRACT, [call.id, video.id], purpose)
    _enrol_stations(vault)
    for _ in range(_SEARCHES):
        vault.searches.search(clerk, CONTRACT, Query(limit=1))
    _leave_a_scrub_unfinished(vault)
    vault.close()
    return FullVault(vault.folder, tmp_path / "vault.epoch")


def _enrol_stations(vault: Vault) -> None:
    manager = vault.actor(MANAGER)
    for kind in StationKind:
        station = Station(f"{kind.value}-1", kind, CONTRACT)
        vault.enrolment.enrol(manager, station, signing_request())
        renewed = vault.enrolment.renew(station.actor(), CONTRACT, station.name, signing_request())
        vault.enrolment.revoke(manager, CONTRACT, station.name, fingerprint(renewed))


def _take_without_first_store(vault: Vault, tmp_path: Path) -> None:
    """A copy that stands where none was meant to be: the only kind in a folder that has a row."""
    store, pulled = vault.folder / "objects" / "a", tmp_path / "pulled"
    store.rename(pulled)
    vault.deposits.deposit(vault.actor(OPERATOR), CONTRACT, request(), source(pdf(78), tmp_path))
    pulled.rename(store)
    heal_copies(vault.ground)


def _take_sealed(vault: Vault, tmp_path: Path) -> None:
    vault.seal()
    vault.deposits.deposit(vault.actor(OPERATOR), CONTRACT, request(), source(pdf(77), tmp_path))
    vault.unseal(custodian())


def _leave_a_scrub_unfinished(vault: Vault) -> None:
    class StoppedError(Exception):
        pass

    def stop(progress: Progress) -> None:
        raise StoppedError(progress)

    try:
        scrub(vault.ground, vault.buckets, vault.actor(OFFICER), CONTRACT, lambda _: None, stop)
    except StoppedError:
        return

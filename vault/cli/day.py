"""The sample day, lived through a real vault; then the proofs, from its files alone."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retention.roles import StationKind
from vault.bootstrap import NewVault, create_vault, now_utc, verify_vault
from vault.cli.day_stations import connected
from vault.cli.engines import TrialEngines
from vault.cli.sample_day import Sample, sample_day
from vault.cli.trial_places import new_places
from vault.client import Station, Taken
from vault.errors import IntegrityError, KuraError
from vault.keys.custodian import CustodianSecret
from vault.ledger.note import VerifierKey
from vault.ledger.receipt import Receipt
from vault.people.persons import NewPerson
from vault.people.purpose import ViewPurpose
from vault.records.reading import Purpose
from vault.records.scrub import scrub
from vault.records.search import Query
from vault.records.vault import Vault

CONTRACT = "nishinomiya"
CLERK, MANAGER, OFFICER, ADMIN = "1001", "2001", "3001", "9001"
_PEOPLE = (
    f"{CLERK}:見本 花子:scan_operator",
    f"{MANAGER}:見本 一郎:operations_manager",
    f"{OFFICER}:見本 三郎:security_officer",
    f"{ADMIN}:見本 二郎:vault_admin",
)
Say = Callable[[str, str], None]
"""Says a line, in English or in Japanese."""

_PURPOSE = Purpose(ViewPurpose.CASE_PROCESSING, "sample day")


@dataclass(slots=True)
class Day:
    """What the day left: where things are, what was counted, and how long it took."""

    folder: Path
    receipts: Path
    counts: dict[str, int] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    proofs: dict[str, bool] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Give the summary for `--json`."""
        return {
            "dir": str(self.folder),
            "person": MANAGER,
            "receipts": str(self.receipts),
            "log_vkey": str(self.receipts / "log.vkey"),
            "counts": self.counts,
            "figures": self.figures,
            "proofs": self.proofs,
        }


def live_day(
    folder: Path, policy_text: str, samples: Path | None, say: Say, engines: TrialEngines | None = None
) -> Day:
    """Run the sample day in a new vault at `folder`; epoch slots and receipts lie beside it.

    With `engines`, which run, its rows, objects and keys are there.

    Raises:
        KuraError: the folder is not new, or something went wrong that must not.
    """
    day = Day(folder, folder.with_name(folder.name + ".receipts"))
    passphrase = secrets.token_urlsafe(18)
    people = [NewPerson.parse(text) for text in _PEOPLE]
    epoch_dir = folder.with_name(folder.name + ".epoch")
    custodian = CustodianSecret.from_passphrase(passphrase)
    say("Opening a vault …", "Kura を開設しています…")
    places = {} if engines is None else new_places(engines)._asdict()
    vault = create_vault(folder, NewVault(policy_text, people, custodian, epoch_dir, passphrase, **places))
    try:
        _live(vault, day, custodian, samples, say)
    finally:
        vault.close()
    say("Verifying everything, from the files alone …", "ファイルだけを使って検証しています…")
    began = time.perf_counter()
    day.proofs = proofs(folder, day.receipts)
    day.figures["verify_s"] = round(time.perf_counter() - began, 3)
    return day


def proofs(folder: Path, receipts: Path) -> dict[str, bool]:
    """Say which of the five proofs hold, from the files alone; one with nothing to prove yet is absent.

    `intact`: the whole vault verifies, and every receipt does, with the log's key alone.
    `complete`: the vault is intact, and of all that its stations numbered nothing is missing.
    """
    verdict = verify_vault(folder, None)
    is_intact = verdict.is_sound and _receipts_hold(receipts)
    held = {"intact": is_intact}
    if not is_intact or verdict.is_complete is not None:  # what is not intact proves nothing
        held["complete"] = is_intact and verdict.is_complete is True
    return held


def _live(vault: Vault, day: Day, custodian: CustodianSecret, samples: Path | None, say: Say) -> None:
    plan = sample_day(now_utc(), samples)
    say("Enrolling the stations …", "送信端末を登録しています…")
    with connected(
        vault, CONTRACT, vault.actor(ADMIN), day.folder.with_name(day.folder.name + ".stations")
    ) as stations:
        say(f"{len(plan)} records come over TLS …", f"{len(plan)} 件を TLS で登録しています…")
        began = time.perf_counter()
        done = [(sample, _deposit(stations, sample)) for sample in plan[:-4]]
        say("Sealed: it goes on taking, and shows nothing …", "鍵の投入前でも登録は続き、閲覧はできません…")
        vault.seal()
        done += [(sample, _deposit(stations, sample)) for sample in plan[-4:]]
        _refused(lambda: _read(vault, MANAGER, done[0][1].record_id), "vault-sealed")
        vault.unseal(custodian)
        day.figures["deposit_s"] = round(time.perf_counter() - began, 3)
    _keep_receipts(vault, day.receipts, [taken for _, taken in done])
    say("Reading each back, byte for byte …", "全件を読み戻して照合しています…")
    for sample, taken in done:
        if _read(vault, MANAGER, taken.record_id) != sample.content:
            raise IntegrityError("digest-differs", record=taken.record_id)
    say("Refusing whoever may not …", "権限のない閲覧を拒否しています…")
    _refused(lambda: _read(vault, ADMIN, done[0][1].record_id), "not-allowed")
    found = vault.searches.search(vault.actor(CLERK), CONTRACT, Query(subject_key="nis-2026-00003"))
    progress = scrub(vault.ground, vault.buckets, vault.actor(OFFICER), CONTRACT, _at_once, _at_once)
    day.counts |= {
        "records": len(done),
        "bytes": sum(len(sample.content) for sample, _ in done),
        "receipts": len(done),
        "found": len(found.records),
        "fixity_checked": progress.checked,
        "ledger_entries": vault.ground.log_of(CONTRACT).size,
    }


def _deposit(stations: Mapping[StationKind, Station], sample: Sample) -> Taken:
    return stations[sample.station].send(sample.content, sample.deposit)


def _read(vault: Vault, person: str, record_id: str) -> bytes:
    reading = vault.readings.read(vault.actor(person), CONTRACT, record_id, _PURPOSE)
    return b"".join(bytes(part) for part in reading.parts())


def _refused(act: Callable[[], object], code: str) -> None:
    try:
        act()
    except KuraError as error:
        if error.code == code:
            return
        raise
    raise IntegrityError("demo-not-refused", refusal=code)


def _keep_receipts(vault: Vault, receipts: Path, done: list[Taken]) -> None:
    receipts.mkdir(mode=0o700, exist_ok=True)
    (receipts / "log.vkey").write_text(vault.ground.log_of(CONTRACT).key.encode() + "\n")
    for taken in done:
        (receipts / f"{taken.record_id}.tlog-proof").write_text(taken.receipt.encode(), "utf-8")


def _receipts_hold(receipts: Path) -> bool:
    """Whether there are receipts, and each verifies with the log's key."""
    try:
        key = VerifierKey.decode((receipts / "log.vkey").read_text("utf-8").strip())
        files = sorted(receipts.glob("*.tlog-proof"))
        for path in files:
            Receipt.decode(path.read_text("utf-8")).verify(key)
    except (KuraError, OSError, UnicodeDecodeError):
        return False
    return bool(files)


def _at_once(_: object) -> None:
    """Neither pause nor report: the day is small."""

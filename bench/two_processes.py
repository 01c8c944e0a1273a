"""Deposits from 8 clients at one process, and from the same 8 at two processes on the same database.

As `kura join` wants it: rows in PostgreSQL, objects in S3, keys in an HSM; one copy, born locked. Both processes append
to one ledger, and so take turns at its head; the S3 engine, the database and both share this machine's cores.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any

from bench.child import run
from bench.engines import running
from bench.inputs import wav
from bench.options import Options
from bench.pairs import alternate, percentile, ratios, spread
from bench.result import Result
from bench.threads import share
from bench.vaults import CONTRACT, manager, recording_for
from vault.bootstrap import Joining, NewVault, create_vault, join_vault, open_vault
from vault.cli.trial_places import new_places
from vault.keys.custodian import CustodianSecret
from vault.people.persons import NewPerson
from vault.records.source import BytesSource
from vault.settings import DatabaseSettings, ListenerSettings, StorageSettings

_CLIENTS = 8
_PASSPHRASE = "bench"  # noqa: S105 - it guards random bytes
_MANAGER = "1002:Manager:operations_manager"
_SCRYPT_LOG2_N = 4  # what it costs to open the key store is not measured


def two_processes(options: Options) -> Result:
    """Small deposits from 8 clients at two processes on one database, beside the same at one process."""
    count = 48 if options.quick else 2000
    waited: dict[int, list[float]] = {1: [], 2: []}
    with running("postgresql", "ceph-rgw", "softhsm") as engines:
        first, second = options.fresh("vault"), options.fresh("vault")
        places = new_places(engines)
        run(_make, first, places.database.url, places.owner_url, places.storage.stores, places.hsm)
        join_vault(second, first, Joining(second.with_name(f"{second.name}.epoch"), ListenerSettings()))

        def taken_by(folders: list[Path]) -> float:
            meeting = options.fresh("meeting")
            meeting.mkdir()
            many = len(folders)
            with ThreadPoolExecutor(many) as pool:
                runs = [
                    pool.submit(run, _timed, folder, meeting, many, count // many, _CLIENTS // many)
                    for folder in folders
                ]
                figures = [one.result().figures for one in runs]
            for one in figures:
                waited[many] += one["waited"]
            return float(max(one["end"] for one in figures) - min(one["begin"] for one in figures))

        cases = {"one": lambda: taken_by([first]), "two": lambda: taken_by([first, second])}
        seconds = alternate(cases, options.rounds)
    two, one = spread(seconds["two"]).median, spread(seconds["one"]).median
    extra = {
        "p99_ms": round(percentile(waited[2], 99) * 1000, 2),
        "one_process_p99_ms": round(percentile(waited[1], 99) * 1000, 2),
        "clients": _CLIENTS,
        "deposits": count,
        "rounds": options.rounds,
        "quick": options.quick,
    }
    return Result(
        "two-processes", count / two, "deposits/s", count / one, ratios(seconds["one"], seconds["two"]), extra
    )


def _make(folder: str, url: str, owner_url: str, stores: Sequence[str], hsm: str) -> Mapping[str, Any]:
    """Make a vault in engines that keeps one copy of recordings."""
    text = (files("policies") / f"{CONTRACT}.toml").read_text("utf-8").replace("copies = 2", "copies = 1")
    path = Path(folder)
    new = NewVault(
        text,
        [NewPerson.parse(_MANAGER)],
        CustodianSecret.from_passphrase(_PASSPHRASE),
        path.with_name(f"{path.name}.epoch"),
        database=DatabaseSettings(url=url),
        owner_url=owner_url,
        storage=StorageSettings(stores=tuple(stores)),
        hsm=hsm,
        scrypt_log2_n=_SCRYPT_LOG2_N,
    )
    create_vault(path, new).close()
    return {}


def _timed(folder: str, meeting: str, processes: int, count: int, clients: int) -> Mapping[str, Any]:
    """Deposit small recordings from several threads, once every process is ready; instants are the machine's."""
    content, waited = wav(512), []
    vault = open_vault(Path(folder), CustodianSecret.from_passphrase(_PASSPHRASE))
    try:
        actor = manager(vault)

        def deposit(_: int) -> None:
            begin = time.monotonic()
            vault.deposits.deposit(actor, CONTRACT, recording_for(), BytesSource(content)).receipt.encode()
            waited.append(time.monotonic() - begin)

        share(range(1, clients * 4), deposit, clients)
        waited.clear()
        (Path(meeting) / Path(folder).name).touch()
        while len(list(Path(meeting).iterdir())) < processes:
            time.sleep(0.001)
        begin = time.monotonic()
        share(range(1, count + 1), deposit, clients)
        end = time.monotonic()
    finally:
        vault.close()
    return {"begin": begin, "end": end, "waited": waited}

"""Searches and proofs in a vault of 1.5 million records, on SQLite and on PostgreSQL.

A few hundred records are deposited; the others are rows like theirs, with events of their own, written past the
sequencer: they are found and proved as any, and only those that were deposited are opened.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import uuid_utils
from sqlalchemy import insert, select

from bench.child import run
from bench.engines import new_database, running
from bench.inputs import pdf
from bench.options import Options
from bench.pairs import percentile, spread
from bench.park import park
from bench.result import Result
from bench.vaults import CONTRACT, clerk, make_vault, opened, request_for
from vault.bootstrap import now_utc
from vault.ledger.event import EventKind, encode_entry
from vault.people.actor import VAULT
from vault.records.search import Query
from vault.records.source import BytesSource
from vault.records.vault import Vault
from vault.storage.database import writing
from vault.storage.objects import object_name
from vault.storage.tables import IndexTokenRow, ObjectRow, RecordRow

_DEPOSITED = 200
_PER_COMMIT = 5_000
_TRIES = 100
_YEARS = timedelta(days=5 * 365)


def large(options: Options) -> Result:
    """1.5 million records: a page of the newest, one deep in the list, a case by its key, and a receipt, on both."""
    count = 5_000 if options.quick else 1_500_000
    figures: dict[str, Mapping[str, float]] = {}
    with running("postgresql") as engines:
        for name, url in (("sqlite", None), ("postgresql", new_database(engines))):
            folder = options.fresh("vault")
            make_vault(folder, database=url)
            filled = run(timed_filling, folder, count).figures
            figures[name] = {**filled, **run(timed_lookups, folder).figures}
            park(folder)
    extra = {"records": count, "quick": options.quick, **figures}
    ours, theirs = (figures[name]["case_median_ms"] for name in ("postgresql", "sqlite"))
    return Result("large", ours, "ms a case found", theirs, spread([theirs / ours]), extra)


def timed_filling(folder: str, count: int) -> Mapping[str, float]:
    """Deposit some, and write the rows of all others."""
    begin = time.perf_counter()
    with opened(Path(folder)) as vault:
        actor = clerk(vault)
        for number in range(_DEPOSITED):
            source = BytesSource(pdf(os.urandom(2_000)))
            vault.deposits.deposit(actor, CONTRACT, request_for(f"{number:06}.pdf"), source)
        rows = _further(vault, count - _DEPOSITED)
        while page := list(islice(rows, _PER_COMMIT)):
            _write(vault, page)
    return {"filling_s": round(time.perf_counter() - begin, 1)}


def timed_lookups(folder: str) -> Mapping[str, float]:
    """Search and prove, each many times."""
    with opened(Path(folder)) as vault:
        actor, search, log = clerk(vault), vault.searches.search, vault.ground.log_of(CONTRACT)
        newest = search(actor, CONTRACT, Query())
        deep = newest.records[0]["ended_at"] - _YEARS / 2, newest.records[0]["id"]
        figures = _times("newest", lambda _: search(actor, CONTRACT, Query()))
        figures |= _times("deep", lambda _: search(actor, CONTRACT, Query(after=deep)))
        figures |= _times("case", lambda i: search(actor, CONTRACT, Query(subject_key=f"NIS-{i % _DEPOSITED:06}")))
        figures |= _times(
            "receipt", lambda i: vault.ground.ready.run(lambda on: log.receipt(on, log.size * i // _TRIES))
        )
    return figures


def _times(name: str, act: Callable[[int], object]) -> dict[str, float]:
    act(0)
    seconds = []
    for number in range(_TRIES):
        begin = time.perf_counter()
        act(number)
        seconds.append(time.perf_counter() - begin)
    return {
        f"{name}_median_ms": round(percentile(seconds, 50) * 1000, 2),
        f"{name}_p99_ms": round(percentile(seconds, 99) * 1000, 2),
    }


def _further(vault: Vault, count: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Give rows of records and of their objects, like those of a record that was deposited, over five years."""
    with vault.ground.engine.connect() as connection:
        record = dict(connection.execute(select(RecordRow.__table__)).mappings().first() or {})
        stored = dict(connection.execute(select(ObjectRow.__table__)).mappings().first() or {})
    now = now_utc()
    for number in range(count):
        record_id = str(uuid_utils.uuid7())
        ended_at = now - _YEARS * ((number + 1) / (count + 1))
        name = object_name(vault.ground.vault_id, os.urandom(12).hex())
        yield {**record, "id": record_id, "ended_at": ended_at}, {**stored, "record_id": record_id, "name": name}


def _write(vault: Vault, page: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    log = vault.ground.log_of(CONTRACT)
    entries = [encode_entry(VAULT.did(EventKind.DEPOSIT_ACCEPTED, now_utc(), {"id": row["id"]})) for row, _ in page]
    records = [{**row, "entry_index": log.size + i} for i, (row, _) in enumerate(page)]
    with writing(vault.ground.engine).begin() as connection:
        head = log.write_entries(connection, entries)
        connection.execute(insert(RecordRow), records)
        connection.execute(insert(ObjectRow), [stored for _, stored in page])
        tokens = [{"token": os.urandom(16), "record_id": row["id"]} for row, _ in page]
        connection.execute(insert(IndexTokenRow), tokens)
    log.adopt(head)

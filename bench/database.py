"""Deposits on PostgreSQL beside the database's own commit rate: the rows of those very deposits, written again.

The yardstick is the same driver and as many clients; each commit writes the rows of one deposit (event, envelope,
record, object, checkpoint) into a database that holds what they refer to. It signs, seals and hashes nothing, makes no
file durable, and no two of its commits wait for one row.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

from sqlalchemy import Engine, insert, select

from bench.child import run
from bench.engines import new_database, running
from bench.inputs import wav
from bench.options import Options
from bench.pairs import alternate, percentile, ratios, spread
from bench.result import Result
from bench.threads import share
from bench.vaults import CONTRACT, make_vault, manager, opened, recording_for
from vault.records.order import Order
from vault.records.reception import Reception
from vault.records.source import BytesSource
from vault.storage.database import create_database, open_database, writing
from vault.storage.statement import Statement
from vault.storage.tables import Base, CheckpointRow, EnvelopeRow, EventRow, ObjectRow, RecordRow

_CLIENTS = 8
_PER_DEPOSIT = {
    row.__tablename__: Statement(insert(row)) for row in (EventRow, EnvelopeRow, RecordRow, ObjectRow, CheckpointRow)
}


def database_deposits(options: Options) -> Result:
    """Small deposits from 8 clients on PostgreSQL, beside the database's own commits of the same rows."""
    count = 40 if options.quick else 4000
    extra: dict[str, object] = {}
    with running("postgresql") as engines:

        def ours() -> float:
            folder, urls = options.fresh("vault"), new_database(engines)
            made.append(urls[1])
            make_vault(folder, database=urls)
            figures = run(timed_deposits, folder, count).figures
            extra["p99_ms"] = figures["p99_ms"]
            return float(figures["seconds"])

        def theirs() -> float:
            return float(run(timed_rows, made[-1], new_database(engines)[1]).figures["seconds"])

        made: list[str] = []
        ours()  # the yardstick writes what a vault has written before
        seconds = alternate({"yardstick": theirs, "vault": ours}, options.rounds)
    mine, measure = spread(seconds["vault"]).median, spread(seconds["yardstick"]).median
    extra |= {"clients": _CLIENTS, "deposits": count, "rounds": options.rounds, "quick": options.quick}
    return Result(
        "database-deposits",
        count / mine,
        "deposits/s",
        count / measure,
        ratios(seconds["yardstick"], seconds["vault"]),
        extra,
    )


def timed_deposits(folder: str, count: int) -> Mapping[str, Any]:
    """Deposit small recordings from 8 threads, each waiting for its receipt, as the narrow API takes them."""
    content, waited = wav(512), []
    with opened(Path(folder)) as vault, closing(Reception(vault.deposits)) as reception:
        actor = manager(vault)

        def deposit(_: int) -> None:
            begin = time.perf_counter()
            order = Order(actor, CONTRACT, recording_for(), lambda: BytesSource(content))
            reception.deposit(order).result().receipt.encode()
            waited.append(time.perf_counter() - begin)

        share(range(1, _CLIENTS * 4), deposit, _CLIENTS)
        waited.clear()
        begin = time.perf_counter()
        share(range(1, count + 1), deposit, _CLIENTS)
        seconds = time.perf_counter() - begin
    return {"seconds": seconds, "p99_ms": round(percentile(waited, 99) * 1000, 2)}


def timed_rows(source: str, target: str) -> Mapping[str, Any]:
    """Write what a vault wrote for its deposits into another database, a commit for each deposit, from 8 threads."""
    engine = create_database(target)
    deposits = _copy_all_but_deposits(open_database(source, read_only=True), engine)
    local = threading.local()

    def write(deposit: Mapping[str, Any]) -> None:
        if not hasattr(local, "connection"):
            local.connection = writing(engine).connect()
        with local.connection.begin():
            for row, add in _PER_DEPOSIT.items():
                add.run(local.connection, deposit[row])

    warm = _CLIENTS * 4
    share(deposits[:warm], write, _CLIENTS)
    begin = time.perf_counter()
    share(deposits[warm:], write, _CLIENTS)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds * len(deposits) / (len(deposits) - warm)}


def _copy_all_but_deposits(source: Engine, target: Engine) -> list[Mapping[str, Any]]:
    """Copy what the rows of deposits refer to; give those, as if each had had a commit to itself."""
    with source.connect() as connection, connection.begin():
        rows = {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in Base.metadata.sorted_tables
        }
    records, objects = rows.pop("records"), {row["record_id"]: row for row in rows.pop("objects")}
    places = {(row["ledger_id"], row["entry_index"]) for row in records}
    events = {(row["ledger_id"], row["entry_index"]): row for row in rows["events"]}
    envelopes = {row["id"]: row for row in rows["envelopes"]}
    note = rows["checkpoints"][-1]["note"]
    rows["events"] = [row for place, row in events.items() if place not in places]
    rows["checkpoints"] = []
    with writing(target).begin() as connection:
        for table in Base.metadata.sorted_tables:
            if rows.get(table.name):
                connection.execute(insert(table), rows[table.name])
    deposits: list[Mapping[str, Any]] = []
    for record in records:
        envelope = {**envelopes[record["envelope_id"]], "id": token_hex(16)}
        place = record["ledger_id"], record["entry_index"]
        deposits.append(
            {
                "events": events[place],
                "envelopes": envelope,
                "records": {**record, "envelope_id": envelope["id"]},
                "objects": objects[record["id"]],
                "checkpoints": {"ledger_id": place[0], "size": place[1] + 1, "note": note},
            }
        )
    return deposits

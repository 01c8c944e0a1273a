"""The ledger alone: appends per second, from append to receipt, and proofs at 10 million entries after a restart.

Tessera, the nearest published log, says of itself about 2,900 durable entries a second on disks (transparency-dev,
Tessera, docs/performance.md: POSIX, mirrored SAS disks, 12 cores). Our entries are signed for, guarded outside the
database and durable before anybody is told, on the disk of this run.
"""

import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, insert, select

from bench.child import run
from bench.options import Options
from bench.pairs import percentile, spread
from bench.park import park
from bench.result import Result
from bench.threads import share
from bench.vaults import CONTRACT, make_vault, opened
from vault.bootstrap import now_utc
from vault.ledger.event import Event, EventKind, encode_entry
from vault.ledger.log import Log
from vault.ledger.note import VerifierKey
from vault.ledger.transaction import Transaction
from vault.records.vault import Vault
from vault.storage.database import create_database, open_database, writing
from vault.storage.tables import LedgerRow

_TESSERA_PER_S = 2900.0
_THREADS = 32
_PER_COMMIT = 10_000
_PROOFS = 300
_DATABASE, _KEY = "ledger.db", "ledger.key"


def ledger(options: Options) -> Result:
    """Appends per second, batched and single; seconds to a receipt; a proof at 10 million entries."""
    appends = 500 if options.quick else 20_000
    entries = 20_000 if options.quick else 10_000_000
    batched, single = [], []
    extra: dict[str, object] = {}
    for _ in range(options.rounds):
        folder = options.fresh("vault")
        make_vault(folder)
        figures = run(timed_appends, folder, appends).figures
        batched.append(figures["batched_per_s"])
        single.append(figures["single_per_s"])
        extra |= {name: figures[name] for name in ("receipt_median_ms", "receipt_p99_ms")}
        park(folder)
    folder = options.fresh("ledger")
    folder.mkdir()
    extra |= run(timed_growth, folder, entries).figures
    extra |= run(timed_proofs, folder, entries).figures
    park(folder)
    extra |= {"single_per_s": round(spread(single).median), "rounds": options.rounds, "quick": options.quick}
    ratio = spread([rate / _TESSERA_PER_S for rate in batched])
    return Result("ledger", spread(batched).median, "appends/s", _TESSERA_PER_S, ratio, extra)


def timed_appends(folder: str, appends: int) -> Mapping[str, Any]:
    """Append from 32 threads, then from one; the single ones with their receipts."""
    with opened(Path(folder)) as vault:
        begin = time.perf_counter()
        share(range(1, appends + 1), lambda number: _append(vault, number), _THREADS)
        batched = appends / (time.perf_counter() - begin)
        seconds = []
        for number in range(appends // 10):
            begin = time.perf_counter()
            _receipt(vault, number)
            seconds.append(time.perf_counter() - begin)
    return {
        "batched_per_s": batched,
        "single_per_s": len(seconds) / sum(seconds),
        "receipt_median_ms": round(percentile(seconds, 50) * 1000, 3),
        "receipt_p99_ms": round(percentile(seconds, 99) * 1000, 3),
    }


def timed_growth(folder: str, entries: int) -> Mapping[str, Any]:
    """Fill a ledger up to `entries`, in large commits, past the sequencer."""
    engine = create_database(Path(folder) / _DATABASE)
    _begin_ledger(engine, Path(folder))
    log = _log(engine, Path(folder))
    # An entry like any other; only its number differs, for to encode each would take most of the time.
    head, tail = encode_entry(Event(EventKind.CONTENT_READ, now_utc(), "vault", {"n": 0})).split(b'"n":0')
    begin = time.perf_counter()
    while log.size < entries:
        count = min(_PER_COMMIT, entries - log.size)
        batch = [b'%b"n":%d%b' % (head, log.size + i, tail) for i in range(count)]
        with writing(engine).begin() as connection:
            written = log.write_entries(connection, batch)
        log.adopt(written)
    seconds = time.perf_counter() - begin
    engine.dispose()
    return {"entries": entries, "growth_s": round(seconds, 1)}


def timed_proofs(folder: str, entries: int) -> Mapping[str, Any]:
    """Take up the ledger anew, and prove entries drawn at random under its newest checkpoint; verify each proof."""
    engine = open_database(Path(folder) / _DATABASE)
    begin = time.perf_counter()
    log = _log(engine, Path(folder))
    restart = time.perf_counter() - begin
    note = log.signed(log.checkpoint())
    proofs, receipts = [], []
    for _ in range(_PROOFS):
        index = secrets.randbelow(entries)
        with engine.connect() as connection:
            begin = time.perf_counter()
            own = log.receipt(connection, index)
            receipts.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        proof = log.receipt_at(own.entry, index, entries, note)
        proofs.append(time.perf_counter() - begin)
        proof.verify(log.key)
    engine.dispose()
    return {
        "restart_ms": round(restart * 1000, 2),
        "proof_median_ms": round(percentile(proofs, 50) * 1000, 3),
        "proof_p99_ms": round(percentile(proofs, 99) * 1000, 3),
        "stored_receipt_median_ms": round(percentile(receipts, 50) * 1000, 3),
    }


def _begin_ledger(engine: Engine, folder: Path) -> None:
    """Make an empty ledger with a key of its own."""
    key = Ed25519PrivateKey.generate()
    (folder / _KEY).write_bytes(key.private_bytes_raw())
    values = {
        "id": "ledger",
        "origin": "bench/ledger",
        "vkey": VerifierKey.named("bench/ledger", key.public_key().public_bytes_raw()).encode(),
        "signing_key_id": "bench",
        "state": "open",
        "size": 0,
        "compact_range": b"",
    }
    with writing(engine).begin() as connection:
        connection.execute(insert(LedgerRow), [values])


def _log(engine: Engine, folder: Path) -> Log:
    """Take up the ledger where its row says it stands."""
    key = Ed25519PrivateKey.from_private_bytes((folder / _KEY).read_bytes())
    names = [column.key for column in LedgerRow.__mapper__.column_attrs]
    with engine.connect() as connection:
        row = connection.execute(select(*(getattr(LedgerRow, name) for name in names))).mappings().one()
    return Log(engine, LedgerRow(**row), key.sign)


def _append(vault: Vault, number: int) -> None:
    event = Event(EventKind.CONTENT_READ, now_utc(), "vault", {"n": number})
    ledger_id = vault.ground.log_of(CONTRACT).id

    def change(transaction: Transaction) -> None:
        transaction.append(ledger_id, event)

    vault.ground.sequencer.run(change, ledger_id)


def _receipt(vault: Vault, number: int) -> str:
    event = Event(EventKind.CONTENT_READ, now_utc(), "vault", {"n": number})
    log = vault.ground.log_of(CONTRACT)
    done = vault.ground.sequencer.run(lambda transaction: transaction.append(log.id, event), log.id)
    [appended] = done.appended
    return log.receipt_at(appended.entry, appended.index, appended.size, appended.note).encode()

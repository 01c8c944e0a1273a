"""Verification of a whole vault from its files: everything replayed, opened and compared. Changes nothing.

1. The database is whole, of a known schema, with every reference kept.
2. The key store and both epoch slots are whole, and every bucket has its key.
3. Each ledger gives the roots of all its checkpoints, its tiles, its published files and the guard.
4. Every row is what the events say it is.
5. Every record opens, in every copy, to the bytes that were deposited.
6. Every sealed part of an event opens to what the ledger committed to.
7. Where there is a second disk, it gives the same ledgers as the database.
8. Of what stations number, the verdict says what never arrived.
A check that could not finish is a finding.
"""

import gc
import multiprocessing
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, bindparam, func, select

from vault.errors import IntegrityError, KuraError, UnavailableError
from vault.evidence.copies_check import OWED_COPIES
from vault.evidence.ledger_check import Known, Replay, compare_known, compare_published, known_sizes
from vault.evidence.parts_check import check_envelopes, check_parts
from vault.evidence.records_check import RecordsCheck, is_deposit
from vault.evidence.rows_check import EventRows
from vault.evidence.second_check import check_second_disk
from vault.evidence.verdict import Report, Verdict
from vault.keys.keystore import KeyStore
from vault.ledger.event import decode_entry
from vault.ledger.guard import Guard
from vault.ledger.log import Log
from vault.records.numbering import Numbers, numbers_from
from vault.records.shadows import find_shadows
from vault.sealing.bucket_secrets import BucketSecrets
from vault.storage.objects import ObjectStore, is_object_name
from vault.storage.second.rows_folder import RowsFolder
from vault.storage.statement import Statement
from vault.storage.tables import LedgerRow, ObjectRow, RecordRow, StationRow
from vault.storage.whole import require_whole

T = TypeVar("T")
_RECORDS_PER_PAGE = 64
_NAMES_PER_QUERY = 500
_CHILDREN = 2
_NAMES = Statement(select(ObjectRow.name).where(ObjectRow.name.between(bindparam("first"), bindparam("last"))))


@dataclass(frozen=True, slots=True)
class VaultFiles:
    """A vault's parts, opened for reading only."""

    vault_id: str
    engine: Engine
    logs: Sequence[Log]
    guard: Guard
    ledgers: Path  # folder of the published ledgers
    stores: Sequence[ObjectStore]
    keys: KeyStore | None  # None: keyless
    secrets: BucketSecrets | None
    second: RowsFolder | None = None  # of the second disk, where there is one


def verify(files: VaultFiles, report: Report) -> Verdict:
    """Check everything; the verdict is sound only if every check came to its end with nothing found."""
    verdict = Verdict()
    stage = _Stage(verdict)
    away = {place for place, store in enumerate(files.stores) if not stage.is_there(store)}
    check = RecordsCheck(files.engine, files.stores, files.secrets, away)
    if files.keys is not None:
        stage.run("keys/store", files.keys.check)
    # What lies outside the database is read first: a vault at work only moves the database ahead of it.
    known = {log.id: known_sizes(log, files.guard, files.ledgers / log.id, verdict) for log in files.logs}
    files.engine.dispose()
    context = multiprocessing.get_context("fork")
    with (
        _spared_from_collection(),
        ProcessPoolExecutor(_CHILDREN, mp_context=context, initializer=_in_child, initargs=(check,)) as pool,
        files.engine.connect() as connection,
        connection.begin(),
    ):
        # The first page forks the children, before any thread exists; this one connection they set aside, unused.
        # Every bucket is opened before that: no child may use its parent's HSM.
        stage.run("buckets", lambda: check.open_all(connection))
        pages = stage.run("records", lambda: [pool.submit(_page_in_child, page) for page in _pages(connection)]) or []
        total = stage.run("database", lambda: _count_of_whole(connection))
        if total is None:  # what the other checks say of a damaged database means nothing
            pool.shutdown(cancel_futures=True)
            return verdict
        deposits = stage.run("ledgers", lambda: _check_ledgers(files, connection, known, verdict, report))
        stage.run("stores", lambda: _check_stores(files, connection, away, verdict))
        stage.run("stations", lambda: verdict.numbers.update(_numbers(connection)))
        if (second := files.second) is not None:
            stage.run("second disk", lambda: check_second_disk(connection, second, verdict))
        stage.run("envelopes", lambda: check_envelopes(connection, verdict))
        for done, page in enumerate(pages, 1):
            stage.run("records", lambda page=page: verdict.join(page.result()))  # type: ignore[misc]  # a default argument
            report("records", min(done * _RECORDS_PER_PAGE, total), total)
    if owed := verdict.counts[OWED_COPIES]:
        verdict.found("copies", UnavailableError("copies-owed", count=owed))
    if deposits != total:
        verdict.found("records", IntegrityError("records-differ-in-number", events=deposits or 0, rows=total))
    verdict.counts["records"] += total
    return verdict


@contextmanager
def _spared_from_collection() -> Iterator[None]:
    """Have nothing that exists already searched for garbage: a child would copy all the memory that it marks."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


_CHECK: RecordsCheck | None = None


def _in_child(check: RecordsCheck) -> None:
    global _CHECK  # noqa: PLW0603 - how a pool's initializer hands something to its tasks
    _CHECK = check
    check.engine.dispose(close=False)


def _page_in_child(record_ids: Sequence[str]) -> Verdict:
    if _CHECK is None:
        raise IntegrityError("check-unfinished", reason="the child process was not initialized")
    return _CHECK.page(record_ids)


class _Stage:
    """Runs checks; what keeps one from its end becomes a finding."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    def is_there(self, store: ObjectStore) -> bool:
        """Ask a store whether it is there; where not, that is one finding and not one for each record."""
        before = len(self._verdict.findings)
        self.run(store.label, store.require_there)
        return len(self._verdict.findings) == before

    def run(self, what: str, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except KuraError as error:
            self._verdict.found(what, error)
        except Exception as error:  # noqa: BLE001 - a check that crashed is never a pass
            self._verdict.found(what, IntegrityError("check-unfinished", reason=type(error).__name__))
        return None


def _count_of_whole(connection: Connection) -> int:
    """Check that the database is whole; give the number of its records."""
    require_whole(connection)
    return connection.scalar(select(func.count()).select_from(RecordRow)) or 0


def _pages(connection: Connection) -> Iterator[Sequence[str]]:
    ids = select(RecordRow.id).order_by(RecordRow.id)
    return connection.scalars(ids, execution_options={"yield_per": _RECORDS_PER_PAGE}).partitions()


def _check_ledgers(
    files: VaultFiles, connection: Connection, known: Mapping[str, Known], verdict: Verdict, report: Report
) -> int:
    """Replay every ledger; give the number of deposits in all of them."""
    deposits, said, commitments = 0, EventRows(), {}
    replays: dict[str, Replay] = {}
    names = [column.key for column in LedgerRow.__mapper__.column_attrs]
    rows = connection.execute(select(*(getattr(LedgerRow, name) for name in names))).mappings().all()
    by_id = {row["id"]: LedgerRow(**row) for row in rows}
    for log in files.logs:
        replay = replays[log.id] = Replay(connection, log, by_id[log.id], verdict)
        sizes = {checkpoint.size for _, checkpoint in known[log.id]}
        for index, entry in replay.entries(sizes, report):
            if is_deposit(entry):
                deposits += 1
                continue
            decoded = decode_entry(entry)
            said.take(log.id, index, decoded.event)
            if decoded.part is not None:
                commitments[log.id, index] = decoded.part
    for log in files.logs:
        compare_known(by_id[log.id], known[log.id], replays[log.id].roots, said.lost.get(log.id, {}), verdict)
        published = [checkpoint for place, checkpoint in known[log.id] if place.endswith("/checkpoint")]
        published_size = published[0].size if published else 0
        compare_published(replays[log.id], log, files.ledgers / log.id, published_size, verdict)
    said.compare(connection, files.keys, verdict)
    check_parts(connection, commitments, files.secrets, verdict)
    return deposits


def _numbers(connection: Connection) -> dict[str, Numbers]:
    """Say of every station what arrived; the rows that it is read from are compared with the ledger by others."""
    names = connection.scalars(select(StationRow.name).order_by(StationRow.name)).all()
    return {name: numbers_from(connection, name) for name in names}


def _check_stores(files: VaultFiles, connection: Connection, away: Collection[int], verdict: Verdict) -> None:
    """Look for files that no row names: orphans of a crash are worth a note, for the sweep takes them."""
    there = {place: store for place, store in enumerate(files.stores) if place not in away}
    for store in there.values():
        orphans = foreign = 0
        names = (found.address.name for found in store.listed())
        while page := list(islice(names, _NAMES_PER_QUERY)):
            ours = {name for name in page if is_object_name(files.vault_id, name)}
            foreign += len(page) - len(ours)
            # Names come shard by shard: few that are not of this page lie between its first and its last.
            bounds = {"first": min(ours, default=""), "last": max(ours, default="")}
            orphans += len(ours.difference(name for (name,) in _NAMES.rows(connection, bounds)))
        if orphans:
            verdict.notes.append(f"{store.label}: {orphans} objects without a row")
        if foreign:
            verdict.notes.append(f"{store.label}: {foreign} files that are not this vault's")
    shadowed = Counter(place for place, _ in find_shadows(connection, files.vault_id, there.items()))
    for place, count in shadowed.items():
        verdict.notes.append(f"{there[place].label}: {count} objects have another version laid over them")

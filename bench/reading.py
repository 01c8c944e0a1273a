"""Verifying and reading back, against the yardstick's own reading back of the same files.

A vault is filled once and then read again and again: readings change nothing but the ledger, which grows.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bench.against import contest, yardstick_get
from bench.child import run
from bench.options import Options
from bench.result import Result
from bench.threads import share
from bench.vaults import CONTRACT, make_vault, manager, opened, timed_import
from vault.bootstrap import verify_vault
from vault.people.purpose import ViewPurpose
from vault.records.reading import Purpose, Reading
from vault.records.vault import Vault
from vault.storage.tables import RecordRow

_PAGE = 500  # records that one event names
_PURPOSE = Purpose(ViewPurpose.RESTORE_TEST)
_BULK_THREADS, _READERS = 2, 8  # as many as the yardstick has; as many people as read at one time


def verify(options: Options) -> Result:
    """A whole vault of 5,000 PDFs verified from its files, every byte opened and hashed."""
    return _read_back("verify", options, timed_verify)


def read_bulk(options: Options) -> Result:
    """5,000 PDFs read to their last byte, under events that name 500 records each."""
    return _read_back("read-bulk", options, timed_bulk)


def read_each(options: Options) -> Result:
    """5,000 PDFs read to their last byte by 8 readers, with a durable event for every reading."""
    return _read_back("read-each", options, timed_each)


def timed_verify(folder: str) -> Mapping[str, Any]:
    """Verify a vault; a vault that is not sound fails the benchmark."""
    begin = time.perf_counter()
    verdict = verify_vault(Path(folder), None)
    seconds = time.perf_counter() - begin
    if not verdict.is_sound:
        raise RuntimeError(verdict.findings[0].sentence("en"))
    return {"seconds": seconds, "counts": verdict.counts}


def timed_bulk(folder: str) -> Mapping[str, Any]:
    """Read every record of a vault under events that name many."""
    with opened(Path(folder)) as vault:
        record_ids, actor = _record_ids(vault), manager(vault)
        pages = [record_ids[first : first + _PAGE] for first in range(0, len(record_ids), _PAGE)]

        def read(page: Sequence[str]) -> None:
            for reading in vault.readings.read_many(actor, CONTRACT, page, _PURPOSE):
                _read_to_end(reading)

        begin = time.perf_counter()
        share(pages, read, _BULK_THREADS)
        return {"seconds": time.perf_counter() - begin}


def timed_each(folder: str) -> Mapping[str, Any]:
    """Read every record of a vault under an event of its own."""
    with opened(Path(folder)) as vault:
        record_ids, actor = _record_ids(vault), manager(vault)
        begin = time.perf_counter()
        share(
            record_ids,
            lambda record_id: _read_to_end(vault.readings.read(actor, CONTRACT, record_id, _PURPOSE)),
            _READERS,
        )
        return {"seconds": time.perf_counter() - begin}


def _read_back(name: str, options: Options, timed: Callable[[str], Mapping[str, Any]]) -> Result:
    inputs = options.pdfs()
    folder = options.fresh("vault")
    make_vault(folder)
    run(timed_import, folder, inputs.folder)
    return contest(
        name,
        options,
        inputs,
        lambda: float(run(timed, folder).figures["seconds"]),
        yardstick_get(options, inputs),
    )


def _record_ids(vault: Vault) -> list[str]:
    with vault.ground.engine.connect() as connection:
        return list(connection.scalars(select(RecordRow.id)))


def _read_to_end(reading: Reading) -> None:
    count = sum(len(part) for part in reading.parts())
    if count != reading.content_bytes:
        raise RuntimeError(reading.record_id)

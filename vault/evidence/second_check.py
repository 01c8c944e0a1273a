"""The second disk compared with the database: what `kura rebuild` would make of it has the same ledgers.

Every byte of base and rows file is read and its digest compared; then the ledgers' sizes at the database's own change.
"""

import sqlite3

from sqlalchemy import Connection

from vault.errors import IntegrityError, UnavailableError
from vault.evidence.verdict import Verdict
from vault.storage.second.rows_folder import HEADS, Held, RowsFolder

_ATTEMPTS = 5


def check_second_disk(connection: Connection, rows: RowsFolder, verdict: Verdict) -> None:
    """Compare as of the moment that `connection` sees; a vault at work may be ahead of it on both disks.

    Raises:
        UnavailableError: `second-disk-away`.
        IntegrityError: base or rows file are damaged or missing, behind the database, or of other ledgers.
    """
    if not rows.folder.is_dir():
        raise UnavailableError("second-disk-away", reason="FileNotFoundError")
    number: int = connection.exec_driver_sql("PRAGMA user_version").scalar() or 0
    heads = {str(row[0]): int(row[1]) for row in connection.exec_driver_sql(HEADS).all()}
    held = _held(rows, number)
    if held.heads is not None and held.heads != heads:
        raise IntegrityError("second-disk-differs", number=number)
    if held.heads is None and held.last < number:
        raise IntegrityError("second-disk-behind", stored=number, held=held.last)
    # Else a vault at work has made a newer base since.
    if held.is_cut:
        verdict.notes.append(f"second disk: bytes after change {held.last} that are no whole change")
    verdict.counts["changes on the second disk"] += held.count


def _held(rows: RowsFolder, number: int) -> Held:
    for _ in range(_ATTEMPTS - 1):
        try:
            return rows.held(number)
        except (OSError, sqlite3.Error):
            continue  # a vault at work has replaced the files meanwhile
    try:
        return rows.held(number)
    except (OSError, sqlite3.Error) as error:
        raise UnavailableError("second-disk-away", reason=type(error).__name__) from error

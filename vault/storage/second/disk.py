"""The second disk at work: what every commit of the database did is on it before anybody is told of the commit.

Order of writes, and what a crash after each step leaves:
1. in the commit's transaction its number, then its record into the rows file, not synced – a record whose commit did
   not happen: the next opening, or the next commit, puts another in its place;
2. the commit – on the first disk alone after a power cut: the next opening finds the rows file behind and makes a new
   base; after a kill of the process the record is there, too;
3. the rows file synced, then this disk's guard; beside them the first disk's guard – nobody was told;
4. the answer.
A disk that fails, or whose folder is not this vault's any more, is away from then on: commits go on without it, marked,
until `take_back` finds it again and has made a new base. Where the *first* disk is away nothing is committed.
"""

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, event

from vault.errors import IntegrityError, UnavailableError
from vault.service_log import service_log
from vault.storage.second.recorded import RecordedConnection
from vault.storage.second.rows_file import START, Record, RowsHeader, RowsWriter, next_number
from vault.storage.second.rows_folder import HEADS, RowsFolder, Standing, stored_heads, stored_number, sync_folder

MIN_ROWS_BYTES = 16 << 20
"""Rows files may grow to the size of the database, and to this in any case, before a new base replaces them."""

_MARK = "kura.toml"
_LOCK_TIMEOUT_S = 30.0


class SecondDisk:
    """The rows file of an opened vault, on its second disk. Safe to use from several threads."""

    def __init__(self, folder: Path, vault_id: str, database: Path) -> None:
        """Name the second disk's folder and the database; nothing is read yet, and nothing written before `begin`."""
        self.folder = folder
        self._vault_id = vault_id
        self._database = database
        self._at_opening = _identity(database)
        self.rows = RowsFolder(folder / "rows", vault_id)
        self._lock = threading.Lock()  # taken under the database's write lock, never the other way
        self._renewing = threading.Lock()
        self._writer: RowsWriter | None = None
        self._is_whole = False
        self._reason: str | None = "not-begun"

    @property
    def reason(self) -> str | None:
        """Why the second disk lacks something (an error's name or code), or None where it has everything."""
        return self._reason if not self._is_whole else None

    @property
    def is_first_away(self) -> bool:
        """Whether the database is not at its path any more: SQLite would go on writing into a file without a name."""
        return _identity(self._database) != self._at_opening

    @property
    def is_there(self) -> bool:
        """Whether the folder is there and this vault's; an empty folder is a disk that is not mounted."""
        with suppress(OSError):
            return self._vault_id in (self.folder / _MARK).read_text("utf-8", "replace")
        return False

    def attach(self, engine: Engine) -> None:
        """Record what is committed by `writing(engine)`, whose connections are `RecordedConnection`s."""
        event.listen(engine, "begin", self._on_begin)
        event.listen(engine, "commit", self._on_commit)
        event.listen(engine, "rollback", self._on_rollback)

    def begin(self) -> bool:
        """Go on where the rows file stands, or make a new base, and say whether that was so.

        Called when the ledgers have not gone back: else the older rows would replace the newer. Where it fails the disk
        is away.
        """
        try:
            self._require_there()
            (self.folder / "rows").mkdir(mode=0o700, exist_ok=True)
            if not self._continue():
                self.renew()
                return True
        except (OSError, sqlite3.Error, IntegrityError) as error:
            self.lost(error)
        return False

    def take_back(self) -> bool:
        """Make a new base, as the disk had been away and is there again; say whether it has everything now."""
        with self._renewing:
            try:
                self._require_there()
                (self.folder / "rows").mkdir(mode=0o700, exist_ok=True)
                self.renew()
            except (OSError, sqlite3.Error) as error:
                self.lost(error)
        return self._is_whole

    def require_not_outgrown(self) -> None:
        """Make a new base where the rows file has outgrown the database."""
        writer = self._writer
        if writer is None or not self._is_whole:
            return
        with suppress(OSError):
            if writer.place.end <= max(MIN_ROWS_BYTES, self._database.stat().st_size):
                return
        with self._renewing:
            try:
                self.renew()
            except (OSError, sqlite3.Error) as error:
                self.lost(error)

    def sync(self) -> None:
        """Make what was recorded durable; where that fails the disk is away, and nobody waits for it."""
        writer = self._writer
        if writer is None:
            return
        try:
            writer.sync()
        except OSError as error:
            with self._lock:
                if self._writer is not writer:  # a new base was begun meanwhile, which synced what this one held
                    return
            self.lost(error)

    def lost(self, error: Exception) -> None:
        """Mark the disk as away."""
        reason = error.code if isinstance(error, IntegrityError) else type(error).__name__
        with self._lock:
            writer, was = self._writer, self._reason
            self._writer, self._is_whole, self._reason = None, False, reason
        if writer is not None:
            writer.close()
        if was != reason:
            service_log().error("second-disk-away", reason=reason)

    def renew(self) -> None:
        """Begin a rows file, make a base, and remove what both replace; deposits go on meanwhile.

        Raises:
            OSError, sqlite3.Error: a disk failed; what was there before still stands.
        """
        generation = self._begin_rows_file()
        # A crash from here on: the older base, the older rows files and the new one are read together.
        self.rows.write_base(generation, self._database)
        self.rows.remove_before(generation)
        with self._lock:
            if self._writer is not None:  # it was not lost meanwhile
                self._is_whole, self._reason = True, None

    def close(self) -> None:
        """Make what was recorded durable and let go of the files."""
        self.sync()
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _require_there(self) -> None:
        if not self.is_there:
            raise FileNotFoundError(self.folder.name)

    def _continue(self) -> bool:
        """Go on with the newest rows file where it gives the database as it stands."""
        if self.rows.newest_generation() == 0:
            return False  # a new disk
        try:
            standing = self.rows.standing()
        except IntegrityError as error:
            service_log().warning("rows-file-replaced", code=error.code)
            return False
        with closing(sqlite3.connect(f"file:{quote(str(self._database))}?mode=ro", uri=True)) as connection:
            number, heads = stored_number(connection), stored_heads(connection)
        if not _is_at(standing, number, heads):
            return False
        place = standing.place if standing.place.number == number else standing.before
        with self._lock:
            self._writer = RowsWriter.resume(self.rows.rows(standing.generation), place)
            self._is_whole, self._reason = True, None
        return True

    def _begin_rows_file(self) -> int:
        """Begin a rows file between two commits: the write lock is held, so that none is under way."""
        with closing(_writing(self._database)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            number = stored_number(connection)
            with self._lock:
                former = self._writer
                if former is not None:
                    if former.place.number != number:
                        former.take_back()
                    former.sync()
                generation = self.rows.newest_generation() + 1
                header = RowsHeader(self._vault_id, number, former.place.digest if former is not None else START)
                self._writer = RowsWriter.create(self.rows.rows(generation), header)
                sync_folder(self.rows.folder)
            connection.execute("ROLLBACK")
        if former is not None:
            former.close()
        return generation

    def _on_begin(self, connection: Connection) -> None:
        if connection.get_execution_options().get("kura_write", False):
            _raw(connection).changes = []

    def _on_rollback(self, connection: Connection) -> None:
        if connection.get_execution_options().get("kura_write", False):
            raw = _raw(connection)
            raw.changes, raw.is_doubtful = None, False

    def _on_commit(self, connection: Connection) -> None:
        if not connection.get_execution_options().get("kura_write", False):
            return
        raw = _raw(connection)
        changes = raw.taken()
        if not changes:
            return
        if self.is_first_away:
            raise UnavailableError("first-disk-away")
        before = stored_number(raw)
        number = next_number(before)
        raw.execute(f"PRAGMA user_version = {number}")
        if self._writer is not None:
            self._write(before, Record(number, dict(raw.execute(HEADS).fetchall()), changes))

    def _write(self, before: int, record: Record) -> None:
        try:
            with self._lock:
                writer = self._writer
                if writer is None:
                    return
                if writer.place.number != before:  # the commit before this one failed
                    writer.take_back()
                writer.append(record)
        except OSError as error:
            self.lost(error)


def _is_at(standing: Standing, number: int, heads: dict[str, int]) -> bool:
    """Whether base and rows files give the database, but perhaps for one record whose commit did not happen."""
    if standing.place.number == number:
        return standing.record is None or standing.record.heads == heads
    # The heads of the record before are not compared: they are those of a database that the guards let pass.
    return standing.before != standing.place and standing.before.number == number


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _raw(connection: Connection) -> RecordedConnection:
    raw = connection.connection.dbapi_connection
    if not isinstance(raw, RecordedConnection):  # pragma: no cover - `attach` is given an engine that has them
        raise TypeError(type(raw))
    return raw


def _writing(database: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(database))}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=_LOCK_TIMEOUT_S, isolation_level=None)

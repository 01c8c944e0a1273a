"""What lies in the second disk's `rows/`: a base (the database as of one commit) and the rows files that follow it.

    base-00000007.db, base-00000007.sha256   the newest base and its digest, as `sha256sum` writes it
    rows-00000007, rows-00000008, …          what came since; while a new base is made there are two

A base is written beside, synced and renamed, its digest before it; older generations go only afterwards. So at every
moment the newest base and the rows files from its generation on give the database as of the newest whole record.
"""

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from vault.errors import IntegrityError
from vault.storage.second.rows_file import Place, Record, RowsReading, next_number

_NAME = re.compile(r"(?:base-(\d{8})\.(?:db|sha256)(?:\.part)?|rows-(\d{8}))(?:-wal|-shm|-journal)?")
HEADS = "SELECT id, size FROM ledgers"


@dataclass(frozen=True, slots=True)
class Standing:
    """Up to which commit base and rows files go.

    Attributes:
        generation: of the newest rows file.
        place, before: in that file, after its last whole record and after the one before.
        record: the last record; None where no record follows the base.
        is_cut: whether something follows that does not continue it.
    """

    generation: int
    place: Place
    before: Place
    record: Record | None
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of one change.

    Attributes:
        heads: the ledgers' sizes after it; None where it is not among base and records.
        last: number of the last change that is held.
        count: how many records follow the base.
        is_cut: whether something follows that does not continue them.
    """

    heads: Mapping[str, int] | None
    last: int
    count: int
    is_cut: bool


class RowsFolder:
    """The folder `rows/` of a second disk."""

    def __init__(self, folder: Path, vault_id: str) -> None:
        """Name it."""
        self.folder = folder
        self._vault_id = vault_id

    def base(self, generation: int) -> Path:
        """Where a base stands."""
        return self.folder / f"base-{generation:08}.db"

    def rows(self, generation: int) -> Path:
        """Where a rows file stands."""
        return self.folder / f"rows-{generation:08}"

    def newest_generation(self) -> int:
        """Give the highest generation of any file here, 0 where there is none."""
        found = (_NAME.fullmatch(name) for name in (path.name for path in self.folder.iterdir()))
        return max((int(match[1] or match[2]) for match in found if match), default=0)

    def newest_base(self) -> int:
        """Give the newest base's generation.

        Raises:
            IntegrityError: `rows-base-missing`.
        """
        found = [int(path.name[5:13]) for path in self.folder.glob("base-????????.db")]
        if not found:
            raise IntegrityError("rows-base-missing")
        return max(found)

    def standing(self) -> Standing:
        """Read the rows files to their ends.

        Raises:
            IntegrityError: there is no base, or no file that follows it, or one is damaged or of another vault.
        """
        base = self.newest_base()
        found: Standing | None = None
        for generation, reading in self._readings(base):
            payload = b""
            for payload in reading.payloads():  # noqa: B007 - the last one is wanted
                pass
            record = Record.decode(payload) if payload else None
            found = Standing(generation, reading.place, reading.before, record, reading.is_cut)
        if found is None:
            raise IntegrityError("rows-file-missing", generation=base)
        if found.generation != self._newest_rows():
            return replace(found, is_cut=True)
        return found

    def held(self, number: int) -> Held:
        """Read base and rows files to their ends and say what is held of a change; errors as `standing`.

        Raises:
            IntegrityError: `rows-base-damaged`.
        """
        base = self.newest_base()
        self.require_base(base)
        with closing(sqlite3.connect(f"file:{quote(str(self.base(base)))}?immutable=1", uri=True)) as connection:
            last, heads_of_base = stored_number(connection), stored_heads(connection)
        heads: Mapping[str, int] | None = heads_of_base if last == number else None
        count, is_cut = 0, False
        for generation, reading in self._readings(base):
            for payload in reading.payloads():
                count += 1
                if reading.place.number == number:
                    heads = Record.decode(payload).heads
            last, is_cut = reading.place.number, reading.is_cut or generation != self._newest_rows()
        return Held(heads, last, count, is_cut)

    def records(self, base: int) -> Iterator[Record]:
        """Give every whole record from a base's generation on.

        Raises:
            IntegrityError: as `standing`; and `rows-file-damaged` for a record that is no commit.
        """
        for _, reading in self._readings(base):
            for payload in reading.payloads():
                record = Record.decode(payload)
                if record.number != reading.place.number:
                    raise IntegrityError("rows-file-damaged", record=reading.place.number)
                yield record

    def write_base(self, generation: int, database: Path) -> None:
        """Make a base of the database as it is now, beside whatever writes to it; durable on return.

        Raises:
            OSError, sqlite3.Error: a disk failed.
        """
        target = self.base(generation)
        part = target.with_name(target.name + ".part")
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        uri = f"file:{quote(str(database))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as reader, closing(sqlite3.connect(part)) as writer:
            reader.backup(writer)  # in one step: as of one commit
        digest = _synced_digest(part)
        # A crash here leaves a part and perhaps a digest without its base: the next base has another generation.
        _write(target.with_suffix(".sha256"), f"{digest}  {target.name}\n".encode())
        part.replace(target)
        sync_folder(self.folder)

    def remove_before(self, generation: int) -> None:
        """Remove what the base of this generation has replaced."""
        for path in self.folder.iterdir():
            match = _NAME.fullmatch(path.name)
            if match and int(match[1] or match[2]) < generation:
                path.unlink(missing_ok=True)
        sync_folder(self.folder)

    def require_base(self, generation: int) -> None:
        """Read a base to its end.

        Raises:
            IntegrityError: `rows-base-damaged`.
        """
        try:
            expected = self.base(generation).with_suffix(".sha256").read_text("utf-8").split(" ")[0]
            with self.base(generation).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, UnicodeDecodeError) as error:
            raise IntegrityError("rows-base-damaged", name=self.base(generation).name) from error
        if digest != expected:
            raise IntegrityError("rows-base-damaged", name=self.base(generation).name)

    def rebuild(self, target: Path) -> Standing:
        """Make the database anew at `target`, from the newest base and every whole record since.

        Raises:
            IntegrityError: as `standing`; or a record does not continue the rows, or does not give the heads it names.
            OSError, sqlite3.Error: a disk failed.
        """
        standing, base = self.standing(), self.newest_base()
        self.require_base(base)
        shutil.copyfile(self.base(base), target)
        target.chmod(0o600)
        with closing(sqlite3.connect(target, isolation_level=None)) as connection:
            for pragma in ("journal_mode = WAL", "synchronous = OFF", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
            has_begun = False
            for record in self.records(base):
                if record.number == next_number(stored_number(connection)):
                    _apply(connection, record)
                    has_begun = True
                elif has_begun:
                    raise IntegrityError("rows-file-gap", record=record.number)
                # Else the base holds it already: the file was begun before the base was made.
            if stored_number(connection) != standing.place.number:
                raise IntegrityError("rows-file-gap", record=standing.place.number)
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with target.open("rb") as file:
            os.fsync(file.fileno())
        return standing

    def _newest_rows(self) -> int:
        return max(int(path.name[5:]) for path in self.folder.glob("rows-????????"))

    def _readings(self, base: int) -> Iterator[tuple[int, RowsReading]]:
        """Open the rows files from a generation on; each must follow the one before it."""
        before: RowsReading | None = None
        for path in sorted(self.folder.glob("rows-????????")):
            generation = int(path.name[5:])
            if generation < base:
                continue
            with path.open("rb") as file:
                try:
                    reading = RowsReading.begin(file)
                except IntegrityError:
                    if before is None:
                        raise
                    return  # a crash cut it as it was begun: what came before stands
                if reading.header.vault_id != self._vault_id:
                    raise IntegrityError("rows-of-another-vault")
                if before is not None and (before.is_cut or before.place.digest != reading.header.follows):
                    return  # the disk was away in between: only a base made since would go on from here
                yield generation, reading
                before = reading


def stored_number(connection: sqlite3.Connection) -> int:
    """Give the number of the database's last commit."""
    number: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return number


def stored_heads(connection: sqlite3.Connection) -> dict[str, int]:
    """Give the sizes of all ledgers."""
    return dict(connection.execute(HEADS).fetchall())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _apply(connection: sqlite3.Connection, record: Record) -> None:
    """Run a commit again."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for sql, rows in record.changes:
            connection.executemany(sql, rows) if len(rows) != 1 else connection.execute(sql, rows[0])
        connection.execute(f"PRAGMA user_version = {record.number}")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise IntegrityError("rows-file-damaged", record=record.number) from error
    if stored_heads(connection) != record.heads:
        raise IntegrityError("rows-file-damaged", record=record.number)


def _synced_digest(path: Path) -> str:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)

"""The rows file and the recording connection, without a vault: exact values, every flipped byte, every cut."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vault.errors import IntegrityError
from vault.storage.second.recorded import Change, RecordedConnection
from vault.storage.second.rows_file import START, Place, Record, RowsHeader, RowsReading, RowsWriter, next_number
from vault.storage.second.rows_folder import RowsFolder, stored_number

VAULT = "0123456789abcdef"
SCHEMA = (
    "CREATE TABLE ledgers (id TEXT PRIMARY KEY, size INTEGER)",
    "CREATE TABLE things (id INTEGER PRIMARY KEY, value, note TEXT UNIQUE)",
)
NUMBERS = (0, -1, 2**63 - 1, -(2**63), 0.1, 1 / 3, 1e-320, math.inf)
VALUES = (None, *NUMBERS, "", "名前", "a\0b", "'; --", b"", bytes(range(256)))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[RecordedConnection]:
    path = tmp_path / "kura.db"
    with closing(sqlite3.connect(path, factory=RecordedConnection, isolation_level=None)) as connection:
        for statement in ("PRAGMA journal_mode = WAL", *SCHEMA):
            connection.execute(statement)
        yield connection


def committed(connection: RecordedConnection, *changes: Change) -> Record:
    """Run changes in a transaction, recorded, with the next number."""
    connection.execute("BEGIN IMMEDIATE")
    connection.changes = []
    for sql, rows in changes:
        connection.executemany(sql, rows)
    taken = connection.taken()
    number = next_number(stored_number(connection))
    connection.execute(f"PRAGMA user_version = {number}")
    connection.execute("COMMIT")
    return Record(number, {}, taken)


def written(folder: Path, records: list[Record], after: int = 0) -> Path:
    path = folder / "rows-00000001"
    writer = RowsWriter.create(path, RowsHeader(VAULT, after, START))
    for record in records:
        writer.append(record)
    writer.sync()
    writer.close()
    return path


def read(path: Path) -> tuple[list[Record], Place, bool]:
    with path.open("rb") as file:
        reading = RowsReading.begin(file)
        records = [Record.decode(payload) for payload in reading.payloads()]
        return records, reading.place, reading.is_cut


def contents(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT id, value, typeof(value), note FROM things ORDER BY id").fetchall()


def test_every_value_comes_back_exactly(database: RecordedConnection, tmp_path: Path) -> None:
    rows = RowsFolder(tmp_path / "rows", VAULT)
    rows.folder.mkdir()
    rows.write_base(1, tmp_path / "kura.db")
    values: list[tuple[object, ...]] = [(value, None) for value in VALUES]
    inserted = committed(database, ("INSERT INTO things (value, note) VALUES (?, ?)", values))
    written(rows.folder, [inserted, committed(database, ("DELETE FROM things WHERE id = ?", [(2,)]))])
    rows.rebuild(tmp_path / "again.db")
    assert contents(tmp_path / "again.db") == contents(tmp_path / "kura.db")
    assert len(contents(tmp_path / "again.db")) == len(VALUES) - 1


def test_a_failed_statement_of_many_rows_must_be_undone(database: RecordedConnection) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.changes = []
    database.execute("SAVEPOINT change")
    same = [(1, "same"), (2, "same")]
    with pytest.raises(sqlite3.IntegrityError):
        database.executemany("INSERT INTO things (value, note) VALUES (?, ?)", same)
    assert database.is_doubtful
    database.execute("ROLLBACK TO SAVEPOINT change")
    database.execute("RELEASE SAVEPOINT change")
    assert [sql.split()[0] for sql, _ in database.taken()] == ["SAVEPOINT", "ROLLBACK", "RELEASE"]
    database.changes = []
    with pytest.raises(sqlite3.IntegrityError):
        database.executemany("INSERT INTO things (value, note) VALUES (?, ?)", same)
    with pytest.raises(IntegrityError) as caught:
        database.taken()
    assert caught.value.code == "rows-unrecorded"


def test_every_cut_and_every_flipped_byte_is_found(tmp_path: Path) -> None:
    records = [Record(number, {"a": number}, [("X", [(number, b"\x00")])]) for number in (1, 2, 3)]
    path = written(tmp_path, records)
    whole = path.read_bytes()
    assert read(path)[0] == records
    assert not read(path)[2]
    ends = [place_after(whole, count) for count in range(4)]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        require_prefix(path, records, ends, length)
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        require_prefix(path, records, ends, position)


def place_after(whole: bytes, count: int) -> int:
    """Where so many records after the header end."""
    end = 0
    for _ in range(count + 1):
        end += 36 + int.from_bytes(whole[end : end + 4], "big")
    return end


def require_prefix(path: Path, records: list[Record], ends: list[int], damaged_at: int) -> None:
    """Require all records before the damage, none after it, and that it is said."""
    expected = sum(end <= damaged_at for end in ends[1:])
    if damaged_at < ends[0]:
        with pytest.raises(IntegrityError):
            read(path)
        return
    found, place, is_cut = read(path)
    assert found == records[:expected]
    assert place.end == ends[expected]
    assert is_cut == (path.stat().st_size != ends[expected])


def test_a_writer_goes_on_after_a_cut_and_takes_back(tmp_path: Path) -> None:
    records = [Record(number, {}, [("X", [(number,)])]) for number in (1, 2, 3)]
    path = written(tmp_path, records[:2])
    _, place, _ = read(path)
    path.write_bytes(path.read_bytes() + b"half a record")
    writer = RowsWriter.resume(path, place)
    writer.append(Record(3, {}, [("never committed, and longer than what comes in its place", [()])]))
    writer.take_back()
    writer.append(records[2])
    writer.sync()
    path.unlink()
    with pytest.raises(OSError, match="rows-00000001"):
        writer.sync()
    path.touch()
    with pytest.raises(OSError, match="rows-00000001"):
        writer.sync()
    writer.close()
    writer = RowsWriter.create(tmp_path / "other", RowsHeader(VAULT, 2, place.digest))
    writer.append(records[2])
    writer.close()
    assert read(tmp_path / "other")[0] == [records[2]]


def test_rows_files_that_do_not_fit_are_refused(database: RecordedConnection, tmp_path: Path) -> None:
    rows = RowsFolder(tmp_path / "rows", VAULT)
    rows.folder.mkdir()
    with pytest.raises(IntegrityError, match="no base"):
        rows.standing()
    rows.write_base(1, tmp_path / "kura.db")
    with pytest.raises(IntegrityError, match="no file"):
        rows.standing()
    first, second = (committed(database, ("INSERT INTO things (value) VALUES (?)", [(n,)])) for n in (1, 2))
    wrong = {
        "another": [Record(1, {"nobody": 3}, first.changes)],
        "gap": [first, Record(3, {}, second.changes)],
        "nonsense": [Record(1, {}, [("INSERT INTO nowhere VALUES (1)", [()])])],
    }
    for records in wrong.values():
        written(rows.folder, records)
        with pytest.raises(IntegrityError):
            rows.rebuild(tmp_path / "again.db")
        (rows.folder / "rows-00000001").unlink()
    written(rows.folder, [first, second])
    assert rows.rebuild(tmp_path / "again.db").place.number == 2
    with pytest.raises(IntegrityError, match="another vault"):
        RowsFolder(rows.folder, "f" * 16).standing()


def test_numbers_go_round() -> None:
    assert (next_number(0), next_number(41), next_number((1 << 31) - 1)) == (1, 42, 1)

"""SQLite's file: durable settings, never made by opening, in a folder of any name."""

import sqlite3
from pathlib import Path

import pytest
from ledger_vectors import refused
from sample_rows import AT
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import OperationalError

from vault.errors import IntegrityError, UnavailableError
from vault.storage.database import create_database, open_database, require_current_schema
from vault.storage.tables import PersonRow, RecordRow


def test_no_schema_at_all_is_unknown(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "kura.db").close()
    (tmp_path / "kura.db").touch()
    engine = open_database(tmp_path / "kura.db")
    with engine.connect() as connection, refused(IntegrityError, "schema-unknown"):
        require_current_schema(connection)
    engine.dispose()


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    with refused(UnavailableError, "database-missing"):
        open_database(tmp_path / "kura.db")
    assert list(tmp_path.iterdir()) == []


def test_a_database_whose_file_is_away_is_not_made_anew(filled: Engine, tmp_path: Path) -> None:
    filled.dispose()
    (tmp_path / "kura.db").rename(tmp_path / "away.db")
    with refused(UnavailableError, "database-away"), filled.connect() as connection:
        connection.scalar(select(RecordRow.id))
    assert not (tmp_path / "kura.db").exists()
    (tmp_path / "away.db").rename(tmp_path / "kura.db")
    with filled.connect() as connection:
        assert connection.scalar(select(RecordRow.id)) == "record"


def test_a_commit_is_on_the_disk(engine: Engine) -> None:
    with engine.connect() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names] == ["wal", 2, 1]


def test_a_read_only_database_takes_nothing(filled: Engine, tmp_path: Path) -> None:
    filled.dispose()
    reader = open_database(tmp_path / "kura.db", read_only=True)
    with reader.connect() as connection:
        assert connection.scalar(select(RecordRow.id)) == "record"
        with pytest.raises(OperationalError):
            connection.execute(insert(PersonRow), [{"number": "2", "added_at": AT}])
    reader.dispose()


@pytest.mark.parametrize("folder", ["with space", "案件 100%41?mode=memory#x", "a'b\"c;d&e=f"])
def test_the_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    create_database(tmp_path / folder / "kura.db").dispose()
    assert (tmp_path / folder / "kura.db").stat().st_size > 0
    open_database(tmp_path / folder / "kura.db", read_only=True).dispose()
    assert [path.name for path in tmp_path.iterdir()] == [folder]

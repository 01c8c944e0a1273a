"""Migrations: from every version to the newest, with rows in, to exactly the tables of the code; on both databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engines
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from ledger_vectors import refused
from sample_rows import ROWS
from sqlalchemy import Connection, Engine, Table, create_engine, insert, inspect, select

from vault.errors import IntegrityError
from vault.storage import database
from vault.storage.database import create_database, migrate, open_database, require_current_schema, writing
from vault.storage.tables import Base, RecordRow

pytestmark = pytest.mark.both_worlds
MIGRATIONS = Path(database.__file__).parent / "migrations"
VERSIONS = sorted(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_database(engines.empty_database() if engines.is_engines() else tmp_path / "kura.db")
    yield engine
    engine.dispose()


def test_the_migrations_make_exactly_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
        names = set(inspect(connection).get_table_names())
    assert names == set(Base.metadata.tables) | {"alembic_version"}


def test_the_migrations_make_the_checks_of_the_code_too(engine: Engine, tmp_path: Path) -> None:
    """What the comparison above does not look at: CHECK constraints, and whether references wait for the commit."""
    straight = create_engine(f"sqlite:///{tmp_path}/straight.db")
    if engines.is_engines():
        straight = open_database(engines.empty_database())
    with writing(straight).begin() as connection:
        Base.metadata.create_all(connection)

    def facts(of: Engine) -> set[tuple[str, str, str]]:
        found = set()
        with of.connect() as connection:
            seen = inspect(connection)
            for table in seen.get_table_names():
                checks = [(check["name"], check["sqltext"]) for check in seen.get_check_constraints(table)]
                references = [(key["name"], str(key.get("options"))) for key in seen.get_foreign_keys(table)]
                found |= {(table, str(name), said.replace('"', "")) for name, said in [*checks, *references]}
        return found

    assert facts(engine) == facts(straight) != set()
    straight.dispose()


def test_migrating_again_is_harmless(filled: Engine) -> None:
    migrate(filled)
    with filled.connect() as connection:
        require_current_schema(connection)
        assert connection.scalar(select(RecordRow.id)) == "record"


@pytest.mark.parametrize("version", ["9999", "0000", ""])
def test_a_schema_of_another_program_is_refused(engine: Engine, version: str) -> None:
    with writing(engine).begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")  # noqa: S608 - ours
    with engine.connect() as connection, refused(IntegrityError, "schema-unknown"):
        require_current_schema(connection)
    with refused(IntegrityError, "schema-unknown"):
        migrate(engine)


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_of_every_version_are_kept_by_the_newest(tmp_path: Path, version: str) -> None:
    (tmp_path / "kura.db").touch()
    engine = open_database(engines.empty_database() if engines.is_engines() else tmp_path / "kura.db")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with writing(engine).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        before = {name: add(connection, table) for name, table in tables(connection)}
    with engine.connect() as connection:
        if version != VERSIONS[-1]:
            code = "schema-outdated" if engines.is_engines() else "schema-unknown"
            with refused(IntegrityError, code):
                require_current_schema(connection)
    migrate(engine)
    with engine.connect() as connection:
        require_current_schema(connection)
        assert before["records"]["id"] == "record"
        for name, values in before.items():
            [row] = connection.execute(select(Base.metadata.tables[name])).mappings().all()
            assert {column: row[column] for column in values} == values
            assert [row[column] for column in set(row) - set(values)] == [None] * (len(row) - len(values))
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def tables(connection: Connection) -> list[tuple[str, Table]]:
    """The tables of which there is a sample row and that this version has, those first to which others refer."""
    known = set(inspect(connection).get_table_names())
    samples = {row.__tablename__ for row in ROWS}
    return [(table.name, table) for table in Base.metadata.sorted_tables if table.name in known & samples]


def add(connection: Connection, table: Table) -> dict[str, Any]:
    """Add the sample row, with the columns that this version has."""
    [sample] = [values for row, values in ROWS.items() if row.__tablename__ == table.name]
    columns = {column["name"] for column in inspect(connection).get_columns(table.name)}
    values = {name: value for name, value in sample.items() if name in columns}
    connection.execute(insert(table).values(values))
    return values

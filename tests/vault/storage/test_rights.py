"""What the service's own credentials cannot do in PostgreSQL, and what not even the owner does by accident."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import engines
import psycopg
import pytest
import vaults
from ledger_vectors import refused
from sample_rows import fill
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import IntegrityError as ConstraintError
from sqlalchemy.exc import ProgrammingError

from vault.bootstrap import migrate_database, open_vault
from vault.bootstrap.parts import make_database
from vault.errors import ConflictError, IntegrityError, RefusedError
from vault.settings import DatabaseSettings, KeySettings, Settings, VaultSettings, read_settings
from vault.storage.database import create_database, migrate, open_database, prepare_to_serve, require_empty, writing
from vault.storage.rights import RIGHTS
from vault.storage.tables import Base

pytestmark = pytest.mark.engines


@dataclass(frozen=True)
class Database:
    owner_url: str
    owner: Engine
    service: Engine

    def as_owner(self, statement: str) -> None:
        with writing(self.owner).begin() as connection:
            connection.execute(text(statement))

    def as_service(self, statement: str) -> None:
        with writing(self.service).begin() as connection:
            connection.execute(text(statement))


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    owner_url = engines.empty_database()
    owner = create_database(owner_url, engines.service_url(owner_url))
    service = open_database(engines.service_url(owner_url))
    fill(service)
    with writing(service).begin() as connection:
        connection.execute(text("INSERT INTO checkpoints VALUES ('city', 1, 'note')"))
        connection.execute(text("INSERT INTO tiles VALUES ('city', 1, 0, :hash)"), {"hash": bytes(32)})
    yield Database(owner_url, owner, service)
    service.dispose()
    owner.dispose()


def test_every_table_has_its_rights() -> None:
    assert set(RIGHTS) == set(Base.metadata.tables)


REFUSED = [
    *(f"UPDATE {table} SET {column} = {column}" for table, column in (  # noqa: S608 - from below
        ("events", "entry"), ("events", "entry_index"), ("checkpoints", "note"), ("event_parts", "sealed"),
        ("ledgers", "vkey"), ("ledgers", "origin"), ("ledgers", "signing_key_id"), ("ledgers", "contract_id"),
        ("contracts", "policy"), ("buckets", "public_key"), ("buckets", "key_id"), ("buckets", "state"),
        ("envelopes", "sealed"), ("records", "wrapped_key"), ("records", "trigger_date"), ("records", "bucket_id"),
        ("objects", "sealed_blake3"), ("index_tokens", "token"), ("persons", "number"), ("grants", "role"),
        ("certificates", "valid_until"), ("authorities", "certificate"), ("stations", "kind"), ("tiles", "level"),
        ("alembic_version", "version_num"),
    )),
    *(f"DELETE FROM {table}" for table, (_, may_delete) in RIGHTS.items() if not may_delete),  # noqa: S608 - ours
    *(f"TRUNCATE {table} CASCADE" for table in RIGHTS),
    "DROP TABLE events",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TRIGGER kura_kept ON events",
    "ALTER TABLE ledgers DROP CONSTRAINT ck_ledgers_size",
    "CREATE RULE gone AS ON INSERT TO events DO INSTEAD NOTHING",
    "CREATE TABLE public.mine (id integer)",
    "CREATE FUNCTION public.mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "SET session_replication_role = replica",
    "SET ROLE kura_owner",
    "ALTER ROLE kura_service SUPERUSER",
    "CREATE TEMPORARY TABLE events (id integer)",
]  # fmt: skip


@pytest.mark.parametrize("statement", REFUSED)
def test_the_services_own_credentials_cannot(database: Database, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="InsufficientPrivilege"):
        database.as_service(statement)


MISTAKES = [
    "UPDATE events SET entry = entry",
    "DELETE FROM events",
    "TRUNCATE events CASCADE",
    "UPDATE checkpoints SET note = 'another'",
    "DELETE FROM checkpoints",
    "TRUNCATE checkpoints",
    "UPDATE ledgers SET size = size - 1",
    "UPDATE ledgers SET origin = 'another'",
    "UPDATE ledgers SET vkey = 'another'",
    "UPDATE ledgers SET contract_id = NULL",
    "DELETE FROM ledgers",
    "TRUNCATE ledgers CASCADE",
]


@pytest.mark.parametrize("statement", MISTAKES)
def test_not_even_the_owner_does_it_by_accident(database: Database, statement: str) -> None:
    with pytest.raises(ConstraintError, match=r"append-only|only goes forward"):
        database.as_owner(statement)


def test_a_closed_ledger_stays_as_it_is(database: Database) -> None:
    insert = "INSERT INTO ledgers VALUES ('old', NULL, 'o', 'v', 'k', 'closed', 5, '')"
    database.as_service(insert)
    for change in ("state = 'open'", "size = 6"):
        with pytest.raises(ConstraintError, match="only goes forward"):
            database.as_service(f"UPDATE ledgers SET {change} WHERE id = 'old'")  # noqa: S608 - from above


def test_nobody_else_may_connect(database: Database) -> None:
    name = engines.name_of(database.owner_url)
    engines.sql("postgres", "CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    try:
        url = make_url(engines.service_url(database.owner_url)).set(username="stranger", password="stranger", query={})
        with pytest.raises(psycopg.OperationalError, match=r"CONNECT privilege|permission denied"):
            psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    finally:
        engines.sql("postgres", f"REVOKE ALL ON DATABASE {name} FROM stranger", "DROP ROLE stranger")


def test_who_owns_the_tables_does_not_serve(database: Database) -> None:
    with refused(RefusedError, "database-role-strong"):
        prepare_to_serve(database.owner)
    with refused(RefusedError, "database-role-strong"):
        migrate(database.owner, database.owner_url)


def test_a_superuser_does_not_serve(database: Database) -> None:
    engine = open_database(engines.superuser_url(database.owner_url))
    with refused(RefusedError, "database-role-strong"):
        prepare_to_serve(engine)
    engine.dispose()


TOO_STRONG = [
    "GRANT UPDATE ON events TO kura_service",
    "GRANT UPDATE (entry) ON events TO kura_service",
    "GRANT DELETE ON checkpoints TO kura_service",
    "GRANT TRUNCATE ON events TO kura_service",
    "GRANT TRIGGER ON events TO kura_service",
    "GRANT UPDATE ON events TO PUBLIC",
]


@pytest.mark.parametrize("grant", TOO_STRONG)
def test_a_right_too_many_is_refused_and_taken_back_by_a_migration(database: Database, grant: str) -> None:
    database.as_owner(grant)
    with refused(RefusedError, "database-role-strong"):
        prepare_to_serve(database.service)
    migrate(database.owner, engines.service_url(database.owner_url))
    prepare_to_serve(database.service)


@pytest.mark.parametrize("right", ["SELECT ON records", "INSERT ON events", "SELECT ON alembic_version"])
def test_a_right_too_few_is_named_and_given_again_by_a_migration(database: Database, right: str) -> None:
    database.as_owner(f"REVOKE {right} FROM kura_service")
    with pytest.raises((RefusedError, ProgrammingError), match=r"lacks its rights|alembic_version"):
        prepare_to_serve(database.service)
    migrate(database.owner, engines.service_url(database.owner_url))
    prepare_to_serve(database.service)


def test_a_database_with_a_vault_is_not_taken_for_another(database: Database) -> None:
    with refused(ConflictError, "database-not-empty"):
        require_empty(database.owner)
    create_database(database.owner_url, engines.service_url(database.owner_url)).dispose()  # repeatable
    settings = Settings(
        vault=VaultSettings(id="0" * 16, origin="kura.test"),
        keys=KeySettings(epoch_dir=Path("/nowhere")),
        database=DatabaseSettings(url=engines.service_url(database.owner_url)),
    )
    with refused(ConflictError, "database-not-empty"):
        make_database(Path("/nowhere"), settings, database.owner_url)


def test_a_vault_is_opened_with_the_newest_schema_only_and_its_owner_brings_it_there(tmp_path: Path) -> None:
    vault = vaults.new_vault(tmp_path)
    vault.close()
    url = read_settings(vault.folder).database.url
    assert url is not None
    owner_url = engines.owner_url(url)
    owner = open_database(owner_url)
    with writing(owner).begin() as connection:
        newest = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    with refused(IntegrityError, "schema-outdated"):
        open_vault(vault.folder, vaults.custodian())
    with refused(RefusedError, "owner-url-missing"):
        migrate_database(vault.folder, None)
    with writing(owner).begin() as connection:  # what 0005 makes is there already
        connection.execute(text("UPDATE alembic_version SET version_num = :newest"), {"newest": newest})
        connection.execute(text("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM kura_service"))
    owner.dispose()
    migrate_database(vault.folder, owner_url)
    open_vault(vault.folder, vaults.custodian()).close()

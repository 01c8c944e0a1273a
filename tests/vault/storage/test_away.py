"""A database that is stopped, killed, started anew or hangs: every verb says so, and goes on when it is back."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import engines
import pytest
import stored
import vaults
from crash_load import BytesSource
from station_keys import signing_request

from retention.roles import StationKind
from vault.bootstrap import open_vault, verify_vault
from vault.errors import UnavailableError
from vault.people.purpose import ViewPurpose
from vault.people.stations import Station, station_by_certificate
from vault.records.backup import back_up
from vault.records.health import health_of
from vault.records.numbering import newest_number
from vault.records.orphans import find_orphans
from vault.records.reading import Purpose
from vault.records.scrub import scrub
from vault.records.search import Query
from vault.records.vault import Vault
from vault.settings import DatabaseSettings

pytestmark = pytest.mark.engines
PATIENCE_S = 1.0
Verbs = Mapping[str, Callable[[], object]]


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    with engines.own_postgresql():
        yield


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """A vault of little patience."""
    owner_url = engines.new_database()
    url = engines.service_url(owner_url) + "&connect_timeout=2"
    database = DatabaseSettings(url=url, patience_s=PATIENCE_S)
    vault = vaults.new_vault(tmp_path, engines_used={"database": database, "owner_url": owner_url})
    yield vault
    engines.run("postgresql", "resume")
    engines.run("postgresql", "start")
    vault.close()


@pytest.fixture
def verbs(vault: Vault, tmp_path: Path) -> Verbs:
    """Everything that is asked of a vault, on one record; the people are known already."""
    clerk, manager, officer, admin = (
        vault.actor(number) for number in (vaults.OPERATOR, vaults.MANAGER, vaults.OFFICER, vaults.ADMIN)
    )
    ground, contract = vault.ground, vaults.CONTRACT

    def deposit() -> str:
        return vault.deposits.deposit(clerk, contract, vaults.request(), BytesSource(vaults.pdf(1))).record_id

    record_id = deposit()

    def read() -> None:
        reading = vault.readings.read(clerk, contract, record_id, Purpose(ViewPurpose.CASE_PROCESSING))
        assert b"".join(map(bytes, reading.parts())) == vaults.pdf(1)

    def enrol() -> object:
        station = Station(f"counter-{vaults.new_id()[-8:]}", StationKind.COUNTER, contract)
        return vault.enrolment.enrol(manager, station, signing_request())

    def make_backup() -> None:
        (tmp_path / "copy").mkdir(exist_ok=True)
        back_up(vault, admin, tmp_path / "copy", lambda *_: None)

    return {
        "certificate": lambda: ground.ready.run(lambda connection: station_by_certificate(connection, "0" * 64)),
        "newest number": lambda: ground.ready.run(lambda connection: newest_number(connection, "counter-1")),
        "person": lambda: vault.actor(vaults.OPERATOR),
        "receipt": lambda: vault.deposits.receipt(contract, record_id),
        "search": lambda: vault.searches.search(clerk, contract, Query()),
        "read": read,
        "deposit": deposit,
        "enrol": enrol,
        "health": lambda: health_of(ground).missing,
        "orphans": lambda: find_orphans(ground),
        "fixity": lambda: scrub(ground, vault.buckets, officer, contract, lambda _: None, lambda _: None),
        "backup": make_backup,
    }


def perform(verbs: Verbs) -> None:
    for name, verb in verbs.items():
        if name == "certificate":
            with pytest.raises(Exception, match="certificate"):
                verb()
        else:
            verb()


def assert_all_say_that_it_is_away(verbs: Verbs) -> None:
    said = {name: outcome(verb) for name, verb in verbs.items()}
    assert said == dict.fromkeys(verbs, "database-away") | {"health": ("database",)}


def outcome(verb: Callable[[], object]) -> object:
    """What a verb gives, or the code with which it says that it cannot."""
    try:
        return verb()
    except UnavailableError as error:
        return error.code


def assert_nothing_is_lost(vault: Vault) -> None:
    records = stored.rows(vault, "SELECT count(*) FROM records")
    vault.close()
    verdict = verify_vault(vault.folder, vaults.custodian())
    assert verdict.findings == []
    assert [(verdict.counts["records"],)] == records


def test_while_it_is_down_every_verb_says_so_and_then_goes_on(vault: Vault, verbs: Verbs) -> None:
    perform(verbs)
    engines.run("postgresql", "stop")
    assert_all_say_that_it_is_away(verbs)
    with pytest.raises(UnavailableError, match="does not answer"):
        open_vault_beside(vault)
    engines.run("postgresql", "start")
    perform(verbs)
    assert_nothing_is_lost(vault)


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_connections_from_before_a_restart_are_replaced_unnoticed(vault: Vault, verbs: Verbs, way: str) -> None:
    for _ in range(2):
        perform(verbs)
        engines.run("postgresql", way)
        engines.run("postgresql", "start")
    perform(verbs)
    assert_nothing_is_lost(vault)


def test_a_database_that_hangs_is_away_and_not_waited_for(vault: Vault, verbs: Verbs) -> None:
    few = {name: verbs[name] for name in ("newest number", "search", "deposit", "health")}
    perform(few)
    engines.run("postgresql", "pause")
    assert_all_say_that_it_is_away(few)
    engines.run("postgresql", "resume")
    perform(verbs)
    assert_nothing_is_lost(vault)


def test_a_statement_that_takes_too_long_is_given_up_by_the_server(vault: Vault) -> None:
    with vault.ground.engine.connect() as connection:
        with pytest.raises(UnavailableError) as caught:
            connection.exec_driver_sql("SELECT pg_sleep(60)")
        assert caught.value.facts["reason"] == "57014"
        connection.rollback()
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1  # the connection lives on


def test_a_session_that_an_administrator_ended_is_replaced(vault: Vault, verbs: Verbs) -> None:
    perform(verbs)
    engines.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'kura_service'")
    perform(verbs)
    assert_nothing_is_lost(vault)


def test_a_server_without_a_free_connection_is_away(vault: Vault) -> None:
    engines.sql("postgres", "ALTER ROLE kura_service CONNECTION LIMIT 0")
    try:
        vault.ground.engine.dispose()
        with pytest.raises(UnavailableError, match="does not answer"):
            vault.actor(vaults.OPERATOR)
    finally:
        engines.sql("postgres", "ALTER ROLE kura_service CONNECTION LIMIT -1")
    vault.actor(vaults.OPERATOR)


def open_vault_beside(vault: Vault) -> None:
    """Open the vault's folder once more; its lock is another process's, so a copy of the settings is used."""
    beside = vault.folder.with_name("beside")
    beside.mkdir(exist_ok=True)
    (beside / "kura.toml").write_text((vault.folder / "kura.toml").read_text())
    open_vault(beside)

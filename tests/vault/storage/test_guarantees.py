"""A server of PostgreSQL that could lose or skip what it was given is refused, with what to do about it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import engines
import pytest
import vaults
from ledger_vectors import refused

from vault.bootstrap import open_vault
from vault.errors import RefusedError, UnavailableError
from vault.storage import guarantees
from vault.storage.database import open_database

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module", autouse=True)
def _server() -> Iterator[None]:
    with engines.own_postgresql():
        yield


@pytest.fixture
def url() -> str:
    return engines.service_url(engines.empty_database())


def connect(url: str) -> None:
    engine = open_database(url)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


@pytest.fixture
def server_set() -> Iterator[Callable[[str, str], None]]:
    """Set what only the whole server can be set to, and set it back."""
    changed: list[str] = []

    def change(setting: str, value: str) -> None:
        changed.append(setting)
        engines.sql("postgres", f"ALTER SYSTEM SET {setting} = {value}")
        engines.reload(setting, value)

    yield change
    for setting in changed:
        engines.sql("postgres", f"ALTER SYSTEM RESET {setting}")
        engines.reload(setting, "on")


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_does_not_sync_is_refused(
    url: str, setting: str, server_set: Callable[[str, str], None], tmp_path: Path
) -> None:
    connect(url)
    vault = vaults.new_vault(tmp_path)
    vault.close()
    server_set(setting, "off")
    with refused(RefusedError, "database-not-durable"):
        connect(url)
    with refused(RefusedError, "database-not-durable"):
        open_vault(vault.folder)


@pytest.mark.parametrize("whose", ["DATABASE {name} SET", "ROLE kura_service IN DATABASE {name} SET"])
def test_a_commit_that_does_not_wait_for_the_disk_is_refused(url: str, whose: str) -> None:
    alter = "ALTER " + whose.format(name=engines.name_of(url)) + " synchronous_commit = {};"
    for fine in ("local", "remote_write", "on", "remote_apply"):
        engines.sql("postgres", alter.format(fine))
        connect(url)
    engines.sql("postgres", alter.format("off"))
    with refused(RefusedError, "database-not-durable"):
        connect(url)


def test_a_setting_that_was_changed_is_noticed_by_the_next_connection(url: str) -> None:
    engine = open_database(url)
    with engine.connect():
        engines.sql("postgres", f"ALTER DATABASE {engines.name_of(url)} SET synchronous_commit = off")
        with refused(RefusedError, "database-not-durable"):
            engine.connect()
    engine.dispose()


UNFIT = {
    "SQL_ASCII": ("ENCODING 'SQL_ASCII' LOCALE 'C'", "database-encoding"),
    "ICU": ("ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'ja-JP' LOCALE 'C'", "database-collation"),
}


@pytest.mark.parametrize(("how", "code"), UNFIT.values(), ids=UNFIT)
def test_a_database_that_does_not_sort_by_bytes_is_refused(url: str, how: str, code: str) -> None:
    name = engines.name_of(url)
    engines.sql("postgres", f"DROP DATABASE {name}", f"CREATE DATABASE {name} TEMPLATE template0 {how}")
    with refused(RefusedError, code):
        connect(url)


def test_a_database_of_unicodes_own_order_is_bytewise_too(url: str) -> None:
    name = engines.name_of(url)
    made = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
    engines.sql("postgres", f"DROP DATABASE {name}", made)
    connect(url)


def test_a_server_that_is_too_old_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No older one can be had here: more is asked for instead."""
    monkeypatch.setattr(guarantees, "OLDEST", 990000)
    with refused(RefusedError, "database-old"):
        connect(url)


def test_wrong_credentials_are_told_from_a_server_that_is_away(url: str, tmp_path: Path) -> None:
    wrong = tmp_path / "passfile"
    wrong.write_text("*:*:*:*:not the password\n")
    wrong.chmod(0o600)
    with refused(UnavailableError, "database-credentials"):
        connect(url.split("?", 1)[0] + f"?passfile={wrong}")
    with refused(UnavailableError, "database-credentials"):
        connect(url.split("?", 1)[0] + f"?passfile={tmp_path}/none")

"""Engines that are away: named by the vault's state, and deposits that outlive a database that restarts."""

import threading
from collections.abc import Iterator
from pathlib import Path

import engines
import pytest
import vaults
from sqlalchemy import func, select

from vault.ledger.batch import told
from vault.records.deposited import Deposited
from vault.records.health import health_of
from vault.records.vault import Vault
from vault.settings import DatabaseSettings
from vault.storage.losses import is_passing
from vault.storage.tables import RecordRow

pytestmark = pytest.mark.engines


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with engines.own_postgresql():
        owner_url = engines.new_database()
        database = DatabaseSettings(url=engines.service_url(owner_url))
        vault = vaults.new_vault(tmp_path, engines_used={"database": database, "owner_url": owner_url})
        yield vault
        vault.close()


def test_what_is_away_is_named_and_what_is_there_is_told(vault: Vault, tmp_path: Path) -> None:
    assert health_of(vault.ground).missing == ()
    engines.run("postgresql", "stop")
    (vault.folder / "objects/b").rename(tmp_path / "pulled")
    health = health_of(vault.ground)
    assert health.missing == ("database", "store 2")
    assert [ledger.is_open for ledger in health.ledgers] == [True, True]
    engines.run("postgresql", "start")
    (tmp_path / "pulled").rename(vault.folder / "objects/b")
    health = health_of(vault.ground)
    assert health.missing == ()
    assert [contract.id for contract in health.contracts] == [vaults.CONTRACT]


@pytest.mark.parametrize("away", ["kill", "pause"])
def test_deposits_outlive_a_database_that_restarts(vault: Vault, tmp_path: Path, away: str) -> None:
    actor = vault.actor(vaults.OPERATOR)
    done: list[Deposited] = []
    has_begun = threading.Semaphore(0)

    def work(first: int) -> None:
        for number in range(first, first + 4):
            request = vaults.request()
            while True:  # as a depositor does who is told that the vault is unavailable
                try:
                    source = vaults.source(vaults.pdf(number), tmp_path)
                    made = vault.deposits.deposit(actor, vaults.CONTRACT, request, source)
                except Exception as error:
                    if not is_passing(error) and told(error).code != "database-away":
                        raise
                    continue
                break
            done.append(made)
            has_begun.release()

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 10, 20)]
    for thread in threads:
        thread.start()
    has_begun.acquire()
    has_begun.acquire()
    engines.run("postgresql", away)
    engines.run("postgresql", "resume" if away == "pause" else "start")
    for thread in threads:
        thread.join()
    assert len(done) == 12
    assert vault.problem is None
    with vault.ground.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(RecordRow)) == 12
    for made in done:
        again = vault.deposits.receipt(vaults.CONTRACT, made.record_id)
        assert again.encode() == made.receipt.encode()

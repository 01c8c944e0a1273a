"""Connections kept ready: used again, never in a transaction, dropped after an error and with the database."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, QueuePool, insert, select

from vault.storage.ready import ReadyConnections
from vault.storage.statement import Statement
from vault.storage.tables import LedgerRow

SIZES = Statement(select(LedgerRow.size))


def itself(connection: Connection) -> Connection:
    assert SIZES.rows(connection, {}) == []
    return connection


def in_use(engine: Engine) -> int:
    assert isinstance(engine.pool, QueuePool)
    return engine.pool.checkedout()


def test_a_connection_is_used_again_and_is_in_no_transaction(engine: Engine) -> None:
    ready = ReadyConnections(engine)
    connection = ready.run(itself)
    assert ready.run(itself) is connection
    assert not connection.in_transaction()
    assert in_use(engine) == 1


def test_queries_at_one_time_have_a_connection_each(engine: Engine) -> None:
    ready = ReadyConnections(engine)
    outer, inner = ready.run(lambda connection: (itself(connection), ready.run(itself)))
    assert outer is not inner
    assert in_use(engine) == 2


def test_it_sees_what_others_have_committed_since(engine: Engine) -> None:
    ready = ReadyConnections(engine)
    ready.run(itself)
    with engine.begin() as connection:
        values = {"id": "l", "size": 7, "compact_range": b"", "vkey": "", "signing_key_id": "", "state": "open"}
        connection.execute(insert(LedgerRow), [values | {"origin": "kura.example/l"}])
    assert ready.run(lambda connection: SIZES.rows(connection, {})) == [(7,)]


def test_after_an_error_the_connection_goes_back_to_the_pool(engine: Engine) -> None:
    ready = ReadyConnections(engine)

    def fail(connection: Connection) -> None:
        connection.connection.cursor().execute("SELECT * FROM nothing_of_this_name")

    with pytest.raises(sqlite3.OperationalError):
        ready.run(fail)
    assert in_use(engine) == 0


def test_they_are_closed_with_the_database(engine: Engine, tmp_path: Path) -> None:
    ready = ReadyConnections(engine)
    connection = ready.run(itself)
    with engine.begin() as writing:
        writing.exec_driver_sql("CREATE TABLE things (id INTEGER)")
    engine.dispose()
    assert connection.closed
    # The last connection that is closed brings the log into the database file and removes it.
    assert [path.name for path in tmp_path.iterdir()] == ["kura.db"]
    assert not ready.run(itself).closed

"""Databases for the tests of this folder: one with the newest schema, and the same with a row of each table in it."""

from collections.abc import Iterator
from pathlib import Path

import engines
import pytest
from sample_rows import fill
from sqlalchemy import Engine

from vault.storage.database import create_database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_database(engines.new_database() if engines.is_engines() else tmp_path / "kura.db")
    yield engine
    engine.dispose()


@pytest.fixture
def filled(engine: Engine) -> Engine:
    return fill(engine)

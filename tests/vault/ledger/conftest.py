"""Ledgers for the tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledgers import LedgerBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LedgerBench]:
    """A bench with one empty ledger."""
    bench = LedgerBench(tmp_path).start()
    bench.open_ledger()
    yield bench
    bench.stop()


@pytest.fixture
def one(tmp_path: Path) -> Iterator[LedgerBench]:
    """A bench whose ledger has one event, in a folder beside which there is room for others."""
    bench = LedgerBench(tmp_path / "one").start()
    bench.open_ledger()
    bench.append(0)
    yield bench
    bench.stop()

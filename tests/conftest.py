"""The two worlds that tests run in: `--world embedded` (SQLite, folders, a sealed key file) and `--world engines`
(PostgreSQL, S3, an HSM). Tests marked `both_worlds` run in either, those marked `engines` in the second alone, all
others in the first alone. A world that ran no test fails.
"""

import os
from collections.abc import Iterator

import engines
import pytest

_WORLDS = ("embedded", "engines")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--world", choices=_WORLDS, default="embedded", help="which adapters the tests run on")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_worlds: runs on the embedded adapters and on real engines")
    config.addinivalue_line("markers", "engines: needs real engines")
    config.addinivalue_line("markers", "kills_engines: ends an engine that all workers use: it runs alone")
    config.addinivalue_line("markers", "in_buckets: on real engines its objects stand in buckets, elsewhere in folders")
    # For the support modules, and processes that a test starts.
    os.environ["KURA_TEST_WORLD"] = config.getoption("--world")
    if config.getoption("--world") == "engines" and not hasattr(config, "workerinput"):
        config.stash[_RUNNING] = engines.start()


def pytest_unconfigure(config: pytest.Config) -> None:
    running = config.stash.get(_RUNNING, None)
    if running is not None:
        running.stop()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    on_engines = config.getoption("--world") == "engines"
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        both, only = item.get_closest_marker("both_worlds"), item.get_closest_marker("engines")
        belongs = (both or only) if on_engines else not only
        (kept if belongs else dropped).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say where objects are to stand before the first fixture makes a vault: many tests damage files in folders."""
    os.environ["KURA_TEST_OBJECTS"] = "buckets" if item.get_closest_marker("in_buckets") else "folders"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    ran = len(terminalreporter.stats.get("passed", ())) + len(terminalreporter.stats.get("failed", ()))
    terminalreporter.write_line(f"world {config.getoption('--world')}: {ran} tests ran")


@pytest.fixture(autouse=True, scope="module")
def _engines() -> Iterator[None]:
    """Drop the tokens that a module's tests have made, when all its vaults are closed."""
    yield
    engines.forget()


@pytest.fixture(autouse=True)
def _engines_lent(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have a test that kills a shared engine wait for the others' tests, and them for it."""
    if not engines.is_engines():
        yield
        return
    with engines.lent(alone=request.node.get_closest_marker("kills_engines") is not None):
        yield


_RUNNING = pytest.StashKey[engines.Running]()

"""Real engines on loopback for tests: one PostgreSQL, one S3 engine and one HSM for a run, shared by its workers.

`scripts/engines/` starts them, in a folder of their own. With KURA_ENGINES naming a folder they are taken from there,
started where they do not run, and left running: that saves whoever tests by hand the seconds of a start.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import psycopg
import pytest

from vault.cli.engines import TrialEngines
from vault.storage.database import create_database

PIN = "123456"
_FOLDER = "KURA_ENGINES"
_OF_ALL = "KURA_ENGINES_OF_ALL"  # the same, also for a test with a server of its own
_RUN = "KURA_TEST_RUN"
_templates: dict[str, str] = {}  # by the URL of their server
_tokens: list[str] = []


@dataclass(frozen=True)
class Running:
    """Engines that this run started, or found."""

    engines: TrialEngines
    is_kept: bool

    def stop(self) -> None:
        """End them, or drop the databases of this run: one by one on the way, each would cost a checkpoint."""
        if self.is_kept:
            _drop_all()
            return
        self.engines.run("postgresql", "stop", "immediate")
        self.engines.stop()
        shutil.rmtree(self.engines.folder, ignore_errors=True)


def start() -> Running:
    """Start what does not run yet, and let this process and its children know."""
    given = os.environ.get(_FOLDER)
    # Not in pytest's own folder: the database server is another user, who must be able to reach it.
    engines = TrialEngines(None if given is None else Path(given))
    engines.start()
    os.environ |= {_FOLDER: str(engines.folder), _OF_ALL: str(engines.folder), _RUN: token_hex(4), **engines.facts}
    return Running(engines, is_kept=given is not None)


def run(engine: str, verb: str, *arguments: str) -> str:
    """Call an engine's script; give what it printed."""
    return TrialEngines(Path(os.environ[_FOLDER])).run(engine, verb, *arguments)


def is_engines() -> bool:
    """Whether this test runs in the world of real engines."""
    return os.environ.get("KURA_TEST_WORLD") == "engines"


def new_database() -> str:
    """Make a database of the newest schema with nothing in it; give the URL with which its owner connects.

    It is a copy of one that this process has migrated: migrating each would take as long as many a test.
    """
    server = os.environ["PG_OWNER_URL"]
    if server not in _templates:
        url = empty_database()
        create_database(url, service_url(url)).dispose()
        _templates[server] = name_of(url)
    name = new_name()
    copy_database(_templates[server], name)
    return _url_of(name)


def empty_database() -> str:
    """Make a database without a table, for tests of what makes them; give its owner's URL."""
    name = new_name()
    run("postgresql", "database", name)
    return _url_of(name)


def new_name() -> str:
    """Give a name for a database, which is dropped when the run ends."""
    return f"kura_{os.environ[_RUN]}_{token_hex(6)}"


def name_of(url: str) -> str:
    """Give the database's name in a URL."""
    return url.split("?", 1)[0].rsplit("/", 1)[1]


def new_hsm(keeping: str = "inside", **query: str) -> str:
    """Make two tokens for a new vault; give the URI for its settings."""
    mark = token_hex(6)
    for label in (f"taking-{mark}", f"opening-{mark}"):
        run("softhsm", "token", label, PIN)
        _tokens.append(label)
    pin_file = Path(os.environ[_FOLDER]) / "pin"
    if not pin_file.exists():  # whole from its first moment: others of this run read it
        new = pin_file.with_name(f"pin-{mark}")
        new.touch(0o600)
        new.write_text(PIN + "\n")
        new.rename(pin_file)
    values = {
        "module-path": os.environ["HSM_MODULE"],
        "pin-source": f"file:{pin_file}",
        "opening-token": f"opening-{mark}",
        "disposal-keys": keeping,
    }
    text = "&".join(f"{name}={value}" for name, value in (values | query).items())
    return f"pkcs11:token=taking-{mark}?{text}"


def forget() -> None:
    """Drop the tokens of the tests that have ended: every process that opens the HSM reads them all."""
    if _tokens:
        run("softhsm", "drop", *_tokens)
        _tokens.clear()


def service_url(owner_url: str) -> str:
    """Give the URL with which a vault connects to the same database, as the weak role."""
    return owner_url.replace("//kura_owner@", "//kura_service@")


def superuser_url(owner_url: str) -> str:
    """Give the URL of whoever may do anything in the same database: a dishonest administrator."""
    folder = Path(os.environ[_FOLDER]) / "postgresql" / "run"
    port = owner_url.split("//", 1)[1].split(":", 1)[1].split("/", 1)[0]
    return f"postgresql://postgres@/{name_of(owner_url)}?host={folder}&port={port}"


def owner_url(service_url: str) -> str:
    """Give the URL with which the owner connects to the database that a vault connects to."""
    return service_url.replace("//kura_service@", "//kura_owner@")


def sql(database: str, *statements: str) -> None:
    """Run statements as the superuser, each by itself."""
    url = superuser_url(_url_of(database))
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def lent(*, alone: bool) -> Iterator[None]:
    """Use the engines of this run beside the other workers' tests, or alone."""
    folder = Path(os.environ[_OF_ALL])
    with (folder / "gate").open("w") as gate, (folder / "lent").open("w") as lock:
        fcntl.flock(gate, fcntl.LOCK_EX)  # whoever waits to be alone is not overtaken
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


def put_back_head(database: str, ledger_id: str, size: int, compact_range: bytes) -> None:
    """Put a ledger's head back, as a backup that was put back would: no trigger sees it."""
    with psycopg.connect(superuser_url(_url_of(database)), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        back = "UPDATE ledgers SET size = %s, compact_range = %s WHERE id = %s"
        connection.execute(back, (size, compact_range, ledger_id))


def reload(setting: str, value: str) -> None:
    """Have the server read its settings again; returns when a new connection sees it."""
    url = superuser_url(os.environ["PG_OWNER_URL"])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_reload_conf()")
    for _ in range(200):
        with psycopg.connect(url, autocommit=True) as connection:
            row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
        if row == (value,):
            return
        time.sleep(0.05)
    raise TimeoutError(setting, value)


def copy_database(source: str, target: str) -> None:
    """Make a database of what another is, with its rights."""
    sql(
        "postgres",
        f"CREATE DATABASE {target} TEMPLATE {source} OWNER kura_owner",
        f"REVOKE ALL ON DATABASE {target} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {target} TO kura_service",
    )


@contextmanager
def own_postgresql() -> Iterator[None]:
    """Start a server for the tests that stop, kill or unsettle it; all functions here speak of it meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="kura-server-"))
    folder.chmod(0o711)  # the server is another user
    (folder / "softhsm").symlink_to(Path(os.environ[_FOLDER]) / "softhsm")  # the one of this run serves as well
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_FOLDER, str(folder))
        for line in run("postgresql", "start").splitlines():
            patch.setenv(*line.split("=", 1))
        try:
            yield
        finally:
            run("postgresql", "resume")
            run("postgresql", "stop", "immediate")
            shutil.rmtree(folder)
            _templates.pop(os.environ["PG_OWNER_URL"], None)


def _url_of(name: str) -> str:
    return os.environ["PG_OWNER_URL"].replace("/postgres?", f"/{name}?")


def _drop_all() -> None:
    with psycopg.connect(superuser_url(os.environ["PG_OWNER_URL"])) as connection:
        of_this_run = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        names = connection.execute(of_this_run, [f"kura_{os.environ[_RUN]}_"]).fetchall()
    sql("postgres", *(f"DROP DATABASE {name} WITH (FORCE)" for (name,) in names))

"""Real engines on loopback for tests: one PostgreSQL, one S3 engine and one HSM for a run, shared by its workers.

`scripts/engines/` starts them, in a folder of their own. With KURA_ENGINES naming a folder they are taken from there,
started where they do not run, and left running: that saves whoever tests by hand the seconds of a start.
"""

import os
import shutil
import subprocess
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

SCRIPTS = Path(__file__).parents[2] / "scripts" / "engines"
PIN = "123456"
_FOLDER = "KURA_ENGINES"
_databases: list[str] = []
_tokens: list[str] = []


@dataclass(frozen=True)
class Running:
    """Engines that this run started, or found."""

    engines: TrialEngines
    is_kept: bool

    def stop(self) -> None:
        if not self.is_kept:
            self.engines.stop()
            shutil.rmtree(self.engines.folder, ignore_errors=True)


def start() -> Running:
    """Start what does not run yet, and let this process and its children know."""
    given = os.environ.get(_FOLDER)
    # Not in pytest's own folder: the database server is another user, who must be able to reach it.
    engines = TrialEngines(None if given is None else Path(given))
    engines.start()
    os.environ |= {_FOLDER: str(engines.folder), **engines.facts}
    return Running(engines, is_kept=given is not None)


def run(engine: str, verb: str, *arguments: str) -> str:
    """Call an engine's script; give what it printed."""
    return TrialEngines(Path(os.environ[_FOLDER])).run(engine, verb, *arguments)


def is_engines() -> bool:
    """Whether this test runs in the world of real engines."""
    return os.environ.get("KURA_TEST_WORLD") == "engines"


def new_database() -> str:
    """Make an empty database; give the URL with which its owner connects. Dropped when the test's module ends."""
    name = f"kura_{token_hex(6)}"
    run("postgresql", "database", name)
    _databases.append(name)
    return os.environ["PG_OWNER_URL"].replace("/postgres?", f"/{name}?")


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
    """Drop the databases and tokens of the tests that have ended."""
    while _tokens:
        run("softhsm", "drop", _tokens.pop())
    while _databases:
        run("postgresql", "drop", _databases.pop())


def service_url(owner_url: str) -> str:
    """Give the URL with which a vault connects to the same database, as the weak role."""
    return owner_url.replace("//kura_owner@", "//kura_service@")


def superuser_url(owner_url: str) -> str:
    """Give the URL of whoever may do anything in the same database: a dishonest administrator."""
    folder = Path(os.environ[_FOLDER]) / "postgresql" / "run"
    port = owner_url.split("//", 1)[1].split(":", 1)[1].split("/", 1)[0]
    name = owner_url.split("?", 1)[0].rsplit("/", 1)[1]
    return f"postgresql://postgres@/{name}?host={folder}&port={port}"


def owner_url(service_url: str) -> str:
    """Give the URL with which the owner connects to the database that a vault connects to."""
    return service_url.replace("//kura_service@", "//kura_owner@")


def sql(database: str, statements: str) -> None:
    """Run statements as the superuser."""
    folder = Path(os.environ[_FOLDER]) / "postgresql"
    subprocess.run(
        [SCRIPTS / "postgresql", "sql", folder, database],
        input=statements, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip


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
    """Make one database what another is, with its rights; dropped when the test's module ends."""
    statements = (
        f"DROP DATABASE IF EXISTS {target} WITH (FORCE)",
        f"CREATE DATABASE {target} TEMPLATE {source} OWNER kura_owner",
        f"REVOKE ALL ON DATABASE {target} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {target} TO kura_service",
    )
    sql("postgres", ";\n".join([*statements, ""]))
    _databases.append(target)


@contextmanager
def own_postgresql() -> Iterator[None]:
    """Start a server for the tests that stop, kill or unsettle it; all functions here speak of it meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="kura-server-"))
    folder.chmod(0o711)  # the server is another user
    (folder / "softhsm").symlink_to(Path(os.environ[_FOLDER]) / "softhsm")  # the one of this run serves as well
    others = list(_databases)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_FOLDER, str(folder))
        for line in run("postgresql", "start").splitlines():
            patch.setenv(*line.split("=", 1))
        try:
            yield
        finally:
            run("postgresql", "resume")
            run("postgresql", "stop")
            shutil.rmtree(folder)
            _databases[:] = others

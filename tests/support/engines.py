"""Real engines on loopback for tests: one PostgreSQL, one S3 engine and one HSM for a run, shared by its workers.

`scripts/engines/` starts them, in a folder of their own. With KURA_ENGINES naming a folder they are taken from there,
started where they do not run, and left running: that saves whoever tests by hand the seconds of a start.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

SCRIPTS = Path(__file__).parents[2] / "scripts" / "engines"
PIN = "123456"
_FOLDER = "KURA_ENGINES"
_databases: list[str] = []
_tokens: list[str] = []


@dataclass(frozen=True)
class Running:
    """Engines that this run started, or found."""

    folder: Path
    is_kept: bool

    def stop(self) -> None:
        if self.is_kept:
            return
        for engine in ("postgresql", "ceph-rgw"):
            run(engine, "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def start() -> Running:
    """Start what does not run yet, and let this process and its children know."""
    given = os.environ.get(_FOLDER)
    # Not in pytest's own folder: the database server is another user, who must be able to reach it.
    folder = Path(given or tempfile.mkdtemp(prefix="kura-engines-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    os.environ[_FOLDER] = str(folder)
    for engine in ("softhsm", "postgresql", "ceph-rgw"):
        for line in run(engine, "start").splitlines():
            name, _, value = line.partition("=")
            os.environ[name] = value
    return Running(folder, is_kept=given is not None)


def run(engine: str, verb: str, *arguments: str) -> str:
    """Call an engine's script; give what it printed."""
    folder = Path(os.environ[_FOLDER]) / engine
    done = subprocess.run(
        [SCRIPTS / engine, verb, folder, *arguments], capture_output=True, text=True, timeout=180, check=False
    )
    if done.returncode:
        raise RuntimeError(engine, verb, done.stderr.strip())
    return done.stdout


def is_engines() -> bool:
    """Whether this test runs in the world of real engines."""
    return os.environ.get("KURA_TEST_WORLD") == "engines"


def new_database() -> str:
    """Make an empty database; give the URL with which its owner connects. Dropped when the test ends."""
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
    """Drop the databases and tokens of the test that has ended."""
    while _tokens:
        run("softhsm", "drop", _tokens.pop())
    while _databases:
        run("postgresql", "drop", _databases.pop())

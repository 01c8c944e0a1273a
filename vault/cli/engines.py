"""Engines of one's own on this machine, to try Kura on: PostgreSQL, S3 with Object Lock, an HSM in software.

`scripts/engines/` of a checkout starts them from Debian's packages, on loopback, all state in one folder. For trials,
tests and measurements; `docs/engines.md` says how real ones are set up.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from vault.errors import RefusedError, UnavailableError

_SCRIPTS = Path(__file__).parents[2] / "scripts" / "engines"
_PATIENCE_S = 180
NAMES = ("softhsm", "postgresql", "ceph-rgw")


class TrialEngines:
    """Engines in a folder. What they print when they start (addresses, names of files with secrets) is in `facts`."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use `folder`, or a new one.

        A new one lies in the system's folder for temporary files: PostgreSQL runs as another user, who must reach it.

        Raises:
            RefusedError: `engines-scripts-missing`: this is no checkout.
        """
        if not _SCRIPTS.is_dir():
            raise RefusedError("engines-scripts-missing")
        self.folder = folder or Path(tempfile.mkdtemp(prefix="kura-engines-"))
        self.facts: dict[str, str] = {}

    def start(self, *names: str) -> None:
        """Start those named, or all, that do not run yet.

        Raises:
            UnavailableError: `engine-not-started`, with what its script said.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)
        for name in names or NAMES:
            for line in self.run(name, "start").splitlines():
                fact, _, value = line.partition("=")
                self.facts[fact] = value
        os.environ.update({name: value for name, value in self.facts.items() if name == "SOFTHSM2_CONF"})

    def run(self, engine: str, verb: str, *arguments: str) -> str:
        """Call an engine's script; give what it printed. Errors as `start`."""
        done = subprocess.run(  # noqa: S603 - our own script, no shell
            [_SCRIPTS / engine, verb, self.folder / engine, *arguments],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["?"]
            raise UnavailableError("engine-not-started", engine=engine, reason=lines[-1])
        return done.stdout

    def stop(self) -> None:
        """End all that runs; what they hold stays in the folder."""
        for engine in ("postgresql", "ceph-rgw"):
            if (self.folder / engine / "settings").is_file():
                self.run(engine, "stop")

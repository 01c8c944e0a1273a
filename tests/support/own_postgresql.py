"""A PostgreSQL server of one test's own, to be killed and paused: the one that the others share must stay."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engines import SCRIPTS

NAME = "kura"


@dataclass
class OwnPostgreSQL:
    """Its folder, and the URL with which the owner of its one database connects."""

    folder: Path
    url: str

    @classmethod
    def start(cls) -> "OwnPostgreSQL":
        folder = Path(tempfile.mkdtemp(prefix="kura-postgresql-"))  # the server is another user, who must reach it
        folder.chmod(0o711)
        said = _call("start", folder)
        [owner] = [line.partition("=")[2] for line in said.splitlines() if line.startswith("PG_OWNER_URL=")]
        _call("database", folder, NAME)
        return cls(folder, owner.replace("/postgres?", f"/{NAME}?"))

    def run(self, verb: str) -> None:
        """Call the script: "kill", "stop", "pause", "resume", "start"."""
        _call(verb, self.folder)

    def remove(self) -> None:
        _call("resume", self.folder)
        _call("kill", self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)


def _call(verb: str, folder: Path, *arguments: str) -> str:
    # Not captured by pipes: the server would inherit them, and nobody would see their end.
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            [SCRIPTS / "postgresql", verb, folder, *arguments], stdout=said, stderr=said, timeout=120, check=False
        )
        said.seek(0)
        text = said.read()
    if done.returncode:
        raise RuntimeError(verb, text.strip())
    return text

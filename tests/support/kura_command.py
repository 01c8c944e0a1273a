"""Running `kura`: in this process, as a process of its own, and as the owner that serves a vault."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaults import PASSPHRASE, new_vault, pdf

KURA = str(Path(sys.executable).with_name("kura"))


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The last line of standard output."""
        values: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return values

    @property
    def error_code(self) -> str:
        """The stable code of an error, which was told in one line on standard error as well."""
        assert self.code != 0
        assert len(self.err.splitlines()) == 1
        return str(self.json["error"]["code"])


Kura = Callable[..., Ran]


def make_home(folder: Path) -> None:
    """Make a vault in `folder`/vault, a passphrase file, and a sample PDF."""
    new_vault(folder).close()
    (folder / "passphrase").write_text(PASSPHRASE + "\n")
    (folder / "form.pdf").write_bytes(pdf(1))


@contextmanager
def served(folder: Path, *, sealed: bool = False, log: list[str] | None = None) -> Iterator["subprocess.Popen[str]"]:
    """Serve `folder`/vault in a child process, from its first moment of readiness to its end; `log` gets its log."""
    command = [KURA, "serve", "--json", "--dir", str(folder / "vault")]
    if not sealed:
        command += ["--passphrase-file", str(folder / "passphrase")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KURA_")}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            assert json.loads(server.stdout.readline()) == {"ready": True, "sealed": sealed, "stations_port": None}
            yield server
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=60)
            if log is not None:
                log.append(said)
    assert server.returncode == 0


DEPOSIT = ("--class", "application_form", "--subject-key", "NIS-00001", "--as", "1001", "--json")


def deposited(kura: Kura, *words: object) -> dict[str, Any]:
    """Deposit the sample PDF and give what is known of it."""
    ran = kura("deposit", "form.pdf", *DEPOSIT, *words)
    assert ran.code == 0, ran.err
    record: dict[str, Any] = ran.json["records"][0]
    return record | {"log_vkey": ran.json["log_vkey"]}

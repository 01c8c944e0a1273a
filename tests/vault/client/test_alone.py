"""The client stands alone: it loads nothing of the server's."""

import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED = ("cryptography", "_cffi_backend", "_openssl", "_rust", "vault")
USE = """
from datetime import UTC, datetime
from pathlib import Path
from vault.client import Deposit, Station
from vault.errors import UnavailableError
with Station(Path({path!r})) as station:
    try:
        station.deposit(b"content", Deposit(class_id="application_form", ended_at=datetime.now(UTC)))
    except UnavailableError as error:
        print(error.code)
"""
CHECK = """
import sys
before = set(sys.modules)
import {module}
{use}
loaded = {{name.split(".")[0] for name in set(sys.modules) - before}}
foreign = loaded - set(sys.stdlib_module_names) - set({allowed!r})
rooms = {{name.split(".")[1] for name in sys.modules if name.startswith("vault.")}}
print(sorted(foreign), sorted(rooms))
"""


ROOMS = "['canonical_json', 'client', 'errors', 'ledger', 'sealing']"


def loaded(module: str, use: str = "") -> list[str]:
    program = CHECK.format(module=module, allowed=ALLOWED, use=use)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()


@pytest.mark.parametrize("module", ["vault.client", "vault.client.send"])
def test_importing_it_loads_the_standard_library_and_cryptography_only(module: str) -> None:
    assert loaded(module) == [f"[] {ROOMS}"]


def test_using_it_loads_no_more(station_path: Path) -> None:
    assert loaded("vault.client", USE.format(path=str(station_path))) == ["spool-bucket-missing", f"[] {ROOMS}"]

"""The client stands alone: it loads nothing of the server's."""

import subprocess
import sys

import pytest

ALLOWED = ("cryptography", "_cffi_backend", "_openssl", "_rust", "vault")
CHECK = """
import sys
before = set(sys.modules)
import {module}
loaded = {{name.split(".")[0] for name in set(sys.modules) - before}}
foreign = loaded - set(sys.stdlib_module_names) - set({allowed!r})
rooms = {{name.split(".")[1] for name in sys.modules if name.startswith("vault.")}}
print(sorted(foreign), sorted(rooms))
"""


@pytest.mark.parametrize("module", ["vault.client", "vault.client.send"])
def test_importing_it_loads_the_standard_library_and_cryptography_only(module: str) -> None:
    program = CHECK.format(module=module, allowed=ALLOWED)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[] ['canonical_json', 'client', 'errors', 'ledger', 'sealing']"

"""The page for suppliers: what it says to type is typed, and does what it says."""

import json
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
import vaults
from narrow_api import listening

from vault.people.certificates import pem
from vault.people.stations import Station

PAGE = (Path(__file__).parents[3] / "docs" / "integration.md").read_text("utf-8")
FORMATS = (Path(__file__).parents[3] / "docs" / "formats.md").read_text("utf-8")


def block(text: str, name: str) -> str:
    """Give the shell block that follows a comment."""
    found = re.search(rf"<!-- {name} -->\n *```sh\n(.*?)\n *```", text, re.DOTALL)
    assert found is not None
    return textwrap.dedent(found[1])


def typed(script: str, folder: Path) -> str:
    done = subprocess.run(["sh", "-euc", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("size", [2_000, 3 << 20], ids=["a page", "3 MiB"])
def test_a_supplier_with_a_shell_deposits_and_proves_it(tmp_path: Path, size: int) -> None:
    vault = vaults.new_vault(tmp_path)
    station = tmp_path / "station"
    station.mkdir()
    (station / "form.pdf").write_bytes(vaults.pdf(1, size))
    (station / "check-receipt").write_text(block(FORMATS, "check-receipt"))
    try:
        with listening(vault, tmp_path) as api:
            typed(block(PAGE, "make-a-request"), station)
            enrolled = Station.parse("counter-1", "counter", vaults.CONTRACT)
            request = (station / "counter-1.csr").read_bytes()
            certificate = vault.enrolment.enrol(vault.actor(vaults.ADMIN), enrolled, request)
            (station / "counter-1.crt").write_text(pem(certificate))
            (station / "vault-authority.crt").write_text(pem(vault.enrolment.authority().certificate))
            (station / "log.vkey").write_text(vault.ground.log_of(vaults.CONTRACT).key.encode() + "\n")
            script = block(PAGE, "deposit-by-curl").replace("HOST:8470", f"localhost:{api.port}")
            answer = json.loads(typed(script, station))
            (station / "receipt").write_text(answer["receipt"])
            proven = typed(f"sh check-receipt receipt log.vkey form.pdf {answer['salt']}", station)
            assert "the document is the one deposited" in proven
            assert answer["record"] in proven
    finally:
        vault.close()

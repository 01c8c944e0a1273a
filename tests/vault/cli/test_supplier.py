"""From nothing to scans in the vault: what an administrator and a supplier type, one after the other."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import vaults

BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


class Shell:
    """A folder in which commands are typed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KURA_")}
        self.environment = kept | {"KURA_DIR": str(folder / "vault"), "LANG": "C.UTF-8"}

    def typed(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / words[0]), *words[1:]]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def told(self, *words: str) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.typed(*words, "--json").stdout.splitlines()[-1])
        return values


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "passphrase").write_text(vaults.PASSPHRASE + "\n")
    scans = tmp_path / "scans"
    scans.mkdir()
    for number in (1, 2, 3):
        (scans / f"NIS-2026-0000{number}.pdf").write_bytes(vaults.pdf(number))
    return Shell(tmp_path)


def test_a_supplier_connects_a_folder(shell: Shell) -> None:
    port = free_port()
    people = ("--person", "2001:Manager:operations_manager", "--person", "9001:Admin:vault_admin")
    listen = ("--listen", f"localhost:{port}")
    shell.typed("kura", "init", "vault", "--policy", "nishinomiya", *people, "--passphrase-file", "passphrase", *listen)
    serve = [str(BIN / "kura"), "serve", "--json", "--passphrase-file", "passphrase"]
    with subprocess.Popen(
        serve, cwd=shell.folder, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            assert json.loads(server.stdout.readline())["stations_port"] == port
            shell.typed("kura-send", "init", "counter-1", "--vault", f"https://localhost:{port}", "--name", "counter-1")
            enrol = ("enrol", "counter-1", "--kind", "counter", "--csr", "counter-1/counter-1.csr", "-o", "counter-1")
            shell.typed("kura", "station", *enrol, "--as", "9001")
            watch = ("watch", "scans", "--station", "counter-1", "--class", "application_form", "--once")
            named = ("--subject-key-from", "(?P<subject_key>NIS-[0-9]{4}-[0-9]{5})", "--settle", "0.1")
            shell.typed("kura-send", *watch, *named)
            assert sorted(path.name for path in (shell.folder / "scans").iterdir()) == ["refused", "sent"]
            assert len(list((shell.folder / "scans" / "sent").glob("*.tlog-proof"))) == 3
            proof = next(iter((shell.folder / "scans" / "sent").glob("*.tlog-proof")))
            shell.typed("kura", "receipt", "check", str(proof), "--log-key", "counter-1/log.vkey")
            found = shell.told("kura", "find", "--subject-key", "NIS-2026-00002", "--as", "2001")
            assert len(found["records"]) == 1
            (station,) = shell.told("kura", "station", "list", "--as", "9001")["stations"]
            assert (station["newest"], station["missing"]) == (3, [])
            shell.typed("kura", "station", "revoke", "counter-1", "--as", "9001")
            (shell.folder / "scans" / "NIS-2026-00004.pdf").write_bytes(vaults.pdf(4))
            refused = shell.typed("kura-send", *watch, *named, code=2)
            assert "counter-1" in refused.stderr
            assert len(refused.stderr.splitlines()) == 1
            assert (shell.folder / "scans" / "NIS-2026-00004.pdf").exists()
        finally:
            server.terminate()
            server.communicate()
    assert server.returncode == 0
    verdict = shell.told("kura", "verify", "--passphrase-file", "passphrase")
    assert (verdict["ok"], verdict["complete"]) == (True, True)


def test_a_halted_vault_is_served_without_stations(shell: Shell) -> None:
    """Whoever must recover it needs its owner; stations wait."""
    port = free_port()
    people = ("--person", "2001:Manager:operations_manager", "--person", "9001:Admin:vault_admin")
    listen = ("--listen", f"localhost:{port}")
    shell.typed("kura", "init", "vault", "--policy", "nishinomiya", *people, "--passphrase-file", "passphrase", *listen)
    for guard in (shell.folder / "vault.epoch").glob("guard-*"):
        guard.unlink()
    serve = [str(BIN / "kura"), "serve", "--json", "--passphrase-file", "passphrase"]
    with subprocess.Popen(
        serve, cwd=shell.folder, env=shell.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            assert json.loads(server.stdout.readline())["error"]["code"] == "guard-missing"
            assert json.loads(server.stdout.readline())["stations_port"] is None
            shell.typed("kura", "recover", "--as", "9001")
        finally:
            server.terminate()
            server.communicate()
    assert server.returncode == 0

"""A vault that is served while sealed: stations deposit over TLS, and its memory holds no key that opens anything."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import stored
import vaults
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from kura_command import KURA
from narrow_api import Api, PlainStation
from vault_secrets import secrets_of
from wire import BATCH, PDF, batch_line

from vault.bootstrap import open_vault, verify_vault
from vault.ledger.receipt import Receipt

ROOT = Path(__file__).parents[3]
WRITABLE = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) rw", re.MULTILINE)


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, int]]:
    """Serve a vault in a process of its own, sealed; give its process id and the stations' port."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KURA_")}
    command = [KURA, "serve", "--json", "--dir", str(folder)]
    with subprocess.Popen(
        command, env=environment | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        assert server.stdout is not None
        try:
            ready = json.loads(server.stdout.readline())
            assert (ready["ready"], ready["sealed"]) == (True, True)
            yield server.pid, ready["stations_port"]
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
    assert server.returncode == 0


def family(pid: int) -> Iterator[int]:
    """Give a process and its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def memory_of(pid: int) -> Iterator[bytes]:
    """Give all that a process may write, region by region, without pages of zeros."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for match in WRITABLE.finditer(Path(f"/proc/{pid}/maps").read_bytes()):
            begin, end = (int(group, 16) for group in match.groups())
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except (OSError, OverflowError):  # a guard page, or the kernel's own
                continue
            yield b"".join(page for at in range(0, len(data), 4096) if (page := data[at : at + 4096]).strip(b"\0"))


def test_a_sealed_process_takes_over_tls_and_has_nothing_that_opens(tmp_path: Path) -> None:
    vault = vaults.new_vault(tmp_path)
    secrets = secrets_of(vault)
    assert len(secrets) > 100
    log = vault.ground.log_of(vaults.CONTRACT)
    signing_key = vault.ground.keys._taking.signing_keys[log.signing_key_id]  # type: ignore[attr-defined]  # noqa: SLF001 - the file's
    station = Api(vault, 0, tmp_path).station()
    vault.close()
    settings = vault.folder / "kura.toml"
    settings.write_text(settings.read_text("utf-8").replace("# port = 8470", "port = 0"), "utf-8")
    with served(vault.folder) as (pid, port):
        station = PlainStation(station.name, port, station.context)
        answers = [station.deposit(vaults.pdf(number), sequence=number) for number in range(1, 5)]
        answers.append(station.deposit(vaults.large_pdf(), sequence=5))
        batch = station.ask("POST", BATCH, batch_line(PDF) + batch_line(PDF), content_type="application/vnd.kura.batch")
        health = station.ask("GET", "/v1/health").json
        assert (health["sealed"], health["takes"], health["newest"]) == (True, True, 5)
        memory = [region for process in family(pid) for region in memory_of(process)]
        station.close()
    assert [answer.status for answer in answers] == [201] * 5
    receipts = [Receipt.decode(answer.json["receipt"]) for answer in answers]
    receipts += [Receipt.decode(result["receipt"]) for result in batch.json["results"]]
    for receipt in receipts:
        receipt.verify(log.key)
    # What must be there shows that the search finds: the key that signs.
    signing = signing_key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    assert any(signing in region for region in memory)
    assert [name for name, secret in secrets.items() if any(secret in region for region in memory)] == []
    opened = open_vault(vault.folder, vaults.custodian())
    assert stored.rows(opened, "SELECT count(*) FROM records WHERE is_indexed") == [(7,)]
    opened.close()
    assert verify_vault(vault.folder, vaults.custodian()).findings == []

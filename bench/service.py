"""A vault that serves stations, in a process of its own; or the same server with a sink behind it.

The sink has the TLS, the protocol and the gate of the vault, takes the bodies as fast as they come and keeps nothing:
it is what the network part alone costs on this machine.
"""

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.child import ROOT
from bench.stopwatch import Stopwatch, watch_vault
from bench.vaults import CONTRACT, manager, opened, warm_up
from vault.api.listener import Listener
from vault.people.certificates import pem
from vault.people.stations import Station
from vault.records.vault import Vault
from vault.settings import ListenerSettings

KINDS = {".pdf": "counter", ".mp4": "recorder"}
_RATE = 1e9  # of requests: what is measured is not the limit
_ANSWER = b'{"taken": true}'


@dataclass(frozen=True, slots=True)
class Served:
    """A served vault."""

    port: int
    process_id: int
    folder: Path  # with a certificate for each suffix of KINDS, and the authority's beside it
    shares: dict[str, float] = field(default_factory=dict)  # seconds, by what they were spent on

    def certificate(self, suffix: str) -> Path:
        """Give key and certificate of the station that sends files of this suffix."""
        return self.folder.with_name(f"{self.folder.name}{suffix}.pem")

    @property
    def authority(self) -> Path:
        """Give the authority's certificate."""
        return self.folder.with_name(f"{self.folder.name}.authority.pem")


@contextmanager
def served(folder: Path, kind: str = "vault") -> Iterator[Served]:
    """Serve a vault that `make_vault` made, until the end of the block.

    Args:
        folder: the vault's.
        kind: `vault`; `sink`; or `watched`, a vault that counts where its time goes: see `Served.shares` afterwards.
    """
    command = [sys.executable, "-m", "bench.service", str(folder), kind]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("no pipes")
        try:
            service = Served(int(process.stdout.readline()), process.pid, folder)
            yield service
        finally:
            process.stdin.close()
        service.shares.update(json.loads(process.stdout.readline()))


class _Sink(Listener):
    """The listener, with nothing behind it."""

    def _application(self) -> object:
        return _discard


async def _discard(
    _: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    while (await receive()).get("more_body", False):
        pass
    fields = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 201, "headers": fields})
    await send({"type": "http.response.body", "body": _ANSWER})


def _serve(folder: Path, kind: str) -> None:
    with opened(folder) as vault:
        for suffix in KINDS:
            warm_up(vault, suffix)
        settings = ListenerSettings(port=0, requests_per_second=_RATE, burst=_RATE)
        served_here = Served(0, 0, folder)
        for suffix, station in KINDS.items():
            _enrol(vault, Station.parse(f"bench-{station}", station, CONTRACT), served_here.certificate(suffix))
        served_here.authority.write_text(pem(vault.enrolment.authority().certificate))
        listener = _Sink(vault, settings) if kind == "sink" else Listener(vault, settings)
        stopwatch = Stopwatch()
        if kind == "watched":
            watch_vault(stopwatch, vault)
        listener.start()
        sys.stdout.write(f"{listener.port}\n")
        sys.stdout.flush()
        sys.stdin.read()
        listener.stop()
        sys.stdout.write(json.dumps(stopwatch.seconds) + "\n")


def _enrol(vault: Vault, station: Station, path: Path) -> None:
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, station.name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    certificate = vault.enrolment.enrol(manager(vault), station, request.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + pem(certificate).encode())


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])

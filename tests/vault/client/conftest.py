"""A station's folder as `kura station enrol` leaves it, with an authority and a ledger of the test's own."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import naive_tree
import pytest
import vaults
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from vault.api.listener import Listener
from vault.client.answers import Ledger
from vault.client.connection import Connection
from vault.client.station_folder import StationFolder
from vault.ledger.checkpoint import Checkpoint, sign_checkpoint
from vault.ledger.event import Event, EventKind, encode_entry
from vault.ledger.merkle import inclusion_proof, root_at
from vault.ledger.note import VerifierKey
from vault.ledger.receipt import Receipt
from vault.people.certificates import Authority, key_to_certify, new_authority, pem, station_certificate
from vault.people.stations import Station
from vault.records.vault import Vault
from vault.settings import ListenerSettings

STATION = "counter-1"
CONTRACT = "nishinomiya"
NOW = datetime.now(UTC).replace(microsecond=0)


@dataclass
class Enroller:
    """An authority that certifies what stations ask for."""

    authority: Authority
    serial: int = 1

    @classmethod
    def new(cls) -> "Enroller":
        key = generate_private_key(SECP256R1())
        return cls(new_authority("test", key.public_key(), lambda form: key.sign(form, ECDSA(SHA256())), NOW, 1))

    def certify(self, request: bytes, name: str = STATION, at: datetime = NOW) -> bytes:
        self.serial += 1
        issued = station_certificate(self.authority, key_to_certify(request), name, at, self.serial)
        return pem(issued).encode()


@dataclass
class City:
    """A ledger in memory that signs receipts for any event."""

    origin: str = f"kura.test/vault/{CONTRACT}"
    signing_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    entries: list[bytes] = field(default_factory=list)

    @property
    def key(self) -> VerifierKey:
        return VerifierKey.named(self.origin, self.signing_key.public_key().public_bytes_raw())

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.key, CONTRACT, STATION)

    def receipt(
        self, body: dict[str, Any], kind: EventKind = EventKind.DEPOSIT_ACCEPTED, actor: str = f"station:{STATION}"
    ) -> str:
        """Log an event of this body and give its receipt."""
        self.entries.append(encode_entry(Event(kind, NOW, actor, body)))
        size = len(self.entries)
        read = lambda level, index: naive_tree.subtree(level, index, self.entries)  # noqa: E731
        note = sign_checkpoint(Checkpoint(self.origin, size, root_at(size, read)), self.key, self.signing_key.sign)
        return Receipt(self.entries[-1], size - 1, tuple(inclusion_proof(size - 1, size, read)), note).encode()


@pytest.fixture
def enroller() -> Enroller:
    return Enroller.new()


@pytest.fixture
def city() -> City:
    return City()


@pytest.fixture
def away_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def station_path(tmp_path: Path, enroller: Enroller, city: City, away_port: int) -> Path:
    """The folder of a station that is enrolled at a vault which is away."""
    path = tmp_path / "station"
    request = StationFolder.create(path, f"https://127.0.0.1:{away_port}", STATION)
    (path / f"{STATION}.crt").write_bytes(enroller.certify(request.read_bytes()))
    (path / "vault-authority.crt").write_text(pem(enroller.authority.certificate))
    (path / "log.vkey").write_text(city.key.encode() + "\n")
    return path


@dataclass
class Served:
    """A real vault that listens for stations, and the folder of one that is enrolled."""

    vault: Vault
    folder: Path
    port: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    listener: Listener | None = None

    @property
    def path(self) -> Path:
        return self.folder / STATION

    def start(self, **settings: object) -> None:
        """Listen at the port of the first time."""
        values = {"port": self.port} | self.settings | settings
        self.listener = Listener(self.vault, ListenerSettings.model_validate(values))
        self.listener.start()
        assert self.listener.port is not None
        self.port = self.listener.port

    def stop(self) -> None:
        """Go away; connections that are only kept alive break."""
        assert self.listener is not None
        self.listener.stop()

    def enrol(self, name: str = STATION, kind: str = "counter", host: str = "localhost") -> Path:
        """Make a station's folder as its clerk and the vault's administrator do."""
        path = self.folder / name
        request = StationFolder.create(path, f"https://{host}:{self.port}", name)
        admin, station = self.vault.actor(vaults.ADMIN), Station.parse(name, kind, CONTRACT)
        (path / f"{name}.crt").write_text(pem(self.vault.enrolment.enrol(admin, station, request.read_bytes())))
        (path / "vault-authority.crt").write_text(pem(self.vault.enrolment.authority().certificate))
        (path / "log.vkey").write_text(self.vault.ground.log_of(CONTRACT).key.encode() + "\n")
        return path


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let tries follow each other at once; how long they would have waited is listed."""
    waited: list[float] = []
    monkeypatch.setattr("vault.client.workplace.Connection", partial(Connection, sleep=waited.append))
    return waited


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    vault = vaults.new_vault(tmp_path)
    vault.enrolment.authority()
    served = Served(vault, tmp_path)
    served.start()
    served.enrol()
    yield served
    served.stop()
    vault.close()


@pytest.fixture
def city_key(city: City) -> VerifierKey:
    """The key of another ledger."""
    return city.key

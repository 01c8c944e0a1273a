"""A vault whose stations connect over TLS, and stations that speak plain HTTP to it."""

import base64
import http.client
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import vaults
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.routing import Route
from station_keys import PrivateKey, signing_request, station_key

from vault.api.body import Pace
from vault.api.intake import Intake
from vault.api.listener import Listener
from vault.api.stations import Routes
from vault.people.actor import VAULT
from vault.people.certificates import pem
from vault.people.stations import Station
from vault.records.vault import Vault
from vault.settings import ListenerSettings

FORM: dict[str, object] = {
    "class": "application_form",
    "subject_key": "NIS-00001",
    "ended_at": "2026-11-20T10:00:00+09:00",
}


Content = bytes | Iterable[bytes] | None


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.body)
        return values

    @property
    def code(self) -> str:
        """The code of a problem, whose form is checked, too."""
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert problem["status"] == self.status
        assert problem["type"] == f"urn:kura:problem:{problem['code']}"
        return str(problem["code"])


class PlainStation:
    """A station with its certificate, and one connection that it keeps."""

    def __init__(self, name: str, port: int, context: ssl.SSLContext) -> None:
        self.name, self.port, self.context, self.host = name, port, context, "localhost"
        self._connection: http.client.HTTPSConnection | None = None

    def ask(self, method: str, path: str, body: Content = None, **headers: str) -> Answer:
        """Send one request and read its answer; `_` in the name of a header stands for a hyphen."""
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=60)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, path, body, fields)
            response = self._connection.getresponse()
            answer = Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())
        except BaseException:
            self.close()
            raise
        if response.will_close:
            self.close()
        return answer

    def deposit(self, content: Content, record_id: str | None = None, **members: object) -> Answer:
        return self.ask(
            "PUT",
            f"/v1/deposits/{record_id or vaults.new_id()}",
            content,
            kura_deposit=deposit_header(**members),
        )

    def reach(self, host: str) -> Self:
        """Connect under another name from now on."""
        self.close()
        self.host = host
        return self

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def deposit_header(**members: object) -> str:
    """Give the header of a form, with members changed; None leaves one out."""
    said = {name: value for name, value in (FORM | members).items() if value is not None}
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


@dataclass
class Api:
    """A served vault."""

    vault: Vault
    port: int
    folder: Path
    listener: Listener | None = None
    stations: list[PlainStation] = field(default_factory=list)

    def station(self, name: str = "counter-1", kind: str = "counter", contract: str = vaults.CONTRACT) -> PlainStation:
        """Enrol a station."""
        key = station_key()
        certificate = self.vault.enrolment.enrol(VAULT, Station.parse(name, kind, contract), signing_request(key))
        return self.connecting(name, self.context(key, certificate))

    def connecting(self, name: str, context: ssl.SSLContext) -> PlainStation:
        """Give a station that connects in this way."""
        self.stations.append(PlainStation(name, self.port, context))
        return self.stations[-1]

    def context(self, key: PrivateKey | None = None, certificate: bytes | None = None) -> ssl.SSLContext:
        """What TLS of a client needs: the vault's authority, and its own certificate where it has one."""
        context = ssl.create_default_context(cadata=pem(self.vault.enrolment.authority().certificate))
        if key is not None and certificate is not None:
            context.load_cert_chain(_write(self.folder / f"{vaults.new_id()}.pem", key, certificate))
        return context

    def certificate_files(self, folder: Path, name: str = "counter-1") -> tuple[Path, Path]:
        """Enrol a counter; write its key and certificate, and the certificate of the authority, for other programs."""
        key = station_key()
        issued = self.vault.enrolment.enrol(
            VAULT, Station.parse(name, "counter", vaults.CONTRACT), signing_request(key)
        )
        authority = folder / "vault-authority.crt"
        authority.write_text(pem(self.vault.enrolment.authority().certificate))
        return _write(folder / f"{name}.pem", key, issued), authority


def _write(path: Path, key: PrivateKey, certificate: bytes) -> Path:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + pem(certificate).encode())
    return path


def routes_of(vault: Vault) -> list[Route]:
    """The routes of the application that is served."""
    intake = Intake(vault)
    intake.close()
    application = Routes(vault, intake, Pace()).application()
    assert all(isinstance(route, Route) for route in application.routes)
    return [route for route in application.routes if isinstance(route, Route)]


@contextmanager
def listening(vault: Vault, folder: Path, **settings: float) -> Iterator[Api]:
    """Serve a vault's stations."""
    vault.enrolment.authority()
    listener = Listener(vault, ListenerSettings.model_validate({"port": 0} | settings))
    listener.start()
    assert listener.port is not None
    api = Api(vault, listener.port, folder, listener)
    try:
        yield api
    finally:
        for station in api.stations:
            station.close()
        listener.stop()

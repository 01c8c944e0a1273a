"""Plain requests to a vault, as any HTTP library would send them: one connection each, nothing believed."""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from vault.canonical_json import Json
from vault.client.connection import tls_context
from vault.client.station_folder import StationFolder

_TIMEOUT_S = 60.0


class FailedError(Exception):
    """Something that was promised did not hold."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whatever it is."""

    status: int
    body: bytes

    @property
    def json(self) -> dict[str, Json]:
        """The body as a JSON object."""
        values: dict[str, Json] = json.loads(self.body)
        return values

    @property
    def told(self) -> str:
        """Status, and the code of a problem."""
        try:
            return f"{self.status} {self.json.get('code', '')}".strip()
        except (ValueError, AttributeError):
            return str(self.status)


class Asking:
    """Asks with a station's certificate."""

    def __init__(self, folder: StationFolder) -> None:
        """Take the station's folder."""
        self._host, self._port = folder.host, folder.port
        self._authority = folder.authority_pem()
        self._context = tls_context(self._authority, str(folder.certificate), str(folder.key))

    def ask(self, method: str, path: str, fields: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
        """Send a request and give the answer."""
        return self._ask(self._context, method, path, fields, body)

    def ask_without_certificate(self, path: str) -> Answer:
        """Send a request over a connection that brings no certificate."""
        context = ssl.create_default_context(cadata=self._authority.decode("ascii"))
        return self._ask(context, "GET", path, None, None)

    def put_and_cut(self, path: str, fields: Mapping[str, str], begun: bytes, announced_bytes: int) -> None:
        """Begin an upload and let go of the connection in the middle."""
        lines = [f"PUT {path} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {announced_bytes}"]
        head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in fields.items()), "", ""])
        with (
            socket.create_connection((self._host, self._port), _TIMEOUT_S) as plain,
            self._context.wrap_socket(plain, server_hostname=self._host) as connected,
        ):
            connected.sendall(head.encode() + begun)

    def _ask(
        self, context: ssl.SSLContext, method: str, path: str, fields: Mapping[str, str] | None, body: bytes | None
    ) -> Answer:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT_S, context=context)
        try:
            connection.request(method, path, body, dict(fields or {}))
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()


def expect(answer: Answer, status: int, code: str | None = None) -> Answer:
    """Give an answer that has this status, and this code where one is named."""
    if answer.status != status or (code is not None and answer.json.get("code") != code):
        raise FailedError(f"{answer.told} – {status} {code or ''}".strip())
    return answer


def require(condition: bool, what: str) -> None:
    """Fail where something does not hold."""
    if not condition:
        raise FailedError(what)

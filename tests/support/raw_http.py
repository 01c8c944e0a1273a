"""HTTP as bytes over TLS: requests that no library would send, and answers read one by one."""

import io
import select
import socket
import ssl
from contextlib import suppress
from types import TracebackType
from typing import Self

from narrow_api import Answer, PlainStation


class RawConnection:
    """One TLS connection of a station."""

    def __init__(self, station: PlainStation) -> None:
        plain = socket.create_connection(("127.0.0.1", station.port), timeout=60)
        self.socket = station.context.wrap_socket(plain, server_hostname="localhost")
        self._answers = self.socket.makefile("rb")
        self.interim: list[int] = []  # statuses of 1xx answers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._answers.close()
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def answer(self) -> Answer | None:
        """Read the next answer; None where the connection ended without one."""
        while (status := self._status()) is not None:
            headers = self._fields()
            if status >= 200:
                return Answer(status, headers, self._body(headers))
            self.interim.append(status)
        return None

    def has_answer(self, within_s: float) -> bool:
        """Wait for the beginning of an answer."""
        return bool(select.select([self.socket], [], [], within_s)[0])

    def end(self) -> None:
        """Tell the end of what is sent, as TLS does, and wait for the other side's."""
        with suppress(ssl.SSLError, OSError):
            self.socket.unwrap()

    def answers(self) -> list[Answer]:
        """Read all answers until the connection ends; what it ended with is no matter."""
        found = []
        while (answer := self.answer()) is not None:
            found.append(answer)
        return found

    def _status(self) -> int | None:
        try:
            line = self._answers.readline()
        except (ssl.SSLError, ConnectionError):
            return None
        return int(line.split(b" ")[1]) if line else None

    def _fields(self) -> dict[str, str]:
        fields = {}
        while line := self._answers.readline().strip():
            name, _, value = line.decode("ascii").partition(":")
            fields[name.lower()] = value.strip()
        return fields

    def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return self._answers.read(int(headers["content-length"]))
        body = io.BytesIO()
        while size := int(self._answers.readline(), 16):
            body.write(self._answers.read(size + 2)[:-2])
        self._answers.readline()
        return body.getvalue()


def head(method: str, path: str, *fields: str) -> bytes:
    """Write a request's header."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode("latin-1")


def exchange(station: PlainStation, *parts: bytes) -> Answer | None:
    """Send bytes over a connection of their own and read the first answer."""
    with RawConnection(station) as connection:
        connection.send(*parts)
        return connection.answer()

"""A load of stations: so many connections, each of which sends one file after the other; as little Python as can be."""

import base64
import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import uuid_utils

from bench.vaults import PDF_CLASS, VIDEO_CLASS
from vault.api.batch import MEDIA_TYPE
from vault.bootstrap import now_utc

_HOST = "localhost"
_TAKEN = (b"HTTP/1.1 201", b"HTTP/1.1 200")


def send_all(
    port: int, certificate: str, authority: str, source: str, clients: int, together: int
) -> Mapping[str, Any]:
    """Send every file of a folder; give the seconds in all, and from each last byte to its answer.

    Args:
        port: of the vault.
        certificate: path of the station's key and certificate.
        authority: path of the authority's certificate.
        source: folder of the files.
        clients: connections.
        together: documents in one batch; 1: each is deposited alone.
    """
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate)
    paths = sorted(Path(source).iterdir())
    work: queue.SimpleQueue[Sequence[Path]] = queue.SimpleQueue()
    for start in range(0, len(paths), together):
        work.put(paths[start : start + together])
    waits: list[float] = []
    failures: list[Exception] = []
    connections = [_Connection(port, context) for _ in range(clients)]

    def station(connection: _Connection) -> None:
        try:
            while True:
                group = work.get_nowait()
                waits.append(connection.send(_batch(group) if together > 1 else _alone(group[0])))
        except queue.Empty:
            pass
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=station, args=(connection,)) for connection in connections]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    if failures:
        raise failures[0]
    return {"seconds": seconds, "waits_ms": [round(wait * 1000, 3) for wait in waits]}


class _Connection:
    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        plain = socket.create_connection((_HOST, port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tls = context.wrap_socket(plain, server_hostname=_HOST)

    def send(self, message: bytes) -> float:
        """Send a request; give the seconds from its last byte to its whole answer."""
        self._tls.sendall(message)
        begin = time.perf_counter()
        read_answer(self._tls)
        return time.perf_counter() - begin


def read_answer(connected: ssl.SSLSocket) -> None:
    """Read the answer to a deposit, which must be good."""
    answer = b""
    while (end := answer.find(b"\r\n\r\n")) < 0:
        answer += _more(connected)
    length = int(answer[:end].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(answer) < end + 4 + length:
        answer += _more(connected)
    if not answer.startswith(_TAKEN) or b'"problem"' in answer:
        raise RuntimeError(answer[:1000])


def head_for(name: str, content_bytes: int) -> bytes:
    """Give all that stands before the bytes of a deposit."""
    said = base64.urlsafe_b64encode(json.dumps(_said(name)).encode()).rstrip(b"=")
    head = f"PUT /v1/deposits/{uuid_utils.uuid7()} HTTP/1.1\r\nHost: {_HOST}\r\nContent-Length: {content_bytes}\r\n"
    return head.encode() + b"Kura-Deposit: " + said + b"\r\n\r\n"


def _more(connected: ssl.SSLSocket) -> bytes:
    part = connected.recv(1 << 20)
    if not part:
        raise ConnectionError
    return part


def _said(name: str) -> dict[str, Any]:
    is_video = name.endswith(".mp4")
    said = {"class": VIDEO_CLASS if is_video else PDF_CLASS, "ended_at": now_utc().isoformat(), "file_name": name}
    return said if is_video else said | {"subject_key": f"NIS-{name.partition('.')[0]}"}


def _alone(path: Path) -> bytes:
    content = path.read_bytes()
    return head_for(path.name, len(content)) + content


def _batch(paths: Sequence[Path]) -> bytes:
    parts = []
    for path in paths:
        content = path.read_bytes()
        said = _said(path.name) | {"id": str(uuid_utils.uuid7()), "content_bytes": len(content)}
        parts += [json.dumps(said).encode(), b"\n", content]
    body = b"".join(parts)
    head = f"POST /v1/deposits:batch HTTP/1.1\r\nHost: {_HOST}\r\nContent-Type: {MEDIA_TYPE}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body

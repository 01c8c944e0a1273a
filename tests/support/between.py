"""A server between a store and its engine that does what networks and lookalike engines do: answers late or never,
alters a byte, shifts its clock, or takes locks and ignores them. What it passes on, it passes on as it is."""

import http.client
import select
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult, parse_qs, urlsplit
from xml.etree import ElementTree as ET

from minio.credentials.credentials import Credentials
from minio.signer import sign_v4_s3
from minio.time import to_amz_date

_LOCK = "x-amz-object-lock-"
_NOBODY_WAITS_S = 60.0
_HOP = {"connection", "transfer-encoding", "content-length", "date"}


class Between:
    """What is wrong with the way now; nothing at first."""

    def __init__(self, engine: str, keys: tuple[str, str]) -> None:
        self.engine, self.keys = engine, keys
        self.swallow = 0  # of so many puts the answer is lost, after the engine has done them
        self.late_s = 0.0  # every answer comes so late
        self.late_puts = 0  # of so many puts the answer comes when nobody waits for it any more
        self.reset = 0  # so many requests are cut before they reach the engine
        self.flip_sent = self.flip_given = False  # alter a byte of a body
        self.shift = timedelta()  # of the engine's clock
        self.ignores_locks = self.shortens_locks = False
        self.requests: Counter[str] = Counter()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.way = self
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.said: dict[tuple[str, str], dict[str, str]] = {}  # locks that a lookalike says it keeps

    @contextmanager
    def running(self) -> Iterator["Between"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@contextmanager
def between(engine: str, keys: tuple[str, str]) -> Iterator[Between]:
    """Stand before an engine; a lookalike puts there with these keys."""
    with Between(engine, keys).running() as running:
        yield running


def _flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1]) if data else data


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    way: Between


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the client has gone, as clients do that time out
            self.close_connection = True

    def _pass(self) -> None:
        way, url = self.server.way, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        way.requests[self.command] += 1
        query = parse_qs(url.query, keep_blank_values=True)
        is_put = self.command == "PUT" and not query
        if way.reset:
            way.reset -= 1
            self.close_connection = True
        elif "retention" in query and self.command == "PUT" and (way.shortens_locks or way.ignores_locks):
            self._remember(url.path, query, body)
        else:
            sent = _flipped(body) if way.flip_sent and is_put else body
            status, given, data = self._exchange(url.path, sent, is_put=is_put)
            time.sleep(way.late_s)
            if is_put and way.late_puts:
                way.late_puts -= 1
                select.select([self.connection], [], [], _NOBODY_WAITS_S)  # until whoever asked has hung up
            if is_put and way.swallow:
                way.swallow -= 1
                self.close_connection = True
                return
            said = way.said.get((url.path, query.get("versionId", [""])[0]), {})
            self._answer(status, {**given, **(said if status == http.client.OK else {})}, data)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass  # noqa: N815 - names that the base class asks for

    def _exchange(self, path: str, body: bytes, *, is_put: bool) -> tuple[int, dict[str, str], bytes]:
        """Ask the engine; as a lookalike leave the locks out, which the signature covers, and sign anew."""
        way, headers = self.server.way, dict(self.headers.items())
        if not (way.ignores_locks and is_put):
            return _ask(way.engine, self.command, self.path, body, headers)
        locks = {name.lower(): value for name, value in headers.items() if name.lower().startswith(_LOCK)}
        now = datetime.now(UTC)
        signed = sign_v4_s3(
            method="PUT",
            url=SplitResult("http", way.engine, path, "", ""),
            region="us-east-1",
            headers={
                "Host": way.engine,
                "Content-Length": str(len(body)),
                "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
                "x-amz-date": to_amz_date(now),
            },
            credentials=Credentials(*way.keys),
            content_sha256="UNSIGNED-PAYLOAD",
            date=now,
        )
        status, given, data = _ask(way.engine, "PUT", path, body, {name: str(signed[name]) for name in signed})
        way.said[path, given.get("x-amz-version-id", "")] = locks
        return status, given, data

    def _remember(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        root = ET.fromstring(body)  # noqa: S314 - our own
        found = {element.tag.rpartition("}")[2]: element.text or "" for element in root}
        said = {f"{_LOCK}mode": found["Mode"], f"{_LOCK}retain-until-date": found["RetainUntilDate"]}
        self.server.way.said[path, query["versionId"][0]] = said
        self._answer(http.client.OK, {}, b"")

    def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        way = self.server.way
        if way.flip_given and self.command == "GET" and status == http.client.PARTIAL_CONTENT:
            data = _flipped(data)
        self.send_response_only(status)
        if "Date" in headers:
            date = parsedate_to_datetime(headers["Date"]) + way.shift
            self.send_header("Date", format_datetime(date, usegmt=True))
        for name, value in {name.lower(): value for name, value in headers.items()}.items():
            if name not in _HOP:
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(data)


def _ask(
    engine: str, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(engine, timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()

"""The HTTP/1.1 protocol of the stations' listener: says whose certificate a request came with, and bounds its header.

uvicorn does not hand the peer's certificate to the application. (It has no public hook for it; what is overridden here
is asyncio's protocol interface and httptools' callbacks.)
"""

import asyncio
from asyncio.events import TimerHandle
from collections.abc import Callable
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from vault.api.problems import MEDIA_TYPE, problem_json, status_of
from vault.errors import KuraError, RefusedError
from vault.people.certificates import fingerprint

MAX_HEADER_BYTES: Final = 32 * 1024  # request line and fields, RFC 6585 section 5
HEADER_S: Final = 20.0  # from the first byte of a request, or of the connection, to the end of its header
FINGERPRINT: Final = "kura.fingerprint"


class StationProtocol(HttpToolsProtocol):
    """One connection of a station."""

    _fingerprint: str | None = None
    _header_bytes = 0
    _header_timer: TimerHandle | None = None
    _is_refused = False
    _lost: Callable[[], object] | None = None

    def when_lost(self, lost: Callable[[], object]) -> None:
        """Have `lost` called once, when the connection has ended."""
        self._lost = lost

    def lose(self) -> None:
        """Say that the connection has ended. Harmless to repeat."""
        lost, self._lost = self._lost, None
        if lost is not None:
            lost()

    def shutdown(self) -> None:
        """End with the service: at once where nothing is under way, for a peer that is gone never says goodbye."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
        else:
            super().shutdown()

    @property
    def is_idle(self) -> bool:
        """Whether the last request was answered and no other has begun."""
        return self.timeout_keep_alive_task is not None and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the certificate that TLS has proved; a connection that was given up meanwhile ends here."""
        super().connection_made(transport)
        if self._lost is None:
            transport.abort()
            return
        tls = transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        self._fingerprint = None if certificate is None else fingerprint(certificate)
        self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._header_is_there()
        super().connection_lost(exc)
        self.lose()

    def data_received(self, data: bytes) -> None:
        """Take what came; nothing further after a refusal."""
        if not self._is_refused:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._header_bytes = 0
        self.scope[FINGERPRINT] = self._fingerprint  # type: ignore[typeddict-unknown-key]
        if self._header_timer is None:
            self._await_header()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field."""
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request over; one that asks for another protocol is none: the parser passes over its body."""
        self._header_is_there()
        if self.parser.should_upgrade() or self.parser.get_http_version() not in ("1.0", "1.1"):
            self._refuse(RefusedError("http-malformed"))
        if not self._is_refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        if not self._is_refused:
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Say in a problem what uvicorn says in a text: it was no HTTP."""
        del msg
        self._refuse(RefusedError("http-malformed"))

    def _count(self, more_bytes: int) -> None:
        self._header_bytes += more_bytes
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(RefusedError("header-too-large", most=MAX_HEADER_BYTES))

    def _await_header(self) -> None:
        self._header_timer = self.loop.call_later(HEADER_S, self._refuse, RefusedError("header-stalled"))

    def _header_is_there(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _refuse(self, error: KuraError) -> None:
        """Answer here, for no application has the request, and close.

        An answer that is under way to an earlier request is not mixed with this one: then the connection just ends.
        """
        if self._is_refused:
            return
        self._is_refused = True
        self._header_is_there()
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_answer(error))
            self.transport.close()


def _answer(error: KuraError) -> bytes:
    status, body = status_of(error), problem_json(error)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"content-type: {MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body

"""One kept connection to the vault: mutual TLS, streamed uploads, repeats that are safe.

The vault must prove itself by its own authority alone, and by its host name. What is repeated is always the same
request with the same record id, on a lost connection and on 429 and 503; nothing the vault refused is sent again.
"""

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from secrets import randbelow
from typing import Protocol

from vault.client.problems import problem_of
from vault.errors import IntegrityError, KuraError, RefusedError, UnavailableError

_BLOCK_BYTES = 1 << 20
_ANSWER_BYTES = 64 << 20  # 256 receipts of the largest kind
_CONNECT_S, _ANSWER_S = 10.0, 120.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_JITTER = 1000
_RETRIED = (429, 503)
_DROPPED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_REFUSED = 400


class Body(Protocol):
    """What is uploaded: `size` bytes."""

    @property
    def size(self) -> int:
        """In bytes."""

    def parts(self) -> Iterable[bytes]:
        """Give them in order."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the vault."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with a status below 400."""

    status: int
    body: bytes


def tls_context(authority: bytes, certificate: str, key: str) -> ssl.SSLContext:
    """Trust one authority (PEM) and nobody else, and show a station's certificate.

    Raises:
        RefusedError: `station-pair-differs`, key and certificate do not go together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # requires a certificate, and that it is for the host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=authority.decode("ascii"))
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, ValueError) as error:
        raise RefusedError("station-pair-differs", name="station.toml") from error
    return context


class Connection:
    """Talks to one vault, one request after the other; connects when it has to."""

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext,
        is_expired: Callable[[], bool],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the address; nothing is sent yet.

        Args:
            host: name or address, as in the vault's certificate.
            port: TCP.
            context: from `tls_context`.
            is_expired: tells whether the station's certificate has run out by the station's clock.
            sleep: waits for so many seconds between tries.
        """
        self._http = HTTPSConnection(host, port, timeout=_CONNECT_S, context=context, blocksize=_BLOCK_BYTES)
        self._is_expired, self._sleep = is_expired, sleep

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        self._http.close()

    def request(self, make: Callable[[], Request], tries: int) -> Answer:
        """Send a request that may safely arrive twice.

        Args:
            make: makes it anew for every try, for it says when it is sent.
            tries: how often at most.

        Raises:
            RefusedError: the vault refused (`RefusedByVaultError`), or did not accept the station's certificate.
            UnavailableError: `vault-unreachable`, `vault-not-proven`, or the vault is busy (`VaultBusyError`).
            IntegrityError: `vault-answer-malformed`.
        """
        for attempt in range(1, tries + 1):
            is_kept = self._http.sock is not None
            try:
                return self._once(make())
            except _TurnedAwayError as turned_away:
                pause_s, failure = turned_away.retry_after_s, turned_away.failure
            except (OSError, HTTPException) as error:
                self.close()
                if is_kept:  # it may just have been idle for too long: no try is counted, for it is now closed
                    return self.request(make, tries)
                pause_s, failure = None, self._failure(error)
                if not isinstance(failure, UnavailableError):
                    raise failure from error
            pause_s = _pause(attempt) if pause_s is None else pause_s
            if attempt == tries or pause_s > _LONGEST_PAUSE_S:
                raise failure
            self._sleep(pause_s)
        raise AssertionError  # pragma: no cover - there is at least one attempt

    def _failure(self, error: OSError | HTTPException) -> KuraError:
        """Say what broke a fresh connection. Not every server says in TLS that it does not accept a certificate."""
        if isinstance(error, _DROPPED) and not isinstance(error, ConnectionRefusedError) and self._is_expired():
            return RefusedError("station-not-accepted")
        return failure_of(error)

    def _once(self, request: Request) -> Answer:
        http = self._http
        if http.sock is None:
            http.timeout = _CONNECT_S
            http.connect()
            if http.sock is not None:
                http.sock.settimeout(_ANSWER_S)
        http.putrequest(request.method, request.path, skip_accept_encoding=True)
        for name, value in request.headers.items():
            http.putheader(name, value)
        if request.body is not None:
            http.putheader("Content-Length", str(request.body.size))
        try:
            http.endheaders()
            for part in request.body.parts() if request.body is not None else ():
                http.send(part)
        except _DROPPED:
            # The vault may have answered and closed while we wrote: its answer says more than the broken pipe.
            return self._answer(http.getresponse(), is_cut=True)
        except BaseException:
            self.close()  # half a request must not be followed by another
            raise
        return self._answer(http.getresponse(), is_cut=False)

    def _answer(self, response: HTTPResponse, *, is_cut: bool) -> Answer:
        status, retry_after_s = response.status, _seconds(response.getheader("Retry-After"))
        body = response.read(_ANSWER_BYTES)
        if is_cut or not response.isclosed():
            self.close()
        if status >= _REFUSED:
            failure = problem_of(status, body, retry_after_s)
            if status in _RETRIED:
                raise _TurnedAwayError(failure, retry_after_s)
            raise failure
        if is_cut or status not in (200, 201) or len(body) == _ANSWER_BYTES:
            raise IntegrityError("vault-answer-malformed")
        return Answer(status, body)


class _TurnedAwayError(Exception):
    """An answer that asks to come back."""

    def __init__(self, failure: KuraError, retry_after_s: float | None) -> None:
        super().__init__()
        self.failure, self.retry_after_s = failure, retry_after_s


def _pause(attempt: int) -> float:
    """Say how long to wait after a try: twice as long each time, up to a half more or less."""
    doubled = min(_LONGEST_PAUSE_S / 2, _FIRST_PAUSE_S * float(1 << (attempt - 1)))
    return doubled * (0.5 + randbelow(_JITTER) / _JITTER)


def _seconds(text: str | None) -> float | None:
    """Read Retry-After as seconds; as a date it is not used here."""
    return float(text) if text is not None and text.isascii() and text.isdecimal() else None


def failure_of(error: OSError | HTTPException) -> KuraError:
    """Give the error that a failure of the connection stands for."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return UnavailableError("vault-not-proven")
    reason = getattr(error, "reason", None) or ""  # of TLS errors only, and not of all
    if isinstance(error, ssl.SSLError) and "ALERT" in reason and "INTERNAL" not in reason:
        return RefusedError("station-not-accepted")
    return UnavailableError("vault-unreachable", reason=type(error).__name__)

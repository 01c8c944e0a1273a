"""The gate: every request is a station's, by its certificate as it stands now, and within its rate.

What is refused here has not been looked at. A body that was not read is passed over for a while after the answer, for a
client that writes without reading would find its connection reset, and never see why.
"""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vault.api.problems import problem_response
from vault.api.protocol import FINGERPRINT
from vault.api.rates import Rates
from vault.errors import KuraError, RefusedError
from vault.ledger.batch import told
from vault.people.stations import Station, station_by_certificate
from vault.records.ground import Ground
from vault.service_log import service_log
from vault.storage.losses import is_passing

STATION: Final = "kura.station"
_PASS_OVER_BYTES: Final = 16 << 20
_PASS_OVER_S: Final = 10.0
_QUIET_S: Final = 2.0  # a client that sends nothing for so long has stopped


class Gate:
    """Lets stations pass to the routes behind it."""

    def __init__(self, ground: Ground, rates: Rates, routes: ASGIApp) -> None:
        """Guard `routes`."""
        self._ground, self._rates, self._routes = ground, rates, routes
        self._log = service_log()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = _Exchange(scope, receive, send)
        try:
            station = self._station(scope.get(FINGERPRINT))
            self._rates.take_request(station.name)
        except Exception as raised:
            if not isinstance(raised, KuraError) and not is_passing(raised):
                raise
            error = told(raised)
            await problem_response(error)(scope, exchange.receive, exchange.send)
            self._log.info("refused", method=scope["method"], code=error.code, status=exchange.status)
            return
        scope[STATION] = station
        await self._routes(scope, exchange.receive, exchange.send)
        if exchange.status >= HTTPStatus.BAD_REQUEST:  # what was taken is in the ledger
            self._log.info("refused", station=station.name, method=scope["method"], status=exchange.status)

    def _station(self, fingerprint: str | None) -> Station:
        if fingerprint is None:
            raise RefusedError("certificate-missing")
        return self._ground.ready.run(lambda connection: station_by_certificate(connection, fingerprint))


class _Exchange:
    """One request and its answer: knows how much of the body has come."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.status = 0
        self._receive, self._send = receive, send
        fields = dict(scope["headers"])
        self._is_whole = fields.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in fields
        self._is_expected = b"expect" in fields  # the client waits to be told to send
        self._is_gone = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._is_expected = False
        if message["type"] == "http.disconnect":
            self._is_gone = True
        elif not message.get("more_body", False):
            self._is_whole = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if not self._is_whole:
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        elif not message.get("more_body", False) and not self._is_whole and not self._is_expected:
            await self._send({**message, "more_body": True})
            await self._pass_over()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _pass_over(self) -> None:
        """Take what is still on its way, up to a limit, or until no more comes."""
        passed = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_PASS_OVER_S):
                while not self._is_whole and not self._is_gone and passed < _PASS_OVER_BYTES:
                    async with asyncio.timeout(_QUIET_S):
                        passed += len((await self.receive()).get("body", b""))

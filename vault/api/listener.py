"""The stations' listener: TLS with client certificates of the vault's own authority, in a thread beside its owner."""

import asyncio
import logging
import socket
import ssl
import threading
import time

import uvicorn

from vault.api.admission import Admission
from vault.api.body import Pace
from vault.api.gate import Gate
from vault.api.identity import Identity
from vault.api.intake import Intake
from vault.api.protocol import StationProtocol
from vault.api.rates import Rates
from vault.api.stations import Routes
from vault.errors import UnavailableError
from vault.people.certificates import pem
from vault.records.vault import Vault
from vault.settings import ListenerSettings

_BACKLOG = 1024  # connections that wait to be admitted
_KEEP_ALIVE_S = 60
_RECEIVE_BYTES = 128 << 10
_GRACE_S = 20  # for uploads under way when the vault stops


class Listener:
    """Serves stations from `start` to `stop`."""

    def __init__(self, vault: Vault, settings: ListenerSettings) -> None:
        """Be ready to serve."""
        self._vault, self._settings = vault, settings
        self._identity = Identity(vault, settings.hosts)
        self._context: ssl.SSLContext | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._intake: Intake | None = None
        self.port: int | None = None
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())  # what concerns the vault is in its own log
        logging.getLogger("uvicorn").propagate = False

    def start(self) -> None:
        """Begin to serve; return when connections are taken.

        Raises:
            SealedError: there is no authority yet, and the vault is sealed.
            UnavailableError: `listener-address-taken`.
        """
        self._identity.ensure()
        context = self._context = self._tls()
        listening = _bound(self._settings.address, self._settings.port or 0)
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            Gate(self._vault.ground, self._rates(), self._application()),  # type: ignore[arg-type]
            http=StationProtocol,
            ws="none",
            loop="uvloop",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_context_factory=lambda *_: context,
        )
        server = self._server = _Server(config, listening, self._settings.connections)
        self._thread = threading.Thread(target=self._serve, args=(server, listening), name="listener")
        self._thread.start()
        while not server.started and self._thread.is_alive():
            time.sleep(0.01)

    def renew(self) -> None:
        """Renew the listener's certificate where it is time; connections from now on see the new one."""
        if self._context is not None and self._identity.ensure():
            self._context.load_cert_chain(self._identity.path)

    def stop(self) -> None:
        """Take no further connection, and finish what is under way. Harmless to repeat."""
        server, thread, self._thread = self._server, self._thread, None
        if server is not None and thread is not None:
            server.should_exit = True
            thread.join()
        intake, self._intake = self._intake, None
        if intake is not None:
            intake.close()

    @property
    def is_serving(self) -> bool:
        """Whether stations can connect."""
        return self._thread is not None

    def _serve(self, server: uvicorn.Server, listening: socket.socket) -> None:
        with listening, asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
            runner.run(server.serve(sockets=[]))

    def _application(self) -> object:
        pace = Pace(patience_s=self._settings.patience_s)
        self._intake = Intake(self._vault)
        return Routes(self._vault, self._intake, pace).application()

    def _rates(self) -> Rates:
        return Rates(self._settings.requests_per_second, self._settings.burst, time.monotonic)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=pem(self._vault.enrolment.authority().certificate))
        context.load_cert_chain(self._identity.path)
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_TICKET  # every connection proves its certificate anew
        context.num_tickets = 0
        return context


class _Server(uvicorn.Server):
    """uvicorn's server, whose connections come by our admission, and end with it."""

    def __init__(self, config: uvicorn.Config, listening: socket.socket, most: int) -> None:
        super().__init__(config)
        self._admission = Admission(self, listening, most)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._admission.begin()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._admission.end()  # first: whoever came while the others are seen out would be served, too
        await super().shutdown(sockets)
        await self._admission.close()


def _bound(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What waits for its turn waits in the kernel, and there is no more of it than this.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    try:
        listening.bind((address, port))
    except OSError as error:
        listening.close()
        raise UnavailableError("listener-address-taken", address=address, port=port) from error
    listening.listen(_BACKLOG)
    listening.settimeout(0)
    return listening

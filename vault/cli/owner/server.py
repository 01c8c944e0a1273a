"""Serving a vault: one thread per client, one verb per connection, and the owner's regular rounds between.

A client's wrong, oversized or cut request hurts nobody but that client.
"""

import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from vault.api.listener import Listener
from vault.cli.host.call import Item, Request
from vault.cli.host.verbs import perform
from vault.cli.owner.address import listen, peer_user, remove
from vault.cli.owner.tending import Tending
from vault.cli.owner.wire import Connection, encode_error
from vault.errors import IntegrityError, KuraError, RefusedError, UnavailableError
from vault.records.orphans import sweep_orphans
from vault.records.vault import Vault
from vault.service_log import service_log

PUBLISH_EVERY_S = 3.0
KEEP_AHEAD_EVERY_S = 3600.0
SWEEP_EVERY_S = 24 * 3600.0
_MAX_CLIENTS = 64


def serve(vault: Vault, stations: Listener | None, ready: Callable[[], None]) -> None:
    """Answer clients and stations until SIGTERM or SIGINT; what is under way is finished. The caller closes the vault.

    Raises:
        UnavailableError: the socket cannot be made.
    """
    listener = listen(vault.folder)
    woken, waker = socket.socketpair()
    woken.settimeout(0)
    waker.settimeout(0)
    with listener, woken, waker, selectors.DefaultSelector() as selector, _Signals(waker):
        selector.register(listener, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        clients, rounds = _Clients(vault), _Rounds(vault, stations)
        rounds.admit_stations()
        tending = Tending(vault)
        ready()
        while True:
            chosen = {key.fileobj for key, _ in selector.select(PUBLISH_EVERY_S)}
            if woken in chosen:
                break
            if listener in chosen:
                clients.admit(listener.accept()[0])
            rounds.go(time.monotonic())
        remove(vault.folder)
        if stations is not None:
            stations.stop()
        clients.finish()
        tending.stop()


class _Signals:
    """While entered, SIGTERM and SIGINT write to a socket instead of ending the process."""

    def __init__(self, waker: socket.socket) -> None:
        self._waker = waker
        self._previous: list[tuple[signal.Signals, Any]] = []

    def __enter__(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous.append((number, signal.signal(number, lambda *_: self._wake())))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous:
            signal.signal(number, handler)

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            self._waker.send(b"x")


class _Rounds:
    """What an owner does from time to time: publish, make buckets ahead, sweep orphans, renew the listener.

    Of several owners on one database one at a time makes buckets and sweeps; each publishes in its own folder.
    """

    def __init__(self, vault: Vault, stations: Listener | None) -> None:
        self._vault, self._stations = vault, stations
        self._due: dict[Callable[[], object], tuple[float, float]] = {
            vault.publish: (0.0, PUBLISH_EVERY_S),
            vault.second_disk.tend: (0.0, PUBLISH_EVERY_S),
            self._make_ahead: (0.0, KEEP_AHEAD_EVERY_S),
            self._sweep: (0.0, SWEEP_EVERY_S),
            self.admit_stations: (0.0, PUBLISH_EVERY_S),
        }

    def go(self, now: float) -> None:
        """Do what is due; a round that fails is logged and comes again."""
        if self._vault.problem is not None:
            return
        for task, (due, every) in self._due.items():
            if now < due or (task == self._make_ahead and self._vault.is_sealed):
                continue
            self._due[task] = now + every, every
            try:
                task()
            except KuraError as error:
                service_log().warning("round-failed", code=error.code)
            except Exception as error:  # noqa: BLE001 - an engine that is away for a while must not end the owner
                service_log().warning("round-failed", code=type(error).__name__)

    def admit_stations(self) -> None:
        """Let stations connect, as soon as the vault can vouch for itself; keep its certificate good."""
        if self._stations is None or self._vault.problem is not None:
            return
        if self._stations.is_serving:
            self._stations.renew()
        elif not (self._vault.is_sealed and not self._vault.enrolment.has_authority):
            self._stations.start()

    def _make_ahead(self) -> None:
        with self._vault.leases.held("make-ahead") as is_mine:
            if is_mine:
                self._vault.make_ahead()

    def _sweep(self) -> None:
        with self._vault.leases.held("sweep") as is_mine:
            if is_mine:
                sweep_orphans(self._vault.ground)


class _Clients:
    """The connections being served."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._room = threading.Semaphore(_MAX_CLIENTS)
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}

    def admit(self, connected: socket.socket) -> None:
        """Serve a client in a thread of its own; one too many is turned away."""
        if not self._room.acquire(blocking=False):
            connected.close()
            return
        thread = threading.Thread(target=self._serve, args=(connected,), name="client")
        with self._lock:
            self._open[thread] = connected
        thread.start()

    def finish(self) -> None:
        """Take no further line from anybody, and wait for the verbs under way."""
        with self._lock:
            running = dict(self._open)
        for connected in running.values():
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RD)
        for thread in running:
            thread.join()

    def _serve(self, connected: socket.socket) -> None:
        connection = Connection(connected)
        try:
            _converse(self._vault, connection, peer_user(connected))
        except Exception as error:  # noqa: BLE001 - a client must not end the owner
            service_log().error("client-failed", reason=type(error).__name__)
        finally:
            with self._lock:
                del self._open[threading.current_thread()]
            connection.close()
            self._room.release()


def _converse(vault: Vault, connection: Connection, user_id: int) -> None:
    """Hear one request, perform it, and say what came of it."""
    verb = "?"
    try:
        message = connection.receive()
        if message is None:
            return
        request = Request.parse(message)
        verb = request.verb
        result = perform(vault, request, user_id, _items(connection), _teller(connection))
        answer: Mapping[str, object] = {"result": result}
        service_log().info("verb", verb=verb, user_id=user_id, outcome="done")
    except KuraError as error:
        answer = {"error": encode_error(error)}
        service_log().info("verb", verb=verb, user_id=user_id, outcome=error.code)
    except Exception as error:  # noqa: BLE001 - told to the client in a sentence, and to the log by its type
        service_log().error("verb", verb=verb, user_id=user_id, outcome=type(error).__name__)
        answer = {"error": encode_error(IntegrityError("unexpected", reason=type(error).__name__))}
    with suppress(UnavailableError):
        connection.send(answer)


def _items(connection: Connection) -> Iterator[Item]:
    """Give what the client sends after its request, up to the end it says."""
    while (message := connection.receive()) is not None:
        if message == {"end": True}:
            return
        fields = message.get("item")
        if not isinstance(fields, dict):
            raise RefusedError("request-malformed")
        yield Item(fields, connection.take_descriptor())
    raise UnavailableError("request-cut")


def _teller(connection: Connection) -> Callable[[Mapping[str, object]], None]:
    return lambda progress: connection.send({"progress": progress})

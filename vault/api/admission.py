"""Admitting connections: so many at a time, for each costs memory; others wait in the system's queue, not refused."""

import asyncio
import socket
from contextlib import suppress
from functools import partial

import uvicorn

from vault.api.protocol import StationProtocol
from vault.service_log import service_log

_HANDSHAKE_S = 20.0
_RETRY_S = 1.0
_LOOK_S = 0.1
_GOODBYE_S = 2.0  # for the end of TLS: a peer that is gone holds its room no longer


class Admission:
    """Takes connections from a listening socket as there is room for them."""

    def __init__(self, server: uvicorn.Server, listening: socket.socket, most: int) -> None:
        """Admit up to `most` connections to a server that is being started."""
        self._server, self._listening = server, listening
        self._room, self._most = asyncio.Semaphore(most), most
        self._handshakes: set[asyncio.Task[None]] = set()
        self._admitting: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Admit from now on."""
        self._admitting = asyncio.get_running_loop().create_task(self._run())

    async def end(self) -> None:
        """Admit nobody further, from the moment this is called: who comes now is refused by the system, at once."""
        ending: list[asyncio.Task[None]] = [*self._handshakes]
        if self._admitting is not None:
            ending.append(self._admitting)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        self._listening.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._take_room()
            try:
                connected, _ = await loop.sock_accept(self._listening)
            except BaseException as error:
                self._room.release()
                if not isinstance(error, OSError):
                    raise
                service_log().warning("connection-not-admitted", reason=type(error).__name__)  # no descriptor, say
                await asyncio.sleep(_RETRY_S)
                continue
            protocol = StationProtocol(self._server.config, self._server.server_state, {}, loop)
            protocol.when_lost(self._room.release)
            handshake = asyncio.create_task(self._admit(protocol, connected))
            self._handshakes.add(handshake)
            handshake.add_done_callback(partial(self._settle, protocol, connected))

    async def _admit(self, protocol: StationProtocol, connected: socket.socket) -> None:
        """Shake hands; from then on the connection itself gives its room back when it ends."""
        loop, config = asyncio.get_running_loop(), self._server.config
        try:
            await loop.connect_accepted_socket(
                lambda: protocol,
                connected,
                ssl=config.ssl,
                ssl_handshake_timeout=_HANDSHAKE_S,
                ssl_shutdown_timeout=_GOODBYE_S,
            )
        except OSError:  # no certificate, a foreign one, or no TLS at all
            connected.close()
            protocol.lose()

    def _settle(self, protocol: StationProtocol, connected: socket.socket, handshake: asyncio.Task[None]) -> None:
        """Let go of one that was cancelled, which may have been before it began."""
        self._handshakes.discard(handshake)
        if handshake.cancelled():
            connected.close()
            protocol.lose()

    async def close(self) -> None:
        """Let go of every connection that is left, and wait until they are gone."""
        for protocol in list(self._server.server_state.connections):
            if isinstance(protocol, StationProtocol):
                protocol.transport.abort()
        for _ in range(self._most):
            await self._room.acquire()

    async def _take_room(self) -> None:
        """Wait for room; where there is none, connections that are only kept alive make it, as they fall idle."""
        while self._room.locked():
            self._close_an_idle_one()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._room.acquire()
                    return
        await self._room.acquire()

    def _close_an_idle_one(self) -> None:
        """Close a connection that is only kept alive: its station opens another one when it needs it."""
        for protocol in self._server.server_state.connections:
            if isinstance(protocol, StationProtocol) and protocol.is_idle:
                protocol.transport.abort()
                return

"""A request's body as it arrives: pieces in order, within the time that an honest sender needs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.types import Receive

from vault.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow a sender may be.

    Waited for is `patience_s` at a time; in all, that and the time its bytes take at the least rate.
    """

    patience_s: float = 30.0
    least_bytes_per_s: float = 16 * 1024


class Body:
    """The bytes of one request, once. Time that the vault itself takes does not count against the sender."""

    def __init__(self, receive: Receive, pace: Pace) -> None:
        """Read from an ASGI application's `receive`."""
        self._receive, self._pace = receive, pace
        self._waited_s = 0.0
        self._received_bytes = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the body piece by piece; nothing is asked of the sender before the last piece was taken.

        Raises:
            RefusedError: `body-stalled`; `body-cut`, the sender went away.
        """
        loop, more = asyncio.get_running_loop(), True
        while more:
            rest_s = self._pace.patience_s + self._received_bytes / self._pace.least_bytes_per_s - self._waited_s
            began = loop.time()
            try:
                async with asyncio.timeout(min(rest_s, self._pace.patience_s)):
                    message = await self._receive()
            except TimeoutError as error:
                raise RefusedError("body-stalled", received=self._received_bytes) from error
            self._waited_s += loop.time() - began
            if message["type"] == "http.disconnect":
                raise RefusedError("body-cut", received=self._received_bytes)
            piece = message.get("body", b"")
            self._received_bytes += len(piece)
            if piece:
                yield piece
            more = message.get("more_body", False)

    async def whole(self, most: int) -> bytes:
        """Give the whole body.

        Raises:
            RefusedError: `request-too-large`: it has more than `most` bytes; or as `pieces`.
        """
        pieces, size = [], 0
        async for piece in self.pieces():
            size += len(piece)
            if size > most:
                raise RefusedError("request-too-large", most=most)
            pieces.append(piece)
        return b"".join(pieces)

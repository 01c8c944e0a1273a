"""Rooms: so much of something, lent in turn to those who wait. One event loop uses a room."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vault.errors import UnavailableError


class Room:
    """An amount that is shared: memory, threads."""

    def __init__(self, amount: int, patience_s: float) -> None:
        """Begin with all of it free; nobody waits longer than `patience_s`."""
        self._free, self._patience_s = amount, patience_s
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def lent(self, amount: int) -> AsyncIterator[None]:
        """Have `amount` of it, which must not be more than there is in all.

        Raises:
            UnavailableError: `intake-busy`: none was free in time.
        """
        if self._waiting or amount > self._free:
            await self._wait(amount)
        else:
            self._free -= amount
        try:
            yield
        finally:
            self._free += amount
            self._serve()

    async def _wait(self, amount: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            async with asyncio.timeout(self._patience_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # it was lent at the last moment
                self._free += amount
            else:
                self._waiting = deque(one for one in self._waiting if one[1] is not turn)
            self._serve()
            if isinstance(error, TimeoutError):
                raise UnavailableError("intake-busy") from error
            raise

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            amount, turn = self._waiting.popleft()
            if not turn.done():
                self._free -= amount
                turn.set_result(None)

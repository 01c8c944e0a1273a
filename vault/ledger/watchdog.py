"""Ends a database connection whose server has said nothing for too long: the kernel alone would wait for ever.

A server that hangs (its disk, or its whole machine) still holds its side of the connection open.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection

_LOOKS_EVERY_S = 1.0


class Watchdog:
    """Watches one connection at a time."""

    def __init__(self, patience_s: float) -> None:
        """Begin with nothing watched; the thread starts with the first watch."""
        self._patience_s = patience_s
        self._watched: tuple[int, float] | None = None  # descriptor, and when it is ended
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, connection: Connection) -> Iterator[None]:
        """Watch a connection; where it is ended, what waits for it raises as if the server had ended it."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="database-watchdog", daemon=True)
            self._thread.start()
        descriptor: int = connection.connection.driver_connection.fileno()  # type: ignore[union-attr]  # psycopg's
        with self._lock:
            self._watched = descriptor, time.monotonic() + self._patience_s
        try:
            yield
        finally:
            with self._lock:
                self._watched = None

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        while not self._stopped.wait(_LOOKS_EVERY_S):
            with self._lock:  # while it is held, the descriptor is still the connection's
                if self._watched is not None and time.monotonic() > self._watched[1]:
                    with suppress(OSError), socket.socket(fileno=os.dup(self._watched[0])) as connected:
                        connected.shutdown(socket.SHUT_RDWR)

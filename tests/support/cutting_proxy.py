"""A network between a process and PostgreSQL that can be cut at a chosen moment: around the commit."""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

_COMMIT = b"COMMIT\x00"  # not that of READ COMMITTED


class CuttingProxy:
    """Passes bytes on, on a port of its own, until it is told otherwise.

    `cut_at_commit` arms it once: the next COMMIT is passed on or not, its answer is not, and the connection ends.
    While `is_open` is false nobody can connect, and every connection is cut.
    """

    def __init__(self, url: str, folder: Path) -> None:
        parts = urlsplit(url)
        assert parts.port is not None
        self._server = (parts.hostname or "", parts.port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        # libpq finds the password by host and port.
        given = Path(parts.query.removeprefix("passfile="))
        passwords = folder / "passfile"
        passwords.touch(mode=0o600)
        passwords.write_text(given.read_text().replace(f":{parts.port}:", f":{port}:"))
        self.url = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?passfile={passwords}"
        self.is_open = True
        self.hangs = threading.Event()  # set: nothing passes, and nothing ends
        self.was_cut = threading.Event()
        self.stays_closed = False
        self._cut: bool | None = None
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at_commit(self, *, is_passed_on: bool, stays_closed: bool = False) -> None:
        self.stays_closed, self._cut = stays_closed, is_passed_on

    def close(self) -> None:
        self.is_open = False
        for one in self._sockets:
            _end(one)

    def open(self) -> None:
        self.is_open = True

    def stop(self) -> None:
        self.close()
        self.hangs.clear()
        _end(self._listening)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            if not self.is_open:
                client.close()
                continue
            server = socket.create_connection(self._server)
            self._sockets += [client, server]
            answers_stop = threading.Event()
            threading.Thread(target=self._ask, args=(client, server, answers_stop), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, answers_stop), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, answers_stop: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                if self.hangs.is_set():
                    return
                if _COMMIT in data and self._cut is not None:
                    is_passed_on, self._cut = self._cut, None
                    answers_stop.set()
                    self.is_open = not self.stays_closed
                    if is_passed_on:
                        server.sendall(data)
                        server.recv(1 << 16)  # it was committed
                    break
                server.sendall(data)
        _end(client)
        _end(server)
        if answers_stop.is_set():
            self.was_cut.set()

    def _answer(self, client: socket.socket, server: socket.socket, answers_stop: threading.Event) -> None:
        with suppress(OSError):
            while True:
                data = server.recv(1 << 16, socket.MSG_PEEK)  # left there for `_ask`, once it has stopped this
                if not data or answers_stop.is_set():
                    return
                if self.hangs.is_set():
                    return
                client.sendall(server.recv(len(data)))


def _end(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        connected.close()

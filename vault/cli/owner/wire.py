"""The owner's protocol: JSON lines over a Unix socket, some with one file descriptor; and errors as JSON.

A client sends one request, then items, then the end:

    {"verb": "deposit", "as": "1001", "arguments": {"class_id": "application_form"}}
    {"item": {"file_name": "form.pdf"}}      with the descriptor of the open file, any number of times
    {"end": true}

and hears progress lines and one last line:

    {"progress": {…}}
    {"result": {…}}        or {"error": {"class": "RefusedError", "code": "not-allowed", "facts": {…}}}

A line is at most 1 MiB. No line holds a path that the owner opens.
"""

import array
import json
import os
import socket
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from vault import errors
from vault.errors import KuraError, RefusedError, UnavailableError, sentences

MAX_LINE_BYTES = 1 << 20
_READ_BYTES = 1 << 16
_MAX_DESCRIPTORS = 253  # Linux hands over no more at once
_PLAIN = (str, int, float, bool, type(None))


class Connection:
    """One end of the protocol. One thread receives; several may send."""

    def __init__(self, connected: socket.socket) -> None:
        """Speak over a connected stream socket; `close` is the caller's."""
        self._socket = connected
        self._sending = threading.Lock()
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    def send(self, message: Mapping[str, object], descriptor: int | None = None) -> None:
        """Send one line, with a descriptor where it has one; the descriptor stays the caller's.

        Raises:
            UnavailableError: the other end is gone.
        """
        line = json.dumps(message, ensure_ascii=True).encode() + b"\n"
        with self._sending:
            try:
                sent = 0
                if descriptor is not None:
                    rights = array.array("i", [descriptor])
                    sent = self._socket.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                self._socket.sendall(line[sent:])
            except OSError as error:
                raise UnavailableError("owner-gone") from error

    def receive(self) -> dict[str, Any] | None:
        """Give the next line, or None where the other end is gone.

        Raises:
            RefusedError: it is longer than a line may be, or not a JSON object.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) >= MAX_LINE_BYTES:
                raise RefusedError("request-too-large", most=MAX_LINE_BYTES)
            if not self._read():
                return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if len(line) > MAX_LINE_BYTES:
            raise RefusedError("request-too-large", most=MAX_LINE_BYTES)
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RefusedError("request-malformed") from error
        if not isinstance(message, dict):
            raise RefusedError("request-malformed")
        return message

    def take_descriptor(self) -> int:
        """Give the next descriptor received; whoever takes it closes it.

        Raises:
            RefusedError: none came with the line.
        """
        if not self._descriptors:
            raise RefusedError("request-malformed")
        return self._descriptors.popleft()

    def close(self) -> None:
        """Close the socket, and every descriptor that nobody took."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def _read(self) -> bool:
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._socket, _READ_BYTES, _MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except OSError:
            return False
        self._descriptors.extend(descriptors)
        if len(self._descriptors) > _MAX_DESCRIPTORS:
            raise RefusedError("request-malformed")
        self._buffer += data
        return bool(data)


def encode_error(error: KuraError) -> dict[str, object]:
    """Give an error as JSON: its class, code and facts."""
    facts = {name: value if isinstance(value, _PLAIN) else str(value) for name, value in error.facts.items()}
    return {"class": type(error).__name__, "code": error.code, "facts": facts}


def decode_error(message: Mapping[str, Any]) -> KuraError:
    """Give the error that `encode_error` wrote; one that this program does not know is an unexpected one."""
    classes = {kind.__name__: kind for kind in KuraError.__subclasses__() if kind.__module__ == errors.__name__}
    kind, code, facts = classes.get(str(message.get("class"))), message.get("code"), message.get("facts")
    if kind is None or code not in sentences() or not isinstance(facts, dict):
        return errors.IntegrityError("unexpected", reason="owner")
    return kind(str(code), **facts)

"""Asking the owner of a folder to perform a verb; or becoming the owner for this run. One code path performs it."""

import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from vault.bootstrap import open_vault
from vault.cli.host.call import Item, Request
from vault.cli.host.verbs import perform
from vault.cli.owner.address import connect
from vault.cli.owner.wire import Connection, decode_error
from vault.errors import ConflictError, KuraError, UnavailableError
from vault.keys.custodian import CustodianSecret

_PATIENCE_S = 10.0
_PAUSE_S = 0.05

Tell = Callable[[Mapping[str, Any]], None]


def ask(
    folder: Path, request: Request, custodian: CustodianSecret | None, items: Iterable[Item], tell: Tell
) -> dict[str, Any]:
    """Have a verb performed on the vault in `folder`, and give its result.

    Args:
        folder: the vault's.
        request: what to perform.
        custodian: opens the vault where this process becomes its owner.
        items: each with a descriptor that this function closes.
        tell: hears of the progress.

    Raises:
        ConflictError: `vault-owned`: for some seconds another process has held the folder and has not listened.
        KuraError: what the verb raised.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        connected = connect(folder)
        if connected is not None:
            return _ask_owner(connected, request, items, tell)
        try:
            vault = open_vault(folder, custodian)
        except ConflictError as error:
            # Another command has the folder, or an owner is about to listen.
            if error.code != "vault-owned" or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
            continue
        gc.freeze()  # what is there now stays: the collector need not walk over it again and again
        try:
            return perform(vault, request, os.getuid(), iter(items), tell)
        finally:
            vault.close()


def ask_owner(folder: Path, request: Request) -> dict[str, Any]:
    """Have a verb performed by the owner that serves the vault: it makes no sense for one run.

    Raises:
        UnavailableError: `owner-missing`.
        KuraError: what the verb raised.
    """
    connected = connect(folder)
    if connected is None:
        raise UnavailableError("owner-missing")
    return _ask_owner(connected, request, (), lambda _: None)


def _ask_owner(connected: socket.socket, request: Request, items: Iterable[Item], tell: Tell) -> dict[str, Any]:
    connection = Connection(connected)
    failures: list[Exception] = []
    sender = threading.Thread(target=_send, args=(connection, request, items, failures), daemon=True)
    sender.start()
    try:
        for message in _answers(connection):
            if "progress" in message:
                tell(message["progress"])
            elif "result" in message:
                result: dict[str, Any] = message["result"]
                return result
            else:
                raise _told(message, failures)
        raise _told({}, failures)
    finally:
        connection.close()
        sender.join()


def _send(connection: Connection, request: Request, items: Iterable[Item], failures: list[Exception]) -> None:
    """Send the request and its items; the owner may have answered before all are sent."""
    try:
        connection.send(request.message())
        for item in items:
            try:
                connection.send({"item": item.fields}, item.descriptor)
            finally:
                os.close(item.descriptor)
        connection.send({"end": True})
    except UnavailableError:
        return  # the owner has answered, or is gone: whoever hears it will tell
    except Exception as error:  # noqa: BLE001 - raised in the thread that hears
        failures.append(error)
        with suppress(UnavailableError):
            connection.send({"cut": True})


def _answers(connection: Connection) -> Iterator[dict[str, Any]]:
    while (message := connection.receive()) is not None:
        yield message


def _told(message: Mapping[str, Any], failures: list[Exception]) -> Exception:
    """What went wrong: with our own items, as the owner says, or with the owner itself."""
    if failures:
        return failures[0]
    error = message.get("error")
    if isinstance(error, dict):
        told: KuraError = decode_error(error)
        return told
    return UnavailableError("owner-gone")

"""The listener ends with whatever state its connections are in, and starts again at the same port."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import vaults
from narrow_api import PlainStation, deposit_header, listening

from vault.api.listener import Listener
from vault.settings import ListenerSettings


def test_it_ends_while_connections_are_kept_alive_begun_and_half_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.api.listener._GRACE_S", 1)
    vault = vaults.new_vault(tmp_path)
    with listening(vault, tmp_path) as api:
        idle = [api.station("idle"), api.station("other")]
        for station in idle:
            assert station.ask("GET", "/v1/health").status == 200
        silent = socket.create_connection(("localhost", api.port))  # never begins its handshake
        plain = socket.create_connection(("localhost", api.port))
        half = api.station("half").context.wrap_socket(plain, server_hostname="localhost")
        head = f"PUT /v1/deposits/{vaults.new_id()} HTTP/1.1\r\nContent-Length: 9000\r\nHost: localhost\r\n"
        half.sendall(f"{head}Kura-Deposit: {deposit_header()}\r\n\r\n%PDF".encode())
    for connected in (silent, half):
        connected.close()
    port = api.port
    for station in idle:
        with pytest.raises((ConnectionError, OSError)):
            station.ask("GET", "/v1/health")
    again = Listener(vault, ListenerSettings(port=port))
    again.start()
    assert idle[0].ask("GET", "/v1/health").status == 200
    again.stop()
    again.stop()
    for station in idle:
        station.close()
    vault.close()


def test_while_it_ends_what_is_under_way_is_finished_and_nobody_else_comes_in(tmp_path: Path) -> None:
    vault = vaults.new_vault(tmp_path)
    is_begun, may_end = threading.Event(), threading.Event()

    def slowly(content: bytes) -> Iterator[bytes]:
        yield content[:100]
        is_begun.set()
        may_end.wait(60)
        yield content[100:]

    with listening(vault, tmp_path) as api, ThreadPoolExecutor(2) as pool:
        slow, late = api.station("slow"), api.station("late")
        taken = pool.submit(slow.deposit, slowly(vaults.pdf()), vaults.new_id())
        assert is_begun.wait(60)
        assert api.listener is not None
        stopped = pool.submit(api.listener.stop)
        deadline = time.monotonic() + 60
        while True:  # for some moments the system still takes connections, which are cut
            try:
                late.ask("GET", "/v1/health")
            except ConnectionRefusedError:
                break
            except (OSError, http.client.HTTPException):
                pass
            assert time.monotonic() < deadline
        assert not stopped.done()
        may_end.set()
        assert taken.result().status == 201
        stopped.result()
    assert api.listener.is_serving is False
    vault.close()


def test_it_ends_at_once_while_stations_come_and_go(tmp_path: Path) -> None:
    vault = vaults.new_vault(tmp_path)
    with listening(vault, tmp_path) as api:
        contexts = [api.station(f"counter-{number}").context for number in range(6)]

    def come_and_go(context: ssl.SSLContext, port: int) -> None:
        while True:
            station = PlainStation("any", port, context)
            try:
                station.ask("GET", "/v1/health")
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException):
                pass
            finally:
                station.close()

    for _ in range(10):  # each end meets connections in every state
        listener = Listener(vault, ListenerSettings(port=0))
        listener.start()
        assert listener.port is not None
        with ThreadPoolExecutor(len(contexts)) as pool:
            for context in contexts:
                pool.submit(come_and_go, context, listener.port)
            time.sleep(0.2)
            stopping = threading.Thread(target=listener.stop, daemon=True)
            stopping.start()
            stopping.join(60)
            assert not stopping.is_alive()
    vault.close()

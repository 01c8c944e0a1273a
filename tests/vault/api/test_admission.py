"""Connections are admitted again after the system could give none, and idle ones make room for others."""

import os
import resource
import socket
import time
from pathlib import Path

import pytest
import vaults
from narrow_api import listening


def test_it_admits_again_after_the_system_had_no_descriptors(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    vault = vaults.new_vault(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening(vault, tmp_path) as api:
        station = api.station()
        plain = socket.socket()
        try:
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))  # the next one is one too many
            plain.connect(("127.0.0.1", api.port))  # a name would want a descriptor to be looked up
            said = ""
            while "connection-not-admitted" not in said:
                time.sleep(0.05)
                said += capfd.readouterr().err
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        plain.close()
        assert station.ask("GET", "/v1/health").status == 200
        station.close()
    vault.close()


def test_an_idle_connection_makes_room_for_another(tmp_path: Path) -> None:
    vault = vaults.new_vault(tmp_path)
    with listening(vault, tmp_path, connections=1) as api:
        stations = [api.station(name) for name in ("one", "two", "three")]
        for station in stations:
            assert station.ask("GET", "/v1/health").status == 200
            # Its connection is kept alive, and takes all the room there is until somebody else comes.
        for station in stations:
            station.close()
    vault.close()

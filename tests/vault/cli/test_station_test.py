"""`kura station test`: a supplier tries a trial vault; and a vault that breaks a promise is found out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import vaults
from kura_command import Kura
from narrow_api import Api, listening
from starlette.responses import Response

from vault.cli.stations import write_certificates
from vault.client.station_folder import StationFolder
from vault.people.certificates import pem
from vault.people.stations import Station


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    vault = vaults.new_vault(tmp_path)
    with listening(vault, tmp_path) as api:
        yield api
    vault.close()


def station_folder(api: Api, kind: str = "counter") -> Path:
    folder = api.folder / "counter-1"
    request = StationFolder.create(folder, f"https://localhost:{api.port}", "counter-1")
    enrolled = Station.parse("counter-1", kind, vaults.CONTRACT)
    certificate = api.vault.enrolment.enrol(api.vault.actor(vaults.ADMIN), enrolled, request.read_bytes())
    authority = pem(api.vault.enrolment.authority().certificate)
    log_vkey = api.vault.ground.log_of(vaults.CONTRACT).key.encode()
    write_certificates(folder, "counter-1", pem(certificate), authority, log_vkey)
    return folder


def test_a_vault_that_keeps_its_promises_passes_twice(api: Api, kura: Kura) -> None:
    folder = station_folder(api)
    for _ in range(2):
        ran = kura("station", "test", str(folder), "--json")
        assert ran.code == 0, ran.json
        assert len(ran.json["checks"]) == 13


def test_a_station_of_another_kind_is_told_what_failed(api: Api, kura: Kura) -> None:
    ran = kura("station", "test", str(station_folder(api, "recorder")), "--json")
    assert ran.code == 1
    failed = [check["failed"] for check in ran.json["checks"] if not check["ok"]]
    assert any("403 not-allowed" in reason for reason in failed)


BREAKS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "a deposit gives a receipt that proves it": lambda patch: patch.setattr(
        "vault.api.stations._values", lambda deposited: {"record": deposited.record_id, "receipt": "none"}
    ),
    "nothing can be read back": lambda patch: patch.setattr(
        "vault.api.stations.problem_response", lambda _: Response("all")
    ),
}


@pytest.mark.parametrize("broken", list(BREAKS))
def test_a_promise_that_is_broken_is_named(
    tmp_path: Path, kura: Kura, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    BREAKS[broken](monkeypatch)
    vault = vaults.new_vault(tmp_path)
    with listening(vault, tmp_path) as api:
        ran = kura("station", "test", str(station_folder(api)), "--json")
    vault.close()
    assert ran.code == 1
    assert broken in {check["check"] for check in ran.json["checks"] if not check["ok"]}

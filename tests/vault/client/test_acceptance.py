"""Who may talk to whom: stations with certificates that are not good, and vaults that are not the station's own."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import vaults
from ledger_vectors import refused

from vault.client import Deposit, RefusedByVaultError, Spooled, Station, Taken
from vault.errors import RefusedError, UnavailableError
from vault.people.certificates import STATION_LIFETIME, key_to_certify, pem, station_certificate

if TYPE_CHECKING:
    from tests.vault.client.conftest import Enroller, Served

pytestmark = pytest.mark.usefixtures("pauses")
NOW = datetime.now(UTC)
FORM = Deposit(class_id="application_form", ended_at=NOW - timedelta(days=1), subject_key="NIS-00001")


def put_certificate(served: "Served", issued_at: datetime) -> None:
    """Give the station a certificate by the vault's authority that the vault never enrolled."""
    request = (served.path / "counter-1.csr").read_bytes()
    authority = served.vault.enrolment.authority()
    issued = station_certificate(authority, key_to_certify(request), "counter-1", issued_at, 7)
    (served.path / "counter-1.crt").write_text(pem(issued))


def certificate_of(path: Path) -> bytes:
    return (path / "counter-1.crt").read_bytes()


def test_an_expired_certificate_is_told_in_one_sentence(served: "Served") -> None:
    put_certificate(served, NOW - STATION_LIFETIME - timedelta(hours=1))
    with Station(served.path) as station:
        for talk in (station.health, lambda: station.deposit(vaults.pdf(3, 3 << 20), FORM)):
            with refused(RefusedError, "station-not-accepted"):
                talk()
        assert station.numbers().spooled == 0


def test_a_certificate_of_another_authority_is_found_before_anything_is_sent(
    served: "Served", enroller: "Enroller"
) -> None:
    (served.path / "counter-1.crt").write_bytes(enroller.certify((served.path / "counter-1.csr").read_bytes()))
    with refused(RefusedError, "station-pair-differs"):
        Station(served.path)


@pytest.mark.parametrize("size", [0, 9 << 20])
def test_a_revoked_certificate_and_one_never_enrolled_are_refused_by_the_vault(served: "Served", size: int) -> None:
    served.vault.enrolment.revoke(served.vault.actor(vaults.ADMIN), vaults.CONTRACT, "counter-1")
    with Station(served.path) as station, refused(RefusedByVaultError, "certificate-revoked"):
        station.deposit(vaults.pdf(1, size), FORM)
    put_certificate(served, NOW)
    with Station(served.path) as station, refused(RefusedByVaultError, "certificate-unknown"):
        station.deposit(vaults.pdf(1, size), FORM)


def test_a_vault_of_another_authority_gets_nothing(served: "Served", enroller: "Enroller") -> None:
    (served.path / "vault-authority.crt").write_text(pem(enroller.authority.certificate))
    (served.path / "counter-1.crt").write_bytes(enroller.certify((served.path / "counter-1.csr").read_bytes()))
    with Station(served.path) as station, refused(UnavailableError, "vault-not-proven"):
        station.send(vaults.pdf(1), FORM)


def test_a_vault_under_another_name_gets_nothing(served: "Served") -> None:
    served.stop()
    served.start(hosts=["localhost"])
    settings = served.path / "station.toml"
    settings.write_text(settings.read_text().replace("localhost", "127.0.0.1"))
    with Station(served.path) as station, refused(UnavailableError, "vault-not-proven"):
        station.send(vaults.pdf(1), FORM)


def test_an_impostor_at_the_vaults_address_gets_sealed_records_at_most(served: "Served", enroller: "Enroller") -> None:
    """What answers there cannot prove itself; the record is sealed here and goes to the vault once it is back."""
    with Station(served.path) as station:
        station.health()
    authority, certificate = (served.path / name for name in ("vault-authority.crt", "counter-1.crt"))
    real = authority.read_bytes(), certificate.read_bytes()
    authority.write_text(pem(enroller.authority.certificate))
    certificate.write_bytes(enroller.certify((served.path / "counter-1.csr").read_bytes()))
    with Station(served.path) as station:
        assert isinstance(station.deposit(vaults.pdf(1), FORM), Spooled)
        assert station.send_spooled().waiting == 1
    authority.write_bytes(real[0])
    certificate.write_bytes(real[1])
    with Station(served.path) as station:
        assert len(station.send_spooled().taken) == 1


def test_a_certificate_is_renewed_in_its_last_third_by_itself(served: "Served") -> None:
    before = certificate_of(served.path)
    with Station(served.path, clock=lambda: NOW + timedelta(days=19)) as station:
        station.deposit(vaults.pdf(1), FORM)
    assert certificate_of(served.path) == before
    with Station(served.path, clock=lambda: NOW + timedelta(days=21)) as station:
        station.deposit(vaults.pdf(2), FORM)
        assert certificate_of(served.path) != before
        assert isinstance(station.deposit(vaults.pdf(3), FORM), Taken)
    assert (served.path / "counter-1.key").stat().st_mode & 0o777 == 0o600
    with Station(served.path) as station:
        assert isinstance(station.deposit(vaults.pdf(4), FORM), Taken)


def test_a_renewal_that_fails_leaves_the_record_taken_and_the_old_pair(served: "Served") -> None:
    before = certificate_of(served.path)
    (served.path / "counter-1.key.next").mkdir()  # in the way of the new key
    with Station(served.path, clock=lambda: NOW + timedelta(days=21)) as station:
        assert isinstance(station.deposit(vaults.pdf(2), FORM), Taken)
        with pytest.raises(UnavailableError):
            station.upkeep()
    assert certificate_of(served.path) == before


def damage(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"x" * 9000)


WRONG: dict[str, Callable[[Path], object]] = {
    "no certificate": lambda path: (path / "counter-1.crt").unlink(),
    "no ledger key": lambda path: (path / "log.vkey").unlink(),
    "no settings": lambda path: (path / "station.toml").unlink(),
    "ledger key damaged": lambda path: (path / "log.vkey").write_bytes(b"\xff"),
    "key readable": lambda path: os.chmod(path / "counter-1.key", 0o644),  # noqa: PTH101
    "state damaged": lambda path: damage(path / "state" / "station.db"),
    "state in the way": lambda path: (path / "state").write_text(""),
}


@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_a_folder_that_is_not_in_order_is_an_error_of_ours_and_stays_free(served: "Served", wrong: str) -> None:
    WRONG[wrong](served.path)
    for _ in range(2):
        with pytest.raises((RefusedError, UnavailableError)) as caught:
            Station(served.path)
        assert caught.value.code != "station-busy"

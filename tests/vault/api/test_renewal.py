"""Stations renew their certificates themselves, also while the vault is sealed; the old one stays good to its end."""

import pytest
import stored
import strangers
import vaults
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from narrow_api import Api, PlainStation
from station_keys import PrivateKey, signing_request, station_key
from wire import PDF

from vault.ledger.event import EventKind
from vault.people.certificates import fingerprint
from vault.records.vault import Vault


def renewed(api: Api, station: PlainStation, key: PrivateKey) -> PlainStation:
    answer = station.ask("POST", "/v1/certificate", signing_request(key, "somebody else"))
    assert (answer.status, answer.headers["content-type"]) == (201, "application/x-pem-file")
    certificate = x509.load_pem_x509_certificate(answer.body).public_bytes(Encoding.DER)
    return api.connecting(station.name, api.context(key, certificate))


@pytest.mark.both_worlds
@pytest.mark.parametrize("is_sealed", [False, True], ids=["open", "sealed"])
def test_the_new_certificate_works_and_so_does_the_old_one(
    api: Api, vault: Vault, counter: PlainStation, *, is_sealed: bool
) -> None:
    if is_sealed:
        vault.seal()
    new = renewed(api, counter, station_key())
    for station in (new, counter, renewed(api, new, station_key())):
        station.close()
        assert station.ask("GET", "/v1/health").json["station"] == "counter-1"
        assert station.deposit(PDF).status == 201
    kinds = [event.kind for event in stored.events(vault, vault.ground.log_of(vaults.CONTRACT).id)]
    assert kinds.count(EventKind.CERTIFICATE_ISSUED) == 3


def test_a_certificate_request_gives_its_own_name_and_no_other(api: Api, vault: Vault, counter: PlainStation) -> None:
    api.station("counter-2")
    answer = counter.ask("POST", "/v1/certificate", signing_request(name="counter-2"))
    certificate = x509.load_pem_x509_certificate(answer.body)
    assert certificate.subject.rfc4514_string() == "CN=counter-1"
    issued = fingerprint(certificate.public_bytes(Encoding.DER))
    found = stored.rows(vault, "SELECT station_name FROM certificates WHERE fingerprint = :name", name=issued)
    assert found == [("counter-1",)]


@pytest.mark.both_worlds
def test_a_renewed_certificate_may_be_revoked_alone(api: Api, vault: Vault, counter: PlainStation) -> None:
    new = renewed(api, counter, station_key())
    [(issued,)] = stored.rows(vault, "SELECT fingerprint FROM certificates ORDER BY issued_at DESC LIMIT 1")
    vault.enrolment.revoke(vault.actor(vaults.ADMIN), vaults.CONTRACT, "counter-1", issued)
    assert new.deposit(PDF).code == "certificate-revoked"
    assert counter.deposit(PDF).status == 201


def test_who_is_no_station_renews_nothing(api: Api, vault: Vault) -> None:
    station_to_be, was = strangers.unknown(api), strangers.revoked(api)
    before = stored.everything(vault)
    for stranger in (station_to_be, was):
        assert stranger.ask("POST", "/v1/certificate", signing_request()).status == 403
    assert stored.everything(vault) == before

"""Enrolling stations: who may, what is logged, what a certificate lets in, and what it no longer does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stored
import vaults
from cryptography import x509
from ledger_vectors import refused
from station_keys import signing_request, station_key

from retention.roles import StationKind
from vault.bootstrap import verify_vault
from vault.errors import ConflictError, NotFoundError, RefusedError, SealedError
from vault.ledger.event import EventKind
from vault.people.certificates import fingerprint
from vault.people.stations import Station, station_by_certificate
from vault.records.vault import Vault

COUNTER = Station("counter-1", StationKind.COUNTER, vaults.CONTRACT)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = vaults.new_vault(tmp_path)
    yield vault
    vault.close()


def enrol(vault: Vault, station: Station = COUNTER, actor: str = vaults.MANAGER) -> bytes:
    return vault.enrolment.enrol(vault.actor(actor), station, signing_request())


def let_in(vault: Vault, certificate: bytes) -> Station:
    with vault.ground.engine.connect() as connection:
        return station_by_certificate(connection, fingerprint(certificate))


@pytest.mark.both_worlds
def test_an_enrolled_station_is_let_in_and_may_deposit_what_its_kind_may(vault: Vault, tmp_path: Path) -> None:
    station = let_in(vault, enrol(vault))
    assert station == COUNTER
    done = vault.deposits.deposit(
        station.actor(), vaults.CONTRACT, vaults.request(), vaults.source(vaults.pdf(), tmp_path)
    )
    assert done.is_new
    for class_id in ("surveillance_video", "call_recording"):
        with refused(RefusedError, "not-allowed"):
            request = vaults.request(class_id=class_id, subject_key=None if "video" in class_id else "NIS-1")
            vault.deposits.deposit(station.actor(), vaults.CONTRACT, request, vaults.source(vaults.pdf(), tmp_path))


@pytest.mark.both_worlds
def test_every_certificate_is_an_event_and_the_vault_verifies(vault: Vault) -> None:
    first = enrol(vault)
    second = vault.enrolment.renew(COUNTER.actor(), vaults.CONTRACT, "counter-1", signing_request())
    vault.enrolment.revoke(vault.actor(vaults.MANAGER), vaults.CONTRACT, "counter-1", fingerprint(first))
    issued = stored.events(vault, vaults.CONTRACT, EventKind.CERTIFICATE_ISSUED)
    assert [event.body["fingerprint"] for event in issued] == [fingerprint(first), fingerprint(second)]
    assert [event.actor for event in issued] == [f"person:{vaults.MANAGER}", "station:counter-1"]
    assert len(stored.events(vault, vaults.CONTRACT, EventKind.CERTIFICATE_REVOKED)) == 1
    assert len(stored.events(vault, "operator", EventKind.AUTHORITY_CREATED)) == 1
    assert let_in(vault, second) == COUNTER
    vault.close()
    verdict = verify_vault(vault.folder, vaults.custodian())
    assert verdict.is_sound, verdict.findings
    assert verdict.counts["stations"] == 1


@pytest.mark.both_worlds
def test_a_revoked_certificate_is_not_let_in(vault: Vault) -> None:
    certificates = [enrol(vault)]
    certificates.append(vault.enrolment.renew(COUNTER.actor(), vaults.CONTRACT, "counter-1", signing_request()))
    manager = vault.actor(vaults.MANAGER)
    revoked = vault.enrolment.revoke(manager, vaults.CONTRACT, "counter-1")
    assert sorted(revoked) == sorted(map(fingerprint, certificates))
    for certificate in certificates:
        with refused(RefusedError, "certificate-revoked"):
            let_in(vault, certificate)
    assert vault.enrolment.revoke(manager, vaults.CONTRACT, "counter-1") == []
    assert len(stored.events(vault, vaults.CONTRACT, EventKind.CERTIFICATE_REVOKED)) == 1


def test_a_certificate_that_nobody_enrolled_is_not_let_in(vault: Vault) -> None:
    enrol(vault)
    with refused(RefusedError, "certificate-unknown"):
        let_in(vault, vault.enrolment.authority().certificate)


@pytest.mark.both_worlds
def test_all_certificates_are_of_one_authority_which_outlives_a_restart(vault: Vault) -> None:
    before = vault.enrolment.authority().certificate
    again = vaults.reopen(vault)
    authority = x509.load_der_x509_certificate(again.enrolment.authority().certificate)
    assert again.enrolment.authority().certificate == before
    x509.load_der_x509_certificate(enrol(again)).verify_directly_issued_by(authority)
    again.close()


@pytest.mark.both_worlds
def test_a_sealed_vault_renews_but_makes_no_authority(tmp_path: Path) -> None:
    vault = vaults.new_vault(tmp_path, sealed=True)
    with refused(SealedError, "vault-sealed"):
        enrol(vault)
    vault.unseal(vaults.custodian())
    enrol(vault)
    vault.seal()
    renewed = vault.enrolment.renew(COUNTER.actor(), vaults.CONTRACT, "counter-1", signing_request())
    assert let_in(vault, renewed) == COUNTER
    vault.close()


@pytest.mark.parametrize("number", [vaults.OPERATOR, vaults.OFFICER, vaults.AUDITOR, vaults.WORKER])
def test_who_may_not_enrol_is_refused(vault: Vault, number: str) -> None:
    enrol(vault)
    actor = vault.actor(number)
    for act in (
        lambda: vault.enrolment.enrol(actor, Station("counter-2", StationKind.COUNTER, vaults.CONTRACT), b""),
        lambda: vault.enrolment.renew(actor, vaults.CONTRACT, "counter-1", signing_request()),
        lambda: vault.enrolment.revoke(actor, vaults.CONTRACT, "counter-1"),
        lambda: vault.enrolment.enrolled(actor, vaults.CONTRACT),
    ):
        with refused(RefusedError, "not-allowed"):
            act()


def test_a_station_renews_itself_and_no_other(vault: Vault) -> None:
    enrol(vault)
    other = Station("scanner-1", StationKind.SCANNER, vaults.CONTRACT)
    enrol(vault, other)
    with refused(RefusedError, "not-allowed"):
        vault.enrolment.renew(other.actor(), vaults.CONTRACT, "counter-1", signing_request())
    with refused(RefusedError, "not-allowed"):
        vault.enrolment.revoke(other.actor(), vaults.CONTRACT, "scanner-1")


@pytest.mark.both_worlds
def test_a_name_is_never_used_again(vault: Vault) -> None:
    enrol(vault)
    vault.enrolment.revoke(vault.actor(vaults.MANAGER), vaults.CONTRACT, "counter-1")
    with refused(ConflictError, "station-exists"):
        enrol(vault)


def test_what_is_unknown_is_told(vault: Vault) -> None:
    enrol(vault)
    manager = vault.actor(vaults.MANAGER)
    with refused(NotFoundError, "station-unknown"):
        vault.enrolment.renew(manager, vaults.CONTRACT, "counter-9", signing_request())
    with refused(NotFoundError, "certificate-unknown"):
        vault.enrolment.revoke(manager, vaults.CONTRACT, "counter-1", "ab" * 32)


@pytest.mark.parametrize("name", ["", "Counter", "1counter", "a" * 64, "counter 1", "counter/1", "窓口", "../x"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with refused(RefusedError, "station-name-malformed"):
        Station.parse(name, "counter", vaults.CONTRACT)


def test_a_kind_that_is_none_is_refused() -> None:
    with refused(RefusedError, "station-kind-unknown"):
        Station.parse("counter-1", "printer", vaults.CONTRACT)


@pytest.mark.both_worlds
def test_certificates_are_listed_with_their_times(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    vault = vaults.new_vault(tmp_path, clock=lambda: now)
    key = station_key()
    vault.enrolment.enrol(vault.actor(vaults.ADMIN), COUNTER, signing_request(key))
    vault.enrolment.renew(COUNTER.actor(), vaults.CONTRACT, "counter-1", signing_request(key))  # the same key again
    [enrolled] = vault.enrolment.enrolled(vault.actor(vaults.ADMIN), vaults.CONTRACT)
    assert enrolled.station == COUNTER
    assert [one.valid_until - one.issued_at for one in enrolled.certificates] == [timedelta(days=30)] * 2
    assert len({one.fingerprint for one in enrolled.certificates}) == 2
    vault.close()

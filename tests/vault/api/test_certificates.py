"""Who may connect: stations by their certificates, as these stand at each request; and to whom a station connects."""

import ssl
from collections.abc import Callable, Iterator

import pytest
import stored
import strangers
import vaults
from narrow_api import Api, PlainStation, listening
from raw_http import RawConnection, head
from strangers import AT_THE_DOOR, require_turned_away
from wire import PDF, said

from vault.records.vault import Vault


@pytest.fixture(scope="module")
def served(shared: Vault, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with listening(shared, tmp_path_factory.mktemp("served")) as api:
        yield api


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
@pytest.mark.parametrize("make", AT_THE_DOOR.values(), ids=AT_THE_DOOR)
def test_tls_turns_away_who_has_no_certificate_of_the_vaults(
    served: Api, make: Callable[[Api], PlainStation], version: ssl.TLSVersion
) -> None:
    station = make(served)
    station.context.maximum_version = version
    require_turned_away(station)


def test_an_older_tls_is_not_spoken(served: Api) -> None:
    station = served.station("counter-old")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        station.context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        station.context.maximum_version = ssl.TLSVersion.TLSv1_1
    station.context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        station.ask("GET", "/v1/health")


def test_a_certificate_that_nobody_enrolled_opens_nothing(served: Api) -> None:
    served.station()
    before = stored.everything(served.vault)
    answer = strangers.unknown(served).deposit(PDF)
    assert (answer.status, answer.code) == (403, "certificate-unknown")
    assert stored.everything(served.vault) == before


def test_a_revoked_certificate_opens_nothing_from_the_next_request_on(served: Api) -> None:
    """On a connection that is open already, which is how a machine that was stolen would go on."""
    station, other = served.station("counter-2"), served.station("counter-3")
    assert station.deposit(PDF).status == 201
    served.vault.enrolment.revoke(served.vault.actor(vaults.ADMIN), vaults.CONTRACT, "counter-2")
    before = stored.everything(served.vault)
    for _ in range(2):  # the first ends the connection; the second comes on a new one
        answer = station.deposit(PDF)
        assert (answer.status, answer.code) == (403, "certificate-revoked")
    assert stored.everything(served.vault) == before
    assert other.deposit(PDF).status == 201


def test_a_revoked_connection_that_stays_open_reads_nothing(served: Api) -> None:
    station = served.station("counter-4")
    assert station.ask("GET", "/v1/checkpoint").status == 200
    served.vault.enrolment.revoke(served.vault.actor(vaults.ADMIN), vaults.CONTRACT, "counter-4")
    answer = station.ask("GET", "/v1/checkpoint")
    assert (answer.status, answer.code) == (403, "certificate-revoked")
    assert "connection" not in answer.headers
    assert station.ask("GET", "/v1/health").code == "certificate-revoked"


def test_a_revocation_during_an_upload_counts_from_the_next_request(served: Api) -> None:
    station = served.station("counter-5")

    fields = [said(), f"Content-Length: {len(PDF)}", "Expect: 100-continue"]
    with RawConnection(station) as connection:
        connection.send(head("PUT", f"/v1/deposits/{vaults.new_id()}", *fields))
        assert connection.has_answer(within_s=60)  # to go on: the request was let pass
        served.vault.enrolment.revoke(served.vault.actor(vaults.ADMIN), vaults.CONTRACT, "counter-5")
        connection.send(PDF)
        first = connection.answer()
    assert first is not None
    assert (first.status, station.deposit(PDF).code) == (201, "certificate-revoked")


def test_a_station_finds_out_another_listener(served: Api) -> None:
    station = served.station("counter-6")
    plain = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        served.connecting("x", plain).ask("GET", "/v1/health")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        served.connecting("y", station.context).reach("127.1").ask("GET", "/v1/health")
    assert served.connecting("z", station.context).reach("127.0.0.1").ask("GET", "/v1/health").status == 200

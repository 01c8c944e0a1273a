"""Host verbs about stations: enrol, renew, revoke, list."""

from typing import Any

from vault.cli.host.call import Call
from vault.ledger.event import format_instant
from vault.people.certificates import fingerprint, pem
from vault.people.stations import IssuedCertificate, Station

_REQUEST_LENGTH = 16_384  # an RSA request of 8,192 bits, in PEM, is a tenth of it


def enrol(call: Call) -> dict[str, Any]:
    """Take a station in; give its certificate."""
    name, kind, contract_id = call.fields.text("station"), call.fields.text("kind"), call.contract_id()
    station = Station.parse(name, kind, contract_id)
    certificate = call.vault.enrolment.enrol(call.person(), station, _request(call))
    return {"station": name, "kind": kind, "contract": contract_id} | _issued(call, contract_id, certificate)


def renew(call: Call) -> dict[str, Any]:
    """Give a station a further certificate."""
    name, contract_id = call.fields.text("station"), call.contract_id()
    certificate = call.vault.enrolment.renew(call.person(), contract_id, name, _request(call))
    return {"station": name, "contract": contract_id} | _issued(call, contract_id, certificate)


def revoke(call: Call) -> dict[str, Any]:
    """Revoke a station's certificates, or one of them."""
    name, contract_id = call.fields.text("station"), call.contract_id()
    only = call.fields.optional_text("fingerprint")
    revoked = call.vault.enrolment.revoke(call.person(), contract_id, name, only)
    return {"station": name, "contract": contract_id, "revoked": revoked}


def enrolled(call: Call) -> dict[str, Any]:
    """Give the stations of a contract."""
    contract_id = call.contract_id()
    return {
        "contract": contract_id,
        "stations": [
            {
                "station": one.station.name,
                "kind": one.station.kind.value,
                "certificates": [_certificate(certificate) for certificate in one.certificates],
                "newest": one.numbers.newest,
                "missing": [list(gap) for gap in one.numbers.missing],
            }
            for one in call.vault.enrolment.enrolled(call.person(), contract_id)
        ],
    }


def _request(call: Call) -> bytes:
    return call.fields.text("request", most=_REQUEST_LENGTH).encode()


def _issued(call: Call, contract_id: str, certificate: bytes) -> dict[str, Any]:
    return {
        "certificate": pem(certificate),
        "authority": pem(call.vault.enrolment.authority().certificate),
        "fingerprint": fingerprint(certificate),
        "log_vkey": call.vault.ground.log_of(contract_id).key.encode(),
    }


def _certificate(issued: IssuedCertificate) -> dict[str, Any]:
    return {
        "fingerprint": issued.fingerprint,
        "issued_at": format_instant(issued.issued_at),
        "valid_until": format_instant(issued.valid_until),
        "revoked_at": None if issued.revoked_at is None else format_instant(issued.revoked_at),
    }

"""The authority, the stations and their certificates: rows against events, and the authority against its key."""

from collections.abc import Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sqlalchemy import Connection

from vault.errors import IntegrityError, KuraError
from vault.evidence.compared import all_rows, compare_rows
from vault.evidence.verdict import Verdict
from vault.keys.keystore import KeyStore
from vault.ledger.event import Event, EventKind, parse_instant
from vault.people.certificates import fingerprint
from vault.storage.tables import AuthorityRow, CertificateRow, StationRow

STATION_KINDS: Final = frozenset(
    {EventKind.AUTHORITY_CREATED, EventKind.CERTIFICATE_ISSUED, EventKind.CERTIFICATE_REVOKED}
)


class StationEvents:
    """What the events say of stations; fed event by event, then compared."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._authorities: dict[str, Any] = {}
        self._stations: dict[str, Any] = {}
        self._certificates: dict[str, Mapping[str, Any]] = {}
        self._revoked: dict[str, Any] = {}

    def take(self, event: Event) -> None:
        """Learn from one of STATION_KINDS."""
        body: Any = event.body
        if event.kind is EventKind.AUTHORITY_CREATED:
            self._authorities[body["key"]] = body["certificate"], event.at
        elif event.kind is EventKind.CERTIFICATE_ISSUED:
            self._stations.setdefault(body["station"], (body["kind"], body["contract"], event.at))
            self._certificates[body["fingerprint"]] = {
                "station_name": body["station"],
                "issued_at": event.at,
                "valid_until": parse_instant(body["valid_until"]),
            }
        else:
            for revoked in body["fingerprints"]:
                self._revoked.setdefault(revoked, event.at)

    def compare(self, connection: Connection, keys: KeyStore | None, verdict: Verdict) -> None:
        """Compare the rows; with `keys` also the authority's certificate with its key."""
        authorities = all_rows(connection, AuthorityRow)
        stored = {row["key_id"]: (fingerprint(row["certificate"]), row["created_at"]) for row in authorities}
        compare_rows("authorities", stored, self._authorities, verdict)
        stations = {
            row["name"]: (row["kind"], row["contract_id"], row["enrolled_at"])
            for row in all_rows(connection, StationRow)
        }
        compare_rows("stations", stations, self._stations, verdict)
        certificates = {row.pop("fingerprint"): row for row in all_rows(connection, CertificateRow)}
        said = {
            name: {**certificate, "revoked_at": self._revoked.get(name)}
            for name, certificate in self._certificates.items()
        }
        compare_rows("certificates", certificates, said, verdict)
        verdict.counts["stations"] += len(stations)
        if keys is not None:
            for row in authorities:
                _check_key(row["key_id"], row["certificate"], keys, verdict)


def _check_key(key_id: str, certificate: bytes, keys: KeyStore, verdict: Verdict) -> None:
    what = f"authorities/{key_id}"
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        parsed.verify_directly_issued_by(parsed)
        if parsed.public_key() != keys.certificate_key(key_id):
            verdict.differs(what)
    except KuraError as error:
        verdict.found(what, error)
    except (ValueError, TypeError, InvalidSignature):
        verdict.found(what, IntegrityError("row-differs", what=what))

"""Stations: machines that write and never read. Their rows, and taking one up as an actor by its certificate.

A certificate counts only while its row says so: a certificate that the authority signed and nobody enrolled opens
nothing, and one that is revoked opens nothing from the next request on. Events are the caller's.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from retention.roles import StationKind
from vault.errors import ConflictError, NotFoundError, RefusedError
from vault.people.actor import STATION, Actor
from vault.storage.statement import Statement
from vault.storage.tables import CertificateRow, StationRow

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")

_BY_CERTIFICATE = Statement(
    select(StationRow.name, StationRow.kind, StationRow.contract_id, CertificateRow.revoked_at)
    .join(CertificateRow, CertificateRow.station_name == StationRow.name)
    .where(CertificateRow.fingerprint == bindparam("fingerprint"))
)


@dataclass(frozen=True, slots=True)
class Station:
    """A machine that writes.

    Attributes:
        name: of the vault's choosing: lower-case letters, digits and hyphens.
        kind: what it may deposit, by the classes of its contract's policy.
        contract_id: the one contract it works for.
    """

    name: str
    kind: StationKind
    contract_id: str

    @classmethod
    def parse(cls, name: str, kind: str, contract_id: str) -> "Station":
        """Take what somebody typed.

        Raises:
            RefusedError: the name or the kind is none.
        """
        if not _NAME.fullmatch(name):
            raise RefusedError("station-name-malformed")
        if kind not in set(StationKind):
            raise RefusedError("station-kind-unknown", kind=kind if kind.isascii() and kind.isalnum() else "?")
        return cls(name, StationKind(kind), contract_id)

    def actor(self) -> Actor:
        """Give it as one who acts."""
        return Actor(STATION + self.name, ((self.contract_id, self.kind.value),))


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate of a station, as its row has it."""

    fingerprint: str
    station_name: str
    issued_at: datetime
    valid_until: datetime
    revoked_at: datetime | None = None


def station_by_certificate(connection: Connection, fingerprint: str) -> Station:
    """Take up the station that a certificate was issued to. TLS has proved the certificate and its time before.

    Raises:
        RefusedError: `certificate-unknown` or `certificate-revoked`.
    """
    row = _BY_CERTIFICATE.first(connection, {"fingerprint": fingerprint})
    if row is None:
        raise RefusedError("certificate-unknown", fingerprint=fingerprint)
    name, kind, contract_id, revoked_at = row
    if revoked_at is not None:
        raise RefusedError("certificate-revoked", station=name)
    return Station(name, StationKind(kind), contract_id)


def add_station(connection: Connection, station: Station, at: datetime) -> None:
    """Write a new station's row.

    Raises:
        ConflictError: the name is in use; names are not used again, for records carry them.
    """
    if connection.scalar(select(StationRow.name).where(StationRow.name == station.name)) is not None:
        raise ConflictError("station-exists", station=station.name)
    values = {"name": station.name, "kind": station.kind.value, "contract_id": station.contract_id, "enrolled_at": at}
    connection.execute(insert(StationRow), [values])


def add_certificate(connection: Connection, issued: IssuedCertificate) -> None:
    """Write the row of a certificate that was just issued."""
    values = {name: getattr(issued, name) for name in ("fingerprint", "station_name", "issued_at", "valid_until")}
    connection.execute(insert(CertificateRow), [values | {"revoked_at": None}])


def revoke(connection: Connection, fingerprints: list[str], at: datetime) -> None:
    """Write that certificates are revoked; those that were revoked before keep their time."""
    connection.execute(
        update(CertificateRow)
        .where(CertificateRow.fingerprint.in_(fingerprints), CertificateRow.revoked_at.is_(None))
        .values(revoked_at=at)
    )


def station_named(connection: Connection, name: str, contract_id: str) -> Station:
    """Take up a station by name.

    Raises:
        NotFoundError: this contract has none of that name.
    """
    row = connection.execute(
        select(StationRow.kind).where(StationRow.name == name, StationRow.contract_id == contract_id)
    ).first()
    if row is None:
        raise NotFoundError("station-unknown", station=name if _NAME.fullmatch(name) else "?")
    return Station(name, StationKind(row.kind), contract_id)


def stations_of(connection: Connection, contract_id: str) -> list[Station]:
    """Give the stations of a contract, by name."""
    rows = connection.execute(
        select(StationRow.name, StationRow.kind).where(StationRow.contract_id == contract_id).order_by(StationRow.name)
    )
    return [Station(row.name, StationKind(row.kind), contract_id) for row in rows]


def certificates_of(connection: Connection, station_name: str) -> list[IssuedCertificate]:
    """Give every certificate that a station ever had, oldest first."""
    rows = connection.execute(
        select(
            CertificateRow.fingerprint,
            CertificateRow.station_name,
            CertificateRow.issued_at,
            CertificateRow.valid_until,
            CertificateRow.revoked_at,
        )
        .where(CertificateRow.station_name == station_name)
        .order_by(CertificateRow.issued_at, CertificateRow.fingerprint)
    )
    return [IssuedCertificate(*row) for row in rows]


def is_fingerprint(text: str) -> bool:
    """Tell whether a text is a fingerprint: 64 lower-case hex digits."""
    return _FINGERPRINT.fullmatch(text) is not None

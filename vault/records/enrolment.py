"""Enrolling stations: certificates from the vault's own authority, each issue and each revocation an event.

The authority is made with the first station; its key stays in the key store, in the part that works while the vault is
sealed: a station can renew its certificate over a weekend with nobody there.

Order of making the authority, and what a crash after each step leaves: its key in the key store – a key that signs
nothing; row and event in one transaction – an authority without stations.
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from vault.errors import NotFoundError
from vault.ledger.event import EventKind, format_instant
from vault.ledger.transaction import Transaction
from vault.people import stations
from vault.people.actor import STATION, VAULT, Actor
from vault.people.authority import Act, require
from vault.people.certificates import (
    Authority,
    PublicKey,
    fingerprint,
    key_to_certify,
    listener_certificate,
    new_authority,
    station_certificate,
    valid_until,
)
from vault.people.stations import IssuedCertificate, Station
from vault.records.ground import Ground, append_operator_event
from vault.records.numbering import Numbers, numbers_from
from vault.storage.tables import AuthorityRow

_SERIAL_BYTES = 20


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A station, its certificates, oldest first, and what arrived of its numbers."""

    station: Station
    certificates: Sequence[IssuedCertificate]
    numbers: Numbers


class Enrolment:
    """Enrols the stations of a vault."""

    def __init__(self, ground: Ground) -> None:
        """Enrol for this vault."""
        self._ground = ground
        self._lock = threading.Lock()  # held while the authority is made

    def enrol(self, actor: Actor, station: Station, request: bytes) -> bytes:
        """Take a station in; give its first certificate (DER).

        Args:
            actor: who enrols it.
            station: the station.
            request: its certificate signing request, PEM or DER: the key was made there and stays there.

        Raises:
            RefusedError: the actor may not, or the request is none.
            ConflictError: the name is in use.
            SealedError: the first station needs the authority made, and the vault is sealed.
        """
        contract = self._ground.contract(station.contract_id)
        require(actor, Act.ENROL_STATION, contract.id)
        return self._issue(actor, station, request, is_new=True)

    def renew(self, actor: Actor, contract_id: str, name: str, request: bytes) -> bytes:
        """Give a station a further certificate (DER); the station itself may ask for it, and who may enrol.

        The one it has stays good until its end: an answer that was lost locks nobody out.

        Raises:
            RefusedError: the actor may not, or the request is none.
            NotFoundError: the contract has no such station.
        """
        if actor.name != STATION + name:
            require(actor, Act.ENROL_STATION, contract_id)
        with self._ground.engine.connect() as connection:
            station = stations.station_named(connection, name, contract_id)
        return self._issue(actor, station, request, is_new=False)

    def revoke(self, actor: Actor, contract_id: str, name: str, only: str | None = None) -> list[str]:
        """Revoke a station's certificates, from the next request on; give the fingerprints of those that were good.

        Args:
            actor: who revokes.
            contract_id: the station's contract.
            name: the station.
            only: fingerprint of the one certificate that is meant; without it all are.

        Raises:
            RefusedError: the actor may not.
            NotFoundError: there is no such station or certificate.
        """
        contract = self._ground.contract(contract_id)
        require(actor, Act.ENROL_STATION, contract_id)

        def change(transaction: Transaction) -> list[str]:
            stations.station_named(transaction.connection, name, contract_id)
            issued = stations.certificates_of(transaction.connection, name)
            if only is not None and only not in {one.fingerprint for one in issued}:
                raise NotFoundError("certificate-unknown", fingerprint=only if stations.is_fingerprint(only) else "?")
            now = self._ground.clock()
            good = [one.fingerprint for one in issued if one.revoked_at is None and only in (None, one.fingerprint)]
            if good:
                stations.revoke(transaction.connection, good, now)
                body = {"contract": contract_id, "fingerprints": good, "station": name}
                transaction.append(contract.ledger_id, actor.did(EventKind.CERTIFICATE_REVOKED, now, body))
            return good

        return self._ground.sequencer.run(change, contract.ledger_id).value

    def enrolled(self, actor: Actor, contract_id: str) -> list[Enrolled]:
        """Give the stations of a contract.

        Raises:
            RefusedError: the actor may not.
        """
        require(actor, Act.ENROL_STATION, contract_id)
        with self._ground.engine.connect() as connection:
            return [
                Enrolled(
                    station,
                    stations.certificates_of(connection, station.name),
                    numbers_from(connection, station.name),
                )
                for station in stations.stations_of(connection, contract_id)
            ]

    def authority(self) -> Authority:
        """Give the vault's authority, made at the first call.

        Raises:
            SealedError: it is not made yet, and the vault is sealed.
        """
        with self._lock:
            with self._ground.engine.connect() as connection:
                found = _stored_authority(connection)
            key_id, certificate = found or self._make_authority()
        return Authority(certificate, lambda message: self._ground.keys.sign_certificate(key_id, message))

    @property
    def has_authority(self) -> bool:
        """Whether the authority was made."""
        with self._ground.engine.connect() as connection:
            return _stored_authority(connection) is not None

    def certify_listener(self, public_key: PublicKey, hosts: Sequence[str]) -> bytes:
        """Certify the key of the stations' listener, for host names and addresses; give the certificate (DER).

        Raises:
            SealedError: the authority is not made yet, and the vault is sealed.
        """
        now = self._ground.clock()
        certificate = listener_certificate(self.authority(), public_key, hosts, now, _serial())
        body = {
            "fingerprint": fingerprint(certificate),
            "hosts": list(hosts),
            "valid_until": format_instant(valid_until(certificate)),
        }
        event = VAULT.did(EventKind.LISTENER_CERTIFIED, now, body)
        append_operator_event(self._ground, event)
        return certificate

    def _issue(self, actor: Actor, station: Station, request: bytes, *, is_new: bool) -> bytes:
        contract, now = self._ground.contract(station.contract_id), self._ground.clock()
        key = key_to_certify(request)
        certificate = station_certificate(self.authority(), key, station.name, now, _serial())
        issued = IssuedCertificate(fingerprint(certificate), station.name, now, valid_until(certificate))

        def change(transaction: Transaction) -> None:
            if is_new:
                stations.add_station(transaction.connection, station, now)
            stations.add_certificate(transaction.connection, issued)
            body = {
                "contract": station.contract_id,
                "fingerprint": issued.fingerprint,
                "kind": station.kind.value,
                "station": station.name,
                "valid_until": format_instant(issued.valid_until),
            }
            transaction.append(contract.ledger_id, actor.did(EventKind.CERTIFICATE_ISSUED, now, body))

        self._ground.sequencer.run(change, contract.ledger_id)
        return certificate

    def _make_authority(self) -> tuple[str, bytes]:
        ground, keys = self._ground, self._ground.keys
        key_id, now = keys.create_certificate_key(), ground.clock()
        made = new_authority(
            ground.vault_id,
            keys.certificate_key(key_id),
            lambda message: keys.sign_certificate(key_id, message),
            now,
            _serial(),
        )

        ledger_id = ground.operator_ledger_id

        def change(transaction: Transaction) -> tuple[str, bytes]:
            others = _stored_authority(transaction.connection)  # another process was first: its is the vault's
            if others is not None:
                return others
            values = {"key_id": key_id, "certificate": made.certificate, "created_at": now}
            transaction.connection.execute(insert(AuthorityRow), [values])
            body = {"certificate": fingerprint(made.certificate), "key": key_id}
            transaction.append(ledger_id, VAULT.did(EventKind.AUTHORITY_CREATED, now, body))
            return key_id, made.certificate

        return ground.sequencer.run(change, ledger_id).value


def _stored_authority(connection: Connection) -> tuple[str, bytes] | None:
    row = connection.execute(select(AuthorityRow.key_id, AuthorityRow.certificate)).first()
    return None if row is None else (row.key_id, row.certificate)


def _serial() -> int:
    """Give a random positive serial number of at most 159 bits (RFC 5280, 4.1.2.2)."""
    return int.from_bytes(os.urandom(_SERIAL_BYTES)) >> 1 | 1

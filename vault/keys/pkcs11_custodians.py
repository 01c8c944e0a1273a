"""How custodians open the opening token: their secret becomes its PIN, by what an object on the taking token says.

    {"check":"<4 hex digits>","custodian":{…},"format":1}

`custodian` is as in the sealed key file's header. `check` are the first 2 bytes of its check value: enough that a
mistyped passphrase hardly ever costs one of the tries after which a device locks, and too little for whoever holds a
copy to guess the passphrase without the device.

A change of custodians writes the new object, then changes the PIN (which the device does wholly or not at all), then
removes the old object. A crash leaves two objects, and the PIN tells which one is right; the next opening removes the
other. So a former secret opens nothing once the change has returned.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pkcs11.constants import Attribute, ObjectClass
from pkcs11.types import Session

from vault.canonical_json import canonical_json
from vault.errors import IntegrityError, NotFoundError, RefusedError
from vault.keys.custodian import CustodianParameters, CustodianSecret
from vault.keys.key_file import check_value, decode_custodian, encode_custodian
from vault.keys.pkcs11_session import Handle, find
from vault.keys.wiping import wipe

_CHECK_BYTES = 2
_FORMAT = 1
_PIN_BYTES = 16
_PIN_INFO = b"kura hsm opening pin v1"


@dataclass(frozen=True, slots=True)
class CustodianRecord:
    """One such object, read."""

    stored: bytes
    parameters: CustodianParameters
    check: bytes


def opening_pin(secret: bytearray) -> str:
    """Give the PIN of the opening token: 32 hex digits, from the 32 bytes of the custodian secret."""
    return HKDF(SHA256(), _PIN_BYTES, None, _PIN_INFO).derive(secret).hex()


def encode_record(parameters: CustodianParameters, secret: bytearray) -> bytes:
    """Give the bytes of the object by which this secret opens."""
    check = check_value(secret)[:_CHECK_BYTES].hex()
    return canonical_json({"check": check, "custodian": encode_custodian(parameters), "format": _FORMAT})


def read_records(session: Session, owner: str) -> list[CustodianRecord]:
    """Read a vault's records: one, or two where a change was cut.

    Raises:
        NotFoundError: `hsm-not-set-up`: there is none on this token.
        IntegrityError: `hsm-record-damaged`.
        PKCS11Error: the device is gone.
    """
    found = dict.fromkeys(bytes(one[Attribute.VALUE]) for one in _objects(session, owner))
    records = [_decode(stored) for stored in found]
    if not records:
        raise NotFoundError("hsm-not-set-up", token=session.token.label)
    return records


def write_record(session: Session, owner: str, stored: bytes) -> None:
    """Write a record beside those that there are."""
    session.create_object(
        {
            Attribute.CLASS: ObjectClass.DATA,
            Attribute.LABEL: _label(owner),
            Attribute.APPLICATION: "kura",
            Attribute.VALUE: stored,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
        }
    )


def remove_other_records(session: Session, owner: str, right: bytes) -> bool:
    """Remove every record but the right one; say whether there was one."""
    others = [one for one in _objects(session, owner) if bytes(one[Attribute.VALUE]) != right]
    for one in others:
        one.destroy()
    return bool(others)


def candidate_pins(records: Sequence[CustodianRecord], custodian: CustodianSecret) -> list[tuple[bytes, str]]:
    """Give the PINs that this secret may be, each with its record as stored. Takes long, on purpose.

    Raises:
        RefusedError: `custodian-secret-wrong`, or `custodian-kind-wrong`: no record is of this kind.
    """
    pins: list[tuple[bytes, str]] = []
    refused = RefusedError("custodian-secret-wrong")
    for record in records:
        try:
            secret = custodian.derive(record.parameters)
        except RefusedError as error:
            refused = error if len(records) == 1 else refused
            continue
        if check_value(secret)[:_CHECK_BYTES] == record.check:
            pins.append((record.stored, opening_pin(secret)))
        wipe(secret)
    if not pins:
        raise refused
    return pins


def _objects(session: Session, owner: str) -> list[Handle]:
    return find(session, {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: _label(owner)})


def _label(owner: str) -> str:
    return f"{owner} custodian"


def _decode(stored: bytes) -> CustodianRecord:
    try:
        fields = json.loads(stored)
        if fields["format"] != _FORMAT:
            raise ValueError(fields["format"])  # noqa: TRY301 - as any other damage
        return CustodianRecord(stored, decode_custodian(fields["custodian"]), bytes.fromhex(fields["check"]))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("hsm-record-damaged") from error

"""AES-KWP (RFC 5649) by a device's own wrapping, and the test with a known answer that it is just that.

A mechanism's number does not say what a device does: SoftHSM does RFC 5649 under 0x210A, the standard's is 0x210B, and
elsewhere 0x210A is another padding. So the device wraps a key of this moment under another, and what it gives must be
what software gives: then what one store wrapped the other opens.

What is wrapped enters the device as an object of the session, and leaves it as one.
"""

import os
from contextlib import suppress

from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import KeyType, Mechanism
from pkcs11.types import Session

from vault.errors import IntegrityError, RefusedError
from vault.keys.key_wrap import BLOCK_BYTES, require_blocks, wrap_key
from vault.keys.pkcs11_session import HANDLE_GONE, Handle

_KNOWN = (Mechanism.AES_KEY_WRAP_KWP, Mechanism.AES_KEY_WRAP_PAD)
_KEY_BYTES = 32
_PASSING = {Attribute.TOKEN: False, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}


def wrapping_mechanism(session: Session, wanted: int | None) -> Mechanism:
    """Find the mechanism that is AES-KWP on this device, or try the one that the settings name.

    Raises:
        RefusedError: `hsm-mechanism-wrong`: it is not, or none is.
        PKCS11Error: the device is gone.
    """
    for number in _KNOWN if wanted is None else (wanted,):
        with suppress(PKCS11Error, ValueError):  # a number that the library or the device does not know
            if _gives_the_known_answer(session, Mechanism(number)):
                return Mechanism(number)
    session.token.slot.get_token()
    raise RefusedError("hsm-mechanism-wrong", mechanism="AES-KWP" if wanted is None else hex(wanted))


def wrap(session: Session, key: Handle, mechanism: Mechanism, plaintext: bytes) -> bytes:
    """Wrap whole blocks of 8 bytes under a key of the device.

    Raises:
        ValueError: they are none.
        PKCS11Error: the device, or the key, is gone.
    """
    require_blocks(plaintext)
    passing = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
            Attribute.VALUE: plaintext,
            **_PASSING,
        }
    )
    try:
        return bytes(key.wrap_key(passing, mechanism=mechanism))
    finally:
        passing.destroy()


def unwrap(session: Session, key: Handle, mechanism: Mechanism, wrapped: bytes, key_id: str) -> bytes:
    """Unwrap what `wrap` gave.

    Raises:
        IntegrityError: `wrapped-key-altered`: altered, or wrapped under another key.
        PKCS11Error: the device, or the key, is gone.
    """
    try:
        passing = key.unwrap_key(
            ObjectClass.SECRET_KEY, KeyType.GENERIC_SECRET, wrapped, mechanism=mechanism, template=_PASSING
        )
    except HANDLE_GONE:
        raise
    except PKCS11Error as error:
        # A device may use one error for an altered key and for its own failure. One that works says so here.
        wrap(session, key, mechanism, bytes(_KEY_BYTES))
        raise IntegrityError("wrapped-key-altered", key_id=key_id) from error
    plaintext = bytes(passing[Attribute.VALUE])
    passing.destroy()
    if len(plaintext) != len(wrapped) - BLOCK_BYTES:
        raise IntegrityError("wrapped-key-altered", key_id=key_id)
    return plaintext


def _gives_the_known_answer(session: Session, mechanism: Mechanism) -> bool:
    """Whether the device wraps a key as software does, and takes it back, but not when it is altered."""
    key, plaintext = os.urandom(_KEY_BYTES), os.urandom(_KEY_BYTES)
    inside = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: key,
            Attribute.TOKEN: False,
            Attribute.WRAP: True,
            Attribute.UNWRAP: True,
        }
    )
    try:
        wrapped = wrap(session, inside, mechanism, plaintext)
        if wrapped != wrap_key(key, plaintext) or unwrap(session, inside, mechanism, wrapped, "") != plaintext:
            return False
        return not _opens(session, inside, mechanism, wrapped[:-1] + bytes([wrapped[-1] ^ 1]))
    except IntegrityError:
        return False
    finally:
        inside.destroy()


def _opens(session: Session, key: Handle, mechanism: Mechanism, wrapped: bytes) -> bool:
    try:
        unwrap(session, key, mechanism, wrapped, "")
    except IntegrityError:
        return False
    return True

"""What a key store in an HSM is made of: the device's library, two tokens, what lies on them, and who opens them."""

import os
from functools import partial
from pathlib import Path

from vault.errors import NotFoundError, RefusedError
from vault.keys.custodian import SALT_BYTES, CustodianSecret
from vault.keys.pkcs11_custodians import (
    encode_record,
    opening_pin,
    read_records,
    remove_other_records,
    write_record,
)
from vault.keys.pkcs11_disposal import DisposalKeys
from vault.keys.pkcs11_inside import InsideKeys
from vault.keys.pkcs11_library import library
from vault.keys.pkcs11_outside import OutsideKeys
from vault.keys.pkcs11_session import TokenSession, read_pin
from vault.keys.pkcs11_signing import SigningKeys
from vault.keys.pkcs11_uri import HsmAddress
from vault.keys.pkcs11_wrapping import wrapping_mechanism
from vault.keys.wiping import wipe


class Pkcs11Parts:
    """The parts of one store."""

    def __init__(self, address: HsmAddress, vault_id: str, path: Path, *, read_only: bool) -> None:
        """Find the taking token, and try the device with a known answer; errors as `Pkcs11KeyStore`."""
        self.owner = f"kura {vault_id}"
        self.library = library(address.module)
        pin = partial(read_pin, address.pin_file)
        self.taking = TokenSession(self.library, address.token, address.serial, pin, read_only=read_only)
        self.opening = TokenSession(self.library, address.opening_token, None, None, read_only=read_only)
        self.mechanism = self.taking.run(lambda session: wrapping_mechanism(session, address.wrap_mechanism))
        self.signing = SigningKeys(self.taking, self.owner)
        self.disposal: DisposalKeys = (
            InsideKeys(self.opening, self.owner, read_only=read_only)
            if address.keeping == "inside"
            else OutsideKeys(path, self.owner, self.mechanism, read_only=read_only)
        )

    def has_records(self) -> bool:
        """Whether this vault was set up on this device."""
        try:
            return bool(self.taking.run(lambda session: read_records(session, self.owner)))
        except NotFoundError:
            return False

    def log_in(self, pins: list[tuple[bytes, str]]) -> bytes:
        """Log in with the right one of these PINs; give its record.

        Raises:
            RefusedError: `custodian-secret-wrong`: none is; or `hsm-pin-locked`.
            UnavailableError: `hsm-away`.
        """
        for stored, pin in pins:
            try:
                self.opening.log_in(pin)
            except RefusedError as error:
                if error.code != "hsm-pin-wrong":
                    raise
            else:
                return stored
        raise RefusedError("custodian-secret-wrong")

    def hand_over(self, custodian: CustodianSecret, scrypt_log2_n: int) -> None:
        """Let these custodians open the opening token, and nobody else."""
        parameters = custodian.new_parameters(os.urandom(SALT_BYTES), scrypt_log2_n)
        secret = custodian.derive(parameters)
        record, pin = encode_record(parameters, secret), opening_pin(secret)
        wipe(secret)
        self.taking.run(lambda session: write_record(session, self.owner, record))
        # A crash here: the former PIN holds, and by it the next opening finds the new record and removes it.
        self.opening.change_pin(pin)
        # A crash here: the new PIN holds, and by it the next opening finds the former record and removes it.
        self.taking.run(lambda session: remove_other_records(session, self.owner, record))

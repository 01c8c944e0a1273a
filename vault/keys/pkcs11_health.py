"""What is wrong with an HSM, or soon will be; changes nothing, and tries no PIN where few tries are left."""

from collections.abc import Iterator
from contextlib import suppress

from pkcs11.constants import TokenFlag
from pkcs11.exceptions import PKCS11Error

from vault.errors import KuraError, RefusedError, UnavailableError
from vault.keys.pkcs11_library import Library, library
from vault.keys.pkcs11_session import TokenSession, away, read_pin
from vault.keys.pkcs11_uri import HsmAddress
from vault.keys.pkcs11_wrapping import wrapping_mechanism

_TRIES_LOW = TokenFlag.USER_PIN_COUNT_LOW | TokenFlag.USER_PIN_FINAL_TRY


def hsm_problems(address: HsmAddress) -> Iterator[KuraError]:
    """Look at both tokens, their PINs' tries, the PIN file and the wrapping.

    A token's room cannot be asked: python-pkcs11 hands on no figure; a full one says so when a key is made.
    """
    try:
        device = library(address.module)
        flags = [_flags(device, label) for label in (address.token, address.opening_token)]
    except (RefusedError, UnavailableError) as error:
        yield error
        return
    for label, one in zip((address.token, address.opening_token), flags, strict=True):
        if one & TokenFlag.USER_PIN_LOCKED:
            yield RefusedError("hsm-pin-locked", token=label)
        elif one & _TRIES_LOW:
            yield RefusedError("hsm-pin-low", token=label)
    if flags[0] & (TokenFlag.USER_PIN_LOCKED | _TRIES_LOW):
        return
    taking = TokenSession(device, address.token, address.serial, lambda: read_pin(address.pin_file), read_only=True)
    try:
        taking.run(lambda session: wrapping_mechanism(session, address.wrap_mechanism))
    except (RefusedError, UnavailableError) as error:
        yield error
    finally:
        taking.log_out()


def _flags(device: Library, label: str) -> TokenFlag:
    with device.alone(), away(label):
        with suppress(PKCS11Error):
            return device.token(label).flags
        device.begin_anew(device.generation)
        return device.token(label).flags

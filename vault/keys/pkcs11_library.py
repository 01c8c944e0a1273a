"""A vendor's PKCS#11 library in this process: one of each, one caller at a time, and beginning anew when a device went.

Why one caller: python-pkcs11 initializes a library without telling it of threads, and then the standard allows one
thread only. A device that answers a call in half a millisecond is kept busy by that all the same.

Why generations: after C_Initialize every handle is worthless, and its number soon belongs to another object. Whoever
holds a session or an object holds the generation it is of, and lets go of it when that has passed.

Not for a forked child: the standard gives it no right to its parent's sessions.
"""

import ctypes
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pkcs11
from pkcs11.exceptions import NoSuchToken, PinIncorrect, PinInvalid, PinLenRange, PinLocked, PKCS11Error
from pkcs11.types import Session, Token

from vault.errors import RefusedError, UnavailableError

_PAUSES_S = (0.05, 0.1, 0.2, 0.4)
"""Between attempts at beginning anew: SoftHSM misses a token of which another process writes a file at that moment."""


@dataclass(slots=True)
class Login:
    """A token that this process is logged in to, on behalf of so many: PKCS#11 knows no login but the process's."""

    token: str
    pin: str = field(repr=False)
    session: Session = field(repr=False)
    users: int = 1


class Library:
    """One vendor's library. Its methods are called inside `alone`."""

    def __init__(self, module: Path) -> None:
        """Load the library.

        Raises:
            UnavailableError: `hsm-away`: it is not there, or its device does not answer.
        """
        self._lock = threading.RLock()
        self.generation = 1
        self._pid = os.getpid()
        self._logins: dict[str, Login] = {}
        try:
            self._lib = pkcs11.lib(str(module))
        except PKCS11Error as error:
            raise UnavailableError("hsm-away", token=module.name, reason=type(error).__name__) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other threads from the library; once more inside is harmless.

        Raises:
            UnavailableError: `hsm-away`: this is a forked child, who would disturb its parent's device.
        """
        if os.getpid() != self._pid:  # before the lock: a thread that there is no more may hold its copy
            raise UnavailableError("hsm-away", token="", reason="ForkedProcess")
        with self._lock:
            try:
                yield
            finally:
                _forget_openssl_errors()

    def token(self, label: str, serial: str | None = None) -> Token:
        """Find a token that is there now.

        Raises:
            RefusedError: `hsm-token-ambiguous`.
            PKCS11Error: it is not there, or its device does not answer.
        """
        found: list[Token] = []
        for slot in self._lib.get_slots():
            with suppress(PKCS11Error):  # a slot that is empty or broken is not the one
                token = slot.get_token()
                if token.label == label and serial in (None, token.serial.decode("ascii", "replace")):
                    found.append(token)
        if len(found) > 1:
            raise RefusedError("hsm-token-ambiguous", token=label)
        if not found:
            raise NoSuchToken(label)
        return found[0]

    def begin_anew(self, seen: int) -> None:
        """Initialize the library again, unless somebody has since generation `seen`.

        Tokens that are there are logged in to again; one that is not is logged out: its PIN must be brought again.

        Raises:
            PKCS11Error: not even that is possible.
        """
        if self.generation != seen:
            return
        self.generation += 1
        former, self._logins = self._logins, {}
        for pause_s in (*_PAUSES_S, None):
            with suppress(PKCS11Error):
                self._lib.finalize()
            self._lib.initialize()
            self._logins = {label: login for label, login in former.items() if self._is_logged_in_again(login)}
            if pause_s is None or len(self._logins) == len(former):
                return
            time.sleep(pause_s)

    def _is_logged_in_again(self, login: Login) -> bool:
        try:
            login.session = self.token(login.token).open(rw=True, user_pin=login.pin)
        except (PKCS11Error, RefusedError):
            return False
        return True

    def is_live(self, login: Login | None) -> bool:
        """Whether a login still holds."""
        return login is not None and self._logins.get(login.token) is login

    def log_in(self, token: Token, pin: str) -> Login:
        """Log in to a token, to be ended by one `log_out`.

        Raises:
            RefusedError: `hsm-pin-wrong` or `hsm-pin-locked`.
            PKCS11Error: the device failed.
        """
        login = self._logins.get(token.label)
        if login is None:
            with _pin_errors(token.label):
                login = self._logins[token.label] = Login(token.label, pin, token.open(rw=True, user_pin=pin))
        elif login.pin != pin:
            raise RefusedError("hsm-pin-wrong", token=token.label)
        else:
            login.users += 1
        return login

    def log_out(self, login: Login) -> None:
        """End a login; with the last one the device closes its private objects to this process."""
        if not self.is_live(login):
            return
        login.users -= 1
        if login.users == 0:
            del self._logins[login.token]
            with suppress(PKCS11Error):
                login.session.close()

    def change_pin(self, login: Login, pin: str) -> None:
        """Give a token another PIN; the device does so wholly or not at all.

        Raises:
            RefusedError: `hsm-pin-wrong`: it takes no such PIN.
            PKCS11Error: the device failed.
        """
        with _pin_errors(login.token):
            login.session.set_pin(login.pin, pin)
        login.pin = pin


@cache
def _clear_errors() -> Callable[[], None] | None:
    """Give OpenSSL's `ERR_clear_error` of this process, where its library is shared."""
    name = "libcrypto.so." + ("1.1" if ssl.OPENSSL_VERSION_INFO[0] == 1 else str(ssl.OPENSSL_VERSION_INFO[0]))
    try:
        clear = ctypes.CDLL(name).ERR_clear_error
    except (OSError, AttributeError):
        return None
    clear.argtypes, clear.restype = (), None
    found: Callable[[], None] = clear
    return found


def _forget_openssl_errors() -> None:
    """Empty this thread's queue of OpenSSL's errors: a vendor's library (SoftHSM) may leave some there.

    Python's TLS uses the same OpenSSL, and takes whatever is in the queue for an error of its own next reading.
    """
    clear = _clear_errors()
    if clear is not None:
        clear()


@contextmanager
def _pin_errors(label: str) -> Iterator[None]:
    try:
        yield
    except (PinIncorrect, PinInvalid, PinLenRange) as error:
        raise RefusedError("hsm-pin-wrong", token=label) from error
    except PinLocked as error:
        raise RefusedError("hsm-pin-locked", token=label) from error


@cache
def library(module: Path) -> Library:
    """Give the library of a path: the same to all in this process."""
    return Library(module)

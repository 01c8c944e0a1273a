"""A session on one token of an HSM: opened when it is needed, opened again when the device was away.

A device that is gone answers in many ways: with errors of all kinds, and sometimes by finding nothing. So whatever
was found or not found counts only while the token says that it is there (`find`).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pkcs11.constants import Attribute
from pkcs11.exceptions import (
    AttributeTypeInvalid,
    DeviceMemory,
    KeyHandleInvalid,
    ObjectHandleInvalid,
    PKCS11Error,
    TokenNotPresent,
    UnwrappingKeyHandleInvalid,
    WrappingKeyHandleInvalid,
)
from pkcs11.types import Session

from vault.errors import NotFoundError, RefusedError, UnavailableError
from vault.keys.pkcs11_library import Library, Login

T = TypeVar("T")
Template = Mapping[Attribute, Any]
Handle = Any
"""An object on a device. Its class is made when it is found, by what it can do, and so no type names its methods."""

HANDLE_GONE = (ObjectHandleInvalid, KeyHandleInvalid, UnwrappingKeyHandleInvalid, WrappingKeyHandleInvalid)
"""What a device says of an object that somebody has destroyed; one that is gone says so of every object."""


class TokenSession:
    """One token, used by one key store. Safe to use from several threads, one of which works at a time.

    Attributes:
        handles: objects of the session that is open now, kept by whoever found them; emptied with the session.
    """

    def __init__(
        self, library: Library, label: str, serial: str | None, pin: Callable[[], str] | None, *, read_only: bool
    ) -> None:
        """Name a token; nothing is opened yet.

        Args:
            library: of the device.
            label: the token's.
            serial: the token's, where the label is not enough.
            pin: gives the PIN whenever it is needed; None where custodians bring it (`log_in`).
            read_only: open read-only sessions.
        """
        self.library = library
        self.label = label
        self.handles: dict[str, Handle] = {}
        self._serial = serial
        self._pin = pin
        self._read_only = read_only
        self._login: Login | None = None
        self._session: Session | None = None
        self._generation = 0

    @property
    def is_logged_in(self) -> bool:
        """Whether a login still holds, as far as this process knows."""
        return self.library.is_live(self._login)

    def log_in(self, pin: str) -> None:
        """Log in with a PIN that somebody brought; once more is harmless.

        Raises:
            RefusedError: `hsm-pin-wrong` or `hsm-pin-locked`; a login that there was stays.
            UnavailableError: `hsm-away`.
        """
        with self.library.alone():
            seen = self.library.generation
            try:
                login = self._new_login(pin)
            except PKCS11Error:
                with away(self.label):
                    self.library.begin_anew(seen)
                    login = self._new_login(pin)
            self.log_out()
            self._login = login

    def log_out(self) -> None:
        """Forget the PIN, and end the login unless others of this process need it."""
        with self.library.alone():
            if self._login is not None:
                self.library.log_out(self._login)
            self._login = None
            self._drop()

    def change_pin(self, pin: str) -> None:
        """Give the token another PIN, wholly or not at all.

        Raises:
            RefusedError: `hsm-pin-wrong`: it takes no such PIN.
            PKCS11Error: the device failed.
        """
        with self.library.alone():
            self.session()
            if self._login is not None:
                self.library.change_pin(self._login, pin)

    def session(self) -> Session:
        """Give the open session; the caller holds the library's lock.

        Raises:
            PKCS11Error: the device is gone, or came back without the PIN.
        """
        if self._session is None or self._generation != self.library.generation:
            self._drop()
            if not self.library.is_live(self._login):
                if self._pin is None:
                    raise TokenNotPresent
                self._login = self._new_login(self._pin())
            self._session = self.library.token(self.label, self._serial).open(rw=not self._read_only)
            self._generation = self.library.generation
        return self._session

    def run(self, act: Callable[[Session], T]) -> T:
        """Do something that may be repeated, with the device having been away meanwhile or not.

        What is not found is looked for once more, after beginning anew: a library may go by what it knew before another
        process made an object. (SoftHSM does, where its own process makes one at the same moment.)

        Raises:
            UnavailableError: `hsm-away`.
            NotFoundError: as `act`.
        """
        with self.library.alone():
            seen = self.library.generation
            try:
                return act(self.session())
            except (PKCS11Error, NotFoundError):
                with away(self.label):
                    self.library.begin_anew(seen)
                    return act(self.session())

    def _new_login(self, pin: str) -> Login:
        return self.library.log_in(self.library.token(self.label, self._serial), pin)

    def _drop(self) -> None:
        """Let go of a session; one of an earlier generation is no longer ours to close."""
        if self._session is not None and self._generation == self.library.generation:
            with suppress(PKCS11Error):
                self._session.close()
        self._session = None
        self.handles.clear()


@contextmanager
def away(label: str) -> Iterator[None]:
    """Turn whatever a device answers into UnavailableError `hsm-away`, or `hsm-full`."""
    try:
        yield
    except DeviceMemory as error:
        raise UnavailableError("hsm-full", token=label) from error
    except PKCS11Error as error:
        raise UnavailableError("hsm-away", token=label, reason=type(error).__name__) from error


def find(session: Session, template: Template) -> list[Handle]:
    """Find objects on a token that is there before and after.

    Raises:
        PKCS11Error: it is not.
    """
    session.token.slot.get_token()  # a search that cannot even begin is best not begun: its end would fail as well
    found: list[Handle] = list(session.get_objects(dict(template)))
    session.token.slot.get_token()
    return found


def by_id(objects: Iterable[Handle]) -> dict[str, Handle]:
    """Give keys by their ids in hex, without what a crash left half made: not every device makes an object at once."""
    found: dict[str, Handle] = {}
    for one in objects:
        with suppress(AttributeTypeInvalid):
            if key_id := bytes(one[Attribute.ID]).hex():
                found[key_id] = one
    return found


def value_of(one: Handle) -> bytes:
    """Give the value of a data object; empty where a crash left it half made."""
    try:
        return bytes(one[Attribute.VALUE])
    except AttributeTypeInvalid:
        return b""


def read_pin(path: Path) -> str:
    """Read the PIN of the taking token.

    Raises:
        RefusedError: `hsm-pin-file`: it is missing or empty, or others than its owner may read it.
    """
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise RefusedError("hsm-pin-file", path=str(path))
            pin = file.read().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError("hsm-pin-file", path=str(path)) from error
    if not pin:
        raise RefusedError("hsm-pin-file", path=str(path))
    return pin

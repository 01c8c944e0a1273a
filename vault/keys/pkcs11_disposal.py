"""What an HSM's opening token keeps, in either of two ways: what the key store asks of it (`pkcs11_keystore.py`).

Every method is called with the library's lock held and an open session on the opening token, and passes PKCS11Error
on: then the device is gone, or its answer means nothing.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from pkcs11.constants import Attribute, MechanismFlag, ObjectClass
from pkcs11.mechanisms import KeyType
from pkcs11.types import Session

from vault.keys.pkcs11_session import Handle

T = TypeVar("T")
KEY_BITS = 256
WRAPPING = MechanismFlag.WRAP | MechanismFlag.UNWRAP
FOR_GOOD = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
"""A key that no call reads or wraps, in the device's own word."""


class DisposalKeys(Protocol):
    """Disposal keys and tombstones."""

    finished_cut_run: bool

    def begin(self, session: Session) -> None:
        """Take up what is there, having finished what a crash had cut.

        Raises:
            IntegrityError: what is stored is damaged.
        """

    def end(self) -> None:
        """Forget what `begin` took up."""

    def create(self, session: Session, count: int) -> list[str]:
        """Make keys durably.

        Raises:
            UnavailableError: `hsm-full`; none was made.
        """

    def use(self, session: Session, key_id: str, act: Callable[[Handle], T]) -> T:
        """Do something with a key inside the device.

        Raises:
            NotFoundError: `disposal-key-unknown`.
            RefusedError: `disposal-key-destroyed`.
        """

    def destroy(self, session: Session, key_ids: Collection[str], at: datetime) -> None:
        """Destroy keys and keep tombstones; errors as `KeyStore.destroy`."""

    def ids(self, session: Session) -> frozenset[str]:
        """Give the ids of all keys."""

    def tombstones(self, session: Session) -> Mapping[str, datetime]:
        """Say when each destroyed key was destroyed."""

    def check(self, session: Session) -> None:
        """Compare all that is stored; errors as `KeyStore.check`."""


def secret_keys(label: str, key_id: str | None = None) -> dict[Attribute, object]:
    """Give the template that finds AES keys of a label, or one of them."""
    template: dict[Attribute, object] = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.LABEL: label,
    }
    return template if key_id is None else template | {Attribute.ID: bytes.fromhex(key_id)}

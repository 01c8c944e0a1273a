"""Disposal keys that lie inside the HSM, each an object of its own that never leaves it; and tombstones beside them.

A key is found by the vault's label and its id. A tombstone is a data object for all keys of one destruction. Order of
a destruction, and what a crash after each step leaves:
1. the tombstones, one object, which a device writes wholly or not at all – the keys count as destroyed: the next
   opening does step 2 again;
2. the keys' objects, one after the other – likewise, until the last is gone.
"""

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import DeviceMemory
from pkcs11.mechanisms import KeyType
from pkcs11.types import Session

from vault.errors import IntegrityError, NotFoundError, RefusedError, UnavailableError
from vault.keys.key_parts import ID_BYTES, OpeningPart
from vault.keys.pkcs11_disposal import FOR_GOOD, KEY_BITS, WRAPPING, secret_keys
from vault.keys.pkcs11_session import HANDLE_GONE, Handle, TokenSession, find

T = TypeVar("T")


class InsideKeys:
    """Disposal keys as objects of the opening token; keeps the contract of `pkcs11_disposal.DisposalKeys`."""

    def __init__(self, token: TokenSession, owner: str, *, read_only: bool) -> None:
        """Take the opening token; `owner` is what the vault's objects are labelled with."""
        self.finished_cut_run = False
        self._handles = token.handles
        self._label = f"{owner} disposal"
        self._dead_label = f"{owner} destroyed"
        self._read_only = read_only

    def begin(self, session: Session) -> None:
        """Destroy what has a tombstone and is still there."""
        self.finished_cut_run = False
        left = {} if self._read_only else self._undead(session)
        for key in left.values():
            key.destroy()
        self.finished_cut_run = bool(left)

    def end(self) -> None:
        """Nothing is kept but handles, which end with their session."""

    def create(self, session: Session, count: int) -> list[str]:
        """Make keys, one object after the other."""
        made: dict[str, Handle] = {}
        try:
            for _ in range(count):
                key_id = os.urandom(ID_BYTES)
                made[key_id.hex()] = session.generate_key(
                    KeyType.AES,
                    KEY_BITS,
                    id=key_id,
                    label=self._label,
                    store=True,
                    capabilities=WRAPPING,
                    template=FOR_GOOD,
                )
        except DeviceMemory as error:
            for key in made.values():
                key.destroy()
            raise UnavailableError("hsm-full", token=session.token.label) from error
        self._handles.update(made)
        return list(made)

    def use(self, session: Session, key_id: str, act: Callable[[Handle], T]) -> T:
        """Do something with a key by its handle; one that another process destroyed is gone by its handle as well."""
        handle = self._handles.get(key_id)
        if handle is not None:
            with suppress(*HANDLE_GONE):
                return act(handle)
            del self._handles[key_id]
        found = find(session, secret_keys(self._label, key_id))
        if not found:
            if key_id in self.tombstones(session):
                raise RefusedError("disposal-key-destroyed", key_id=key_id)
            raise NotFoundError("disposal-key-unknown", key_id=key_id)
        self._handles[key_id] = found[0]
        return act(found[0])

    def destroy(self, session: Session, key_ids: Collection[str], at: datetime) -> None:
        """Destroy keys and keep tombstones."""
        keys, dead = self._keys(session), self.tombstones(session)
        for key_id in key_ids:
            if key_id not in keys and key_id not in dead:
                raise NotFoundError("disposal-key-unknown", key_id=key_id)
        doomed = {key_id: keys[key_id] for key_id in key_ids if key_id not in dead}
        if not doomed:
            return
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.DATA,
                Attribute.LABEL: self._dead_label,
                Attribute.APPLICATION: "kura",
                Attribute.VALUE: bytes(OpeningPart({}, {}).without_keys(doomed, at).encode()),
                Attribute.TOKEN: True,
                Attribute.PRIVATE: True,
            }
        )
        for key_id, key in doomed.items():
            key.destroy()
            self._handles.pop(key_id, None)

    def ids(self, session: Session) -> frozenset[str]:
        """Give the ids of all keys; one whose destruction was cut is none."""
        return frozenset(self._keys(session)) - set(self.tombstones(session))

    def tombstones(self, session: Session) -> Mapping[str, datetime]:
        """Say when each destroyed key was destroyed."""
        dead: dict[str, datetime] = {}
        for one in find(session, {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: self._dead_label}):
            for key_id, at in OpeningPart.decode(bytearray(one[Attribute.VALUE])).tombstones.items():
                dead[key_id] = min(at, dead.get(key_id, at))
        return dead

    def check(self, session: Session) -> None:
        """Find a destruction that was cut, and every handle in use still an object."""
        if self._undead(session):
            raise IntegrityError("hsm-run-unfinished")
        if not self._handles.keys() <= self._keys(session).keys() | set(self.tombstones(session)):
            raise IntegrityError("hsm-keys-lost", token=session.token.label)

    def _keys(self, session: Session) -> dict[str, Handle]:
        return {bytes(one[Attribute.ID]).hex(): one for one in find(session, secret_keys(self._label))}

    def _undead(self, session: Session) -> dict[str, Handle]:
        dead = self.tombstones(session)
        return {key_id: key for key_id, key in self._keys(session).items() if key_id in dead}

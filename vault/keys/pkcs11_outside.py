"""Disposal keys in a file, wrapped under one root key inside the HSM: for a device with room for few objects.

A key is inside the device while it is used, as an object of the session, and never in this machine's memory.
Destroying one replaces the root: the older files, and every copy of them, then open no more. Order of writes, and
what a crash after each step leaves:
1. a new root key in the device – one that no file names; the next opening destroys it;
2. the file, every other key wrapped anew under the new root, in the place of the old one – the keys count as
   destroyed; the next opening does step 3;
3. the old root key's object – nothing.
Always the file decides: its own root stays, any other goes. A file whose root is not there changes nothing.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import DeviceMemory
from pkcs11.mechanisms import KeyType, Mechanism
from pkcs11.types import Session

from vault.errors import IntegrityError, NotFoundError, RefusedError, UnavailableError
from vault.keys.durable_file import make_folder, remove_leftover, replace_file
from vault.keys.key_parts import ID_BYTES
from vault.keys.pkcs11_disposal import FOR_GOOD, KEY_BITS, WRAPPING, secret_keys
from vault.keys.pkcs11_session import HANDLE_GONE, Handle, find
from vault.keys.pkcs11_wrapping import unwrap, wrap
from vault.keys.wrapped_keys import WrappedKeys, parse_wrapped_keys

T = TypeVar("T")
_PASSING_THROUGH = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: True, Attribute.TOKEN: False}


class OutsideKeys:
    """Disposal keys in a file; keeps the contract of `pkcs11_disposal.DisposalKeys`."""

    def __init__(self, path: Path, owner: str, mechanism: Mechanism, *, read_only: bool) -> None:
        """Name the file; `owner` is what the vault's objects are labelled with, `mechanism` is AES-KWP."""
        self.finished_cut_run = False
        self._path = path
        self._label = f"{owner} root"
        self._mechanism = mechanism
        self._read_only = read_only
        self._stored: WrappedKeys | None = None
        self._root: Handle | None = None

    def make(self, session: Session) -> None:
        """Make the file of a new vault: no keys, under a first root."""
        root_id, root = self._new_root(session)
        with _write_errors():
            make_folder(self._path.parent)
        # A crash here leaves a root that no file names, in a token that is set up again.
        self._write(session, WrappedKeys(1, root_id, {}, {}), root)

    def begin(self, session: Session) -> None:
        """Read the file, prove it under its root, and let every other root go."""
        self._stored, self._root = self._read(session)
        self.finished_cut_run = False
        if self._read_only:
            return
        with _write_errors():
            self.finished_cut_run = remove_leftover(self._path)
        for root_id, root in self._roots(session).items():
            if root_id != self._stored.root:
                root.destroy()
                self.finished_cut_run = True

    def end(self) -> None:
        """Forget the file."""
        self._stored = self._root = None

    def create(self, session: Session, count: int) -> list[str]:
        """Make keys inside, and write the file once."""
        stored, root = self._current(session)
        made = {os.urandom(ID_BYTES).hex(): self._new_wrapped(session, root) for _ in range(count)}
        if made:
            self._require_unchanged(stored)
            self._write(session, replace(stored, generation=stored.generation + 1, keys={**stored.keys, **made}), root)
        return list(made)

    def use(self, session: Session, key_id: str, act: Callable[[Handle], T]) -> T:
        """Bring a key into the device for as long as something is done with it."""
        stored, root = self._current(session)
        try:
            return self._used(stored, root, key_id, act)
        except (*HANDLE_GONE, NotFoundError):
            # Another process may have written the file, or replaced the root.
            self._stored, self._root = self._read(session)
            return self._used(self._stored, self._root, key_id, act)

    def destroy(self, session: Session, key_ids: Collection[str], at: datetime) -> None:
        """Replace the root, and with it the file."""
        stored, root = self._current(session)
        for key_id in key_ids:
            if key_id not in stored.keys and key_id not in stored.tombstones:
                raise NotFoundError("disposal-key-unknown", key_id=key_id)
        doomed = {key_id for key_id in key_ids if key_id in stored.keys}
        if not doomed:
            return
        self._require_unchanged(stored)
        root_id, new_root = self._new_root(session)
        kept = {
            key_id: self._rewrapped(root, new_root, wrapped)
            for key_id, wrapped in stored.keys.items()
            if key_id not in doomed
        }
        dead = {**stored.tombstones, **dict.fromkeys(doomed, at.astimezone(UTC))}
        self._write(session, WrappedKeys(stored.generation + 1, root_id, kept, dead), new_root)
        root.destroy()

    def ids(self, session: Session) -> frozenset[str]:
        """Give the ids of all keys; read again, as another process may have written."""
        self._stored, self._root = self._read(session)
        return frozenset(self._stored.keys)

    def tombstones(self, session: Session) -> Mapping[str, datetime]:
        """Say when each destroyed key was destroyed; read again likewise."""
        self._stored, self._root = self._read(session)
        return dict(self._stored.tombstones)

    def check(self, session: Session) -> None:
        """Read the file again; prove every key in it, and that no other root is left."""
        stored, root = self._read(session)
        if self._roots(session).keys() != {stored.root}:
            raise IntegrityError("hsm-run-unfinished")
        if not self._read_only:  # beside a reader, the owner may have written since
            self._require_unchanged(self._current(session)[0])
        for key_id in stored.keys:
            self._used(stored, root, key_id, lambda key: key.key_type)

    def _current(self, session: Session) -> tuple[WrappedKeys, Handle]:
        if self._stored is None:  # pragma: no cover - the key store begins before it asks
            raise IntegrityError("wrapped-keys-damaged")
        if self._root is None or self._root.session is not session:  # it was opened again
            self._root = self._root_of(session, self._stored)
        return self._stored, self._root

    def _read(self, session: Session) -> tuple[WrappedKeys, Handle]:
        try:
            stored, seal = parse_wrapped_keys(self._path.read_bytes())
        except FileNotFoundError as error:
            raise NotFoundError("key-file-missing") from error
        except OSError as error:
            raise UnavailableError("key-store-unreadable") from error
        root = self._root_of(session, stored)
        try:
            is_right = unwrap(session, root, self._mechanism, seal, "") == stored.digest()
        except IntegrityError as error:
            raise IntegrityError("wrapped-keys-damaged") from error
        if not is_right:
            raise IntegrityError("wrapped-keys-damaged")
        return stored, root

    def _root_of(self, session: Session, stored: WrappedKeys) -> Handle:
        found = find(session, secret_keys(self._label, stored.root))
        if not found:
            raise IntegrityError("key-file-outdated")
        return found[0]

    def _roots(self, session: Session) -> dict[str, Handle]:
        return {bytes(one[Attribute.ID]).hex(): one for one in find(session, secret_keys(self._label))}

    def _new_root(self, session: Session) -> tuple[str, Handle]:
        root_id = os.urandom(ID_BYTES)
        try:
            root = session.generate_key(
                KeyType.AES,
                KEY_BITS,
                id=root_id,
                label=self._label,
                store=True,
                capabilities=WRAPPING,
                template=FOR_GOOD,
            )
        except DeviceMemory as error:
            raise UnavailableError("hsm-full", token=session.token.label) from error
        return root_id.hex(), root

    def _new_wrapped(self, session: Session, root: Handle) -> bytes:
        key = session.generate_key(KeyType.AES, KEY_BITS, store=False, capabilities=WRAPPING, template=_PASSING_THROUGH)
        try:
            return bytes(root.wrap_key(key, mechanism=self._mechanism))
        finally:
            key.destroy()

    def _used(self, stored: WrappedKeys, root: Handle, key_id: str, act: Callable[[Handle], T]) -> T:
        if key_id in stored.tombstones:
            raise RefusedError("disposal-key-destroyed", key_id=key_id)
        if key_id not in stored.keys:
            raise NotFoundError("disposal-key-unknown", key_id=key_id)
        key = self._brought_in(root, stored.keys[key_id], FOR_GOOD)
        try:
            return act(key)
        finally:
            key.destroy()

    def _rewrapped(self, old: Handle, new: Handle, wrapped: bytes) -> bytes:
        key = self._brought_in(old, wrapped, _PASSING_THROUGH)
        try:
            return bytes(new.wrap_key(key, mechanism=self._mechanism))
        finally:
            key.destroy()

    def _brought_in(self, root: Handle, wrapped: bytes, template: Mapping[Attribute, bool]) -> Handle:
        return root.unwrap_key(
            ObjectClass.SECRET_KEY,
            KeyType.AES,
            wrapped,
            mechanism=self._mechanism,
            capabilities=WRAPPING,
            store=False,
            template=dict(template),
        )

    def _require_unchanged(self, stored: WrappedKeys) -> None:
        """Stop where another process wrote the file: writing over it would lose its keys for ever."""
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise UnavailableError("key-store-unreadable") from error
        if parse_wrapped_keys(data)[0] != stored:
            raise IntegrityError("key-file-changed")

    def _write(self, session: Session, keys: WrappedKeys, root: Handle) -> None:
        data = keys.encode(wrap(session, root, self._mechanism, keys.digest()))
        with _write_errors():
            replace_file(self._path, data)
        self._stored, self._root = keys, root


@contextmanager
def _write_errors() -> Iterator[None]:
    """Turn what the operating system reports into ours."""
    try:
        yield
    except OSError as error:
        raise UnavailableError("key-store-write-failed") from error

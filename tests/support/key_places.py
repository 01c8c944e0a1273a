"""Where key stores lie, for tests: each kind made anew in a folder, and opened again from what is stored."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol

import engines
import pytest
from memory_keystore import MemoryKeyStore

from vault.keys.custodian import CustodianSecret
from vault.keys.file_keystore import FileKeyStore
from vault.keys.keystore import KeyStore
from vault.keys.pkcs11_keystore import Pkcs11KeyStore
from vault.keys.pkcs11_uri import parse_hsm_uri

WORDS = CustodianSecret.from_passphrase("four words in a safe")
VAULT = "0123456789abcdef"


class Place(Protocol):
    """Where one store lies."""

    def stored(self, *, read_only: bool = False) -> KeyStore:
        """Take the store, sealed, as another process or a restart would."""


class FilePlace:
    def __init__(self, folder: Path, custodian: CustodianSecret = WORDS) -> None:
        self._paths = folder / "vault" / "keys", folder / "epochs"
        FileKeyStore.create(*self._paths, custodian, scrypt_log2_n=4)

    def stored(self, *, read_only: bool = False) -> KeyStore:
        return FileKeyStore(*self._paths, read_only=read_only)


class MemoryPlace:
    def __init__(self, _: Path, custodian: CustodianSecret = WORDS) -> None:
        self._disk = MemoryKeyStore.new_disk(custodian)

    def stored(self, *, read_only: bool = False) -> KeyStore:
        return MemoryKeyStore(self._disk, read_only=read_only)


class HsmPlace:
    """Attributes: `uri` names two tokens of its own; `path` is the file of wrapped keys, where they lie outside."""

    def __init__(self, keeping: str, folder: Path, custodian: CustodianSecret = WORDS) -> None:
        self.uri = engines.new_hsm(keeping)
        self.path = folder / "vault" / "keys"
        Pkcs11KeyStore.create(parse_hsm_uri(self.uri), VAULT, self.path, custodian, scrypt_log2_n=4).seal()

    def stored(self, *, read_only: bool = False) -> Pkcs11KeyStore:
        return Pkcs11KeyStore(parse_hsm_uri(self.uri), VAULT, self.path, read_only=read_only)

    def opened(self, custodian: CustodianSecret = WORDS, *, read_only: bool = False) -> Pkcs11KeyStore:
        store = self.stored(read_only=read_only)
        store.unseal(custodian)
        return store

    @property
    def taking(self) -> str:
        return parse_hsm_uri(self.uri).token

    @property
    def opening(self) -> str:
        return parse_hsm_uri(self.uri).opening_token

    def away(self) -> None:
        for label in (self.taking, self.opening):
            engines.run("softhsm", "away", label)

    def back(self) -> None:
        for label in (self.taking, self.opening):
            engines.run("softhsm", "back", label)


MakePlace = Callable[..., Place]
HSMS = [
    pytest.param(partial(HsmPlace, keeping), id=f"hsm-{keeping}", marks=pytest.mark.engines)
    for keeping in ("inside", "outside")
]
PLACES = [pytest.param(FilePlace, id="file"), pytest.param(MemoryPlace, id="memory"), *HSMS]

"""The folder that a station works from: `station.toml` and the files it names.

station.toml         vault = "https://vault.example.lg.jp:8470", name = "counter-1", and the names below
counter-1.key        the station's key, mode 0600; never leaves the station
counter-1.crt        its certificate            ┐
vault-authority.crt  who the vault must be      ├ from `kura station enrol`
log.vkey             who signs its receipts     ┘
state/               numbers and receipts, the spool, the lock
"""

import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from cryptography import x509

from vault.client.certificate import check_pair, finish_renewal, pending, write_new_key
from vault.client.durable import replace_file
from vault.errors import RefusedError, UnavailableError
from vault.ledger.note import VerifierKey

DEFAULT_PORT = 8470
_SETTINGS = "station.toml"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_MEMBERS = ("vault", "name", "key", "certificate", "authority", "log_key")
_FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class StationFolder:
    """A station's folder, its settings read; its files are checked as they are used."""

    path: Path
    host: str
    port: int
    name: str
    key: Path
    certificate: Path
    authority: Path
    log_key: Path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `station.toml`.

        Raises:
            RefusedError: `station-settings-malformed`; `station-file-missing`, a file of the folder is not there.
            UnavailableError: `station-file-unreadable`.
        """
        try:
            values = tomllib.loads(_read(path / _SETTINGS).decode())
            settings = [values.pop(member) for member in _MEMBERS]
        except (ValueError, KeyError) as error:
            raise RefusedError("station-settings-malformed") from error
        if values or not all(isinstance(value, str) for value in settings):
            raise RefusedError("station-settings-malformed")
        host, port = parse_url(settings[0])
        return cls(path, host, port, checked_name(settings[1]), *(path / name for name in settings[2:]))

    @classmethod
    def create(cls, path: Path, url: str, name: str) -> Path:
        """Make the folder with a new key and `station.toml`; give the certificate signing request's file.

        Raises:
            RefusedError: `station-exists-here`; `station-url-malformed`; `station-name-malformed`.
            UnavailableError: `station-folder-failed`.
        """
        parse_url(url)
        checked_name(name)
        try:
            path.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
            if (path / _SETTINGS).exists() or (path / f"{name}.key").exists():
                raise RefusedError("station-exists-here")
            request = path / f"{name}.csr"
            replace_file(request, [write_new_key(path / f"{name}.key", name)])
            values = (url, name, f"{name}.key", f"{name}.crt", "vault-authority.crt", "log.vkey")
            text = "".join(f'{member} = "{value}"\n' for member, value in zip(_MEMBERS, values, strict=True))
            replace_file(path / _SETTINGS, [text.encode()])
        except OSError as error:
            raise UnavailableError("station-folder-failed", reason=type(error).__name__) from error
        return request

    @property
    def state(self) -> Path:
        """The folder of what the station keeps."""
        return self.path / "state"

    def authority_pem(self) -> bytes:
        """Read the certificate of the vault's authority."""
        return _read(self.authority)

    def ledger_key(self) -> VerifierKey:
        """Read the key that signs the receipts; its name ends in the contract."""
        try:
            return VerifierKey.decode(_read(self.log_key).decode().strip())
        except UnicodeDecodeError as error:
            raise RefusedError("verifier-key-malformed") from error

    def certificate_checked(self) -> x509.Certificate:
        """Give the station's certificate, which is of its key and by the vault's authority; its time is not looked at.

        Raises:
            RefusedError: `station-key-readable`, `station-pair-differs`, `station-file-missing`.
            UnavailableError: `station-file-unreadable`.
        """
        with _reading(self.key):
            return check_pair(self.key, _read(self.certificate), self.authority_pem(), self.name)

    def renew(self, certify: Callable[[bytes], bytes]) -> None:
        """Make a new key, have it certified, and put both in place.

        Args:
            certify: takes the request (PEM), gives the certificate (PEM).

        Raises:
            KuraError: as `certificate_checked`, for the new pair, and what `certify` raises: the old pair stays.
        """
        with _reading(self.key):
            issued = certify(write_new_key(pending(self.key), self.name))
            check_pair(pending(self.key), issued, self.authority_pem(), self.name)
            replace_file(pending(self.certificate), [issued])
        self.finish_renewal()

    def finish_renewal(self) -> None:
        """Put a renewed pair in place where a crash left one waiting; errors as `certificate_checked`."""
        with _reading(self.key):
            finish_renewal(self.key, self.certificate, self.authority_pem(), self.name)


def parse_url(url: str) -> tuple[str, int]:
    """Read a vault's address: https, a host, and a port or 8470.

    Raises:
        RefusedError: `station-url-malformed`.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise RefusedError("station-url-malformed") from error
    is_plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or '"' in url)
    if parts.scheme != "https" or not host or not is_plain or not url.isascii() or not url.isprintable():
        raise RefusedError("station-url-malformed")
    return host, port or DEFAULT_PORT


def checked_name(name: str) -> str:
    """Give a station's name, which is one.

    Raises:
        RefusedError: `station-name-malformed`.
    """
    if not _NAME.fullmatch(name):
        raise RefusedError("station-name-malformed")
    return name


def _read(path: Path) -> bytes:
    with _reading(path):
        return path.read_bytes()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise RefusedError("station-file-missing", name=path.name) from error
    except OSError as error:
        raise UnavailableError("station-file-unreadable", reason=type(error).__name__) from error

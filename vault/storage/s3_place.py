"""Where an S3 store is: what its line in the settings says, and whether its bytes stay on the operator's premises.

    s3+https://HOST[:PORT]/BUCKET[/PREFIX]?region=R&credentials=FILE[&profile=P][&disposer=P][&authorities=FILE]

Plain http only to this machine: there nobody can listen who could not read the memory.
"""

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from vault.errors import RefusedError, UnavailableError

_KEYS = frozenset({"region", "credentials", "profile", "disposer", "authorities"})
_REQUIRED = ("region", "credentials")
_PORTS = {"s3+https": 443, "s3+http": 80}


@dataclass(frozen=True, slots=True)
class S3Place:
    """One bucket, or a part of one.

    Attributes:
        is_secure: TLS; without it the host is this machine.
        host: name or address of the engine.
        port: TCP.
        bucket: its name.
        prefix: what the keys of this store begin with: empty, or ending in a slash.
        region: always sent, so that none need be asked for.
        credentials: a file of access keys in sections; read by `s3_credentials`.
        profile: the section whose keys deposit and read.
        disposer: the section whose keys delete; None leaves that to the first.
        authorities: certificates (PEM) that the engine's own must lead to; the system's where None.
    """

    is_secure: bool
    host: str
    port: int
    bucket: str
    prefix: str
    region: str
    credentials: Path
    profile: str
    disposer: str | None
    authorities: Path | None

    @property
    def endpoint(self) -> str:
        """Host and port, as they stand in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def label(self) -> str:
        """What errors and notes call it; holds no credential."""
        return f"{self.host}:{self.port}/{self.bucket}"


def is_s3(store: str) -> bool:
    """Tell a place in an engine from a folder."""
    return store.startswith("s3+")


def read_place(store: str, folder: Path) -> S3Place:
    """Read a store's line in the settings; files are relative to the vault's folder.

    Raises:
        RefusedError: it is not such a line; the sentence says what is wrong, and repeats none of it.
    """
    url = urlsplit(store)
    if url.scheme not in _PORTS:
        raise _wrong("write a folder, or s3+https://HOST:PORT/BUCKET?region=…&credentials=…")
    if url.username is not None or url.password is not None:
        raise _wrong("no credentials in an address: name their file with credentials=")
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    if unknown := set(options) - _KEYS:
        raise _wrong("unknown: " + ", ".join(sorted(unknown)))
    bucket, _, prefix = unquote(url.path).strip("/").partition("/")
    try:
        port = url.port or _PORTS[url.scheme]
    except ValueError as error:
        raise _wrong("the port is no number") from error
    for name, value in {"host": url.hostname, "bucket": bucket, **{key: options.get(key) for key in _REQUIRED}}.items():
        if not value:
            raise _wrong(name + " is missing")
    place = S3Place(
        url.scheme == "s3+https",
        url.hostname or "",
        port,
        bucket,
        f"{prefix}/" if prefix else "",
        options["region"],
        folder / options["credentials"],
        options.get("profile", "default"),
        options.get("disposer"),
        folder / options["authorities"] if "authorities" in options else None,
    )
    if not place.is_secure and not _all(place, lambda address: address.is_loopback):
        raise _wrong("plain http reaches this machine only: write s3+https")
    return place


def require_private(place: S3Place) -> None:
    """Check that every address of the engine's host is private.

    Raises:
        RefusedError: one is not.
        UnavailableError: the name leads nowhere now.
    """
    if not _all(place, lambda address: address.is_private or address.is_loopback or address.is_link_local):
        raise RefusedError("store-not-private", store=place.label)


def _all(place: S3Place, holds: Callable[[ipaddress.IPv4Address | ipaddress.IPv6Address], bool]) -> bool:
    """Whether something holds of every address that a host has now."""
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError("store-unreachable", store=place.label, reason=type(error).__name__) from error
    return all(holds(_address(str(entry[4][0]))) for entry in found)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    # An IPv4 address written as IPv6 says nothing of itself as such.
    return getattr(address, "ipv4_mapped", None) or address


def _wrong(reason: str) -> RefusedError:
    return RefusedError("settings-wrong", key="storage.stores", reason=reason)

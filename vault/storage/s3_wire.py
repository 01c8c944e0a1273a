"""Requests to one bucket as one user: the client library's where it serves, and one streamed PUT of our own.

The library would read a whole body into memory, or cut it into parts, of which some engines forget the lock; so the PUT
is sent here, signed by the library's signer. Nothing is retried here: a put whose answer was lost has often been done,
and it is the store that looks.
"""

import os
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import SplitResult, quote
from xml.etree import ElementTree as ET

import urllib3
from minio import Minio
from minio.commonconfig import COMPLIANCE
from minio.credentials.providers import StaticProvider
from minio.datatypes import Object
from minio.retention import Retention
from minio.signer import sign_v4_s3
from minio.time import to_amz_date
from urllib3.response import BaseHTTPResponse

from vault.storage.objects import Address, Facts
from vault.storage.s3_credentials import S3Credentials
from vault.storage.s3_errors import of_answer, translated, unfaithful
from vault.storage.s3_place import S3Place
from vault.storage.s3_spool import Spool

_CONNECT_S = 2.0
_UNSIGNED = "UNSIGNED-PAYLOAD"
_CONNECTIONS = 32
_MODE, _UNTIL, _HOLD = (f"x-amz-object-lock-{name}" for name in ("mode", "retain-until-date", "legal-hold"))


class S3Wire:
    """A bucket, as one of its users; connections are not shared with a forked child."""

    def __init__(self, place: S3Place, credentials: S3Credentials, timeout_s: float) -> None:
        """Connect when something is asked.

        Args:
            place: the bucket.
            credentials: the user.
            timeout_s: how long an engine may say nothing.
        """
        self._place = place
        self._provider = StaticProvider(credentials.access_key, credentials.secret_key, credentials.session_token)
        self._timeout = urllib3.Timeout(connect=_CONNECT_S, read=timeout_s)
        self._lock = threading.Lock()
        self._owner = -1

    def put(self, name: str, spool: Spool, locked_until: datetime | None) -> tuple[Address, str]:
        """Store an object, locked from its first moment; give its address and the engine's tag of its bytes."""
        headers = {"Content-Length": str(spool.size), "Content-MD5": b64encode(spool.md5).decode()}
        if locked_until is not None:
            headers |= {_MODE: COMPLIANCE, _UNTIL: f"{locked_until:%Y-%m-%dT%H:%M:%SZ}"}
        with translated(self._place.label, name):
            response = self._send(name, spool, headers)
            version, tag = (response.headers.get(header, "") for header in ("x-amz-version-id", "ETag"))
        if response.status != HTTPStatus.OK:
            raise of_answer(self._place.label, name, response.status, _code_of(response.data))
        if not version or version == "null":
            raise unfaithful(self._place.label, "versions")
        return Address(name, version), tag.strip('"')

    def stat(self, address: Address) -> Facts:
        """Say what stands at an address. NotFoundError where nothing does."""
        with translated(self._place.label, address.name):
            found = self._client.stat_object(self._place.bucket, self._key(address.name), version_id=address.version)
            headers = found.metadata or {}
            locked_until = _instant(headers[_UNTIL]) if headers.get(_MODE) == COMPLIANCE else None
            return Facts(address, found.size or 0, locked_until, headers.get(_HOLD) == "ON")

    def read(self, address: Address, offset: int, count: int) -> BaseHTTPResponse:
        """Begin to read a range, at least a byte; the caller reads the answer and releases it."""
        with translated(self._place.label, address.name):
            return self._client.get_object(
                self._place.bucket, self._key(address.name), offset, count, version_id=address.version
            )

    def lock(self, address: Address, until: datetime, mode: str = COMPLIANCE) -> None:
        """Ask that an object be locked until an instant."""
        with translated(self._place.label, address.name):
            self._client.set_object_retention(
                self._place.bucket, self._key(address.name), Retention(mode, until), version_id=address.version
            )

    def hold(self, address: Address, *, on: bool) -> None:
        """Set or lift a legal hold."""
        set_hold = self._client.enable_object_legal_hold if on else self._client.disable_object_legal_hold
        with translated(self._place.label, address.name):
            set_hold(self._place.bucket, self._key(address.name), version_id=address.version)

    def delete(self, address: Address) -> None:
        """Delete one version."""
        with translated(self._place.label, address.name):
            self._client.remove_object(self._place.bucket, self._key(address.name), version_id=address.version)

    def versions(self, name_prefix: str = "") -> Iterator[tuple[Address, Object]]:
        """List every version and marker whose name begins so."""
        with translated(self._place.label):
            for found in self._client.list_objects(
                self._place.bucket, self._key(name_prefix), recursive=True, include_version=True
            ):
                name = (found.object_name or "").removeprefix(self._place.prefix)
                yield Address(name, found.version_id), found

    def is_versioned(self) -> bool:
        """Whether the bucket keeps every version."""
        with translated(self._place.label):
            return self._client.get_bucket_versioning(self._place.bucket).status == "Enabled"

    def require_lockable(self) -> None:
        """Raise what the engine says where the bucket knows no locks."""
        with translated(self._place.label):
            self._client.get_object_lock_config(self._place.bucket)

    def now(self) -> datetime:
        """Ask the engine for its clock, in whole seconds: that clock decides when a lock lapses."""
        with translated(self._place.label):
            response = self._http.request("HEAD", self._url("").geturl())
            return parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)

    def _send(self, name: str, spool: Spool, headers: dict[str, str]) -> BaseHTTPResponse:
        url, now = self._url(name), datetime.now(UTC)  # noqa: TID251 - a signature holds for the present only
        signed = sign_v4_s3(
            method="PUT",
            url=url,
            region=self._place.region,
            headers={
                **headers,
                "Host": url.netloc,
                "x-amz-content-sha256": _UNSIGNED,
                "x-amz-date": to_amz_date(now),
            },
            credentials=self._provider.retrieve(),
            content_sha256=_UNSIGNED,
            date=now,
        )
        return self._http.urlopen("PUT", url.geturl(), body=spool.body(), headers=signed, redirect=False)

    def _key(self, name: str) -> str:
        return self._place.prefix + name

    def _url(self, name: str) -> SplitResult:
        scheme = "https" if self._place.is_secure else "http"
        path = f"/{self._place.bucket}/{quote(self._key(name))}" if name else "/"
        return SplitResult(scheme, self._place.endpoint, path, "", "")

    @property
    def _client(self) -> Minio:
        self._connect()
        return self._minio

    @property
    def _http(self) -> urllib3.PoolManager:
        self._connect()
        return self._pool

    def _connect(self) -> None:
        """Make connections of this process's own: a child must not write into its parent's."""
        with self._lock:
            if self._owner == os.getpid():
                return
            authorities = None if self._place.authorities is None else str(self._place.authorities)
            self._pool = urllib3.PoolManager(
                maxsize=_CONNECTIONS,
                timeout=self._timeout,
                retries=False,
                cert_reqs="CERT_REQUIRED",
                ca_certs=authorities,
            )
            self._minio = Minio(
                self._place.endpoint,
                secure=self._place.is_secure,
                region=self._place.region,
                http_client=self._pool,
                credentials=self._provider,
            )
            self._owner = os.getpid()


def _instant(text: str) -> datetime:
    """Read an engine's date; some write nanoseconds, and what is below a second says nothing here."""
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)


def _code_of(body: bytes) -> str:
    """Find the code in an error's XML, which is small; nothing where it is not XML."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat expands no external entities, and limits others
    except ET.ParseError:
        return ""
    return next((element.text or "" for element in root.iter() if element.tag.rpartition("}")[2] == "Code"), "")

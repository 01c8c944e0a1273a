"""Events: what happened, as canonical JSON (RFC 8785), the entries of the ledgers.

Pure. The open part of an event holds codes, ids, salted commitments, numbers, times, and actors by number. What may
point to a person goes to the sealed part, of which the entry holds only a salted commitment. Who seals the part, and
under which key, is not known here.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from vault.canonical_json import Json, canonical_json
from vault.errors import IntegrityError, RefusedError

VERSION = 1
MAX_ENTRY_BYTES = 65_535  # C2SP tlog-tiles: an entry's length is a uint16
SALT_BYTES = 32


class EventKind(StrEnum):
    """Every kind of event, as `subject:object:past-verb`."""

    LEDGER_OPENED = "ledger:log:opened"
    LEDGER_RECOVERED = "ledger:log:recovered"
    VAULT_UNSEALED = "vault:key-store:unsealed"
    VAULT_SEALED = "vault:key-store:sealed"
    VAULT_BACKED_UP = "vault:backup:made"
    SECOND_DISK_MISSED = "vault:second-disk:missed"
    SECOND_DISK_RENEWED = "vault:second-disk:renewed"
    AUTHORITY_CREATED = "vault:authority:created"
    LISTENER_CERTIFIED = "vault:listener:certified"
    ROLE_GRANTED = "person:role:granted"
    CERTIFICATE_ISSUED = "station:certificate:issued"
    CERTIFICATE_REVOKED = "station:certificate:revoked"
    BUCKETS_CREATED = "bucket:keys:created"
    DEPOSIT_ACCEPTED = "record:deposit:accepted"
    CONTENT_READ = "record:content:read"
    CONTENT_REFUSED = "record:content:refused"
    RECORDS_SEARCHED = "record:index:searched"
    SEARCH_REFUSED = "record:index:refused"
    FIXITY_CHECKED = "record:fixity:checked"
    ORPHANS_SWEPT = "store:orphans:swept"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: what.
        at: when, aware.
        actor: "person:<number>", "station:<name>", "host" for somebody who named no person, or "vault".
        body: codes, ids, commitments, numbers and times.
        user_id: the operating system's user, where the act came from the vault's own host.
    """

    kind: EventKind
    at: datetime
    actor: str
    body: Mapping[str, Json]
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as read back from a ledger; `part` is the commitment to its sealed part, 32 bytes, where it has one."""

    event: Event
    part: bytes | None


def encode_entry(event: Event, part: bytes | None = None) -> bytes:
    """Give the canonical JSON of an event: the bytes whose leaf is in the tree.

    Args:
        event: what happened.
        part: commitment to its sealed part (`commit`), or None.

    Raises:
        RefusedError: the entry would be longer than 65,535 bytes.

    Source: RFC 8785; docs/formats.md, "Events".
    """
    fields: dict[str, Json] = {
        "actor": event.actor,
        "at": format_instant(event.at),
        "body": event.body,
        "kind": event.kind.value,
        "v": VERSION,
    }
    if part is not None:
        fields["part"] = part.hex()
    if event.user_id is not None:
        fields["user_id"] = event.user_id
    entry = canonical_json(fields)
    if len(entry) > MAX_ENTRY_BYTES:
        raise RefusedError("event-too-large", size=len(entry))
    return entry


def decode_entry(entry: bytes) -> Entry:
    """Read an entry back.

    Raises:
        IntegrityError: it is not an event of this version.
    """
    try:
        fields = json.loads(entry)
        if fields["v"] != VERSION:
            raise IntegrityError("event-malformed")
        at, user_id = parse_instant(fields["at"]), fields.get("user_id")
        event = Event(EventKind(fields["kind"]), at, fields["actor"], fields["body"], user_id)
        part = fields.get("part")
        return Entry(event, bytes.fromhex(part) if part is not None else None)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("event-malformed") from error


def commit(salt: bytes, part: Mapping[str, Json]) -> bytes:
    """Commit to a sealed part: SHA-256(salt ‖ canonical JSON); `salt` is 32 random bytes, sealed with the part."""
    return hashlib.sha256(salt + canonical_json(part)).digest()


def format_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as `2026-11-21T09:00:00.000000Z`."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant that names its offset.

    Raises:
        ValueError: it is not one, or has no offset.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(text)
    return instant.astimezone(UTC)

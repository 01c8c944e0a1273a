"""A backup's manifest: every file with its SHA-256 and length, as canonical JSON. Pure.

    {"files": {"kura.db": {"bytes": 4096, "sha256": "…"}, …}, "made_at": "…", "v": 1, "vault": "<16 hex digits>"}

Where an HSM keeps the keys, "keys": "hsm" says so, and the key file is that of the keys it wrapped, or absent.

Names are those of the backup's own layout; no other name is accepted, so that no manifest leads out of the folder.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self, get_args

from vault.canonical_json import Json, canonical_json
from vault.errors import IntegrityError
from vault.ledger.event import format_instant, parse_instant

VERSION = 1
DATABASE, KEY_FILE, SETTINGS = "kura.db", "keys/store", "kura.toml"
Keeper = Literal["file", "hsm"]
"""Who keeps the keys: the key file, which is in the backup; or an HSM, whose keys are in none."""
_OBJECT = re.compile(r"objects/([01])/([0-9a-f]{2})/([0-9a-f]{32})")
_LEDGER = re.compile(r"ledgers(/[a-z0-9_][A-Za-z0-9._-]*)+")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BackedUp:
    """One file of a backup."""

    byte_count: int
    sha256: str  # hex


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    vault_id: str
    made_at: datetime
    files: Mapping[str, BackedUp]
    keys: Keeper = "file"

    def encode(self) -> bytes:
        """Write the manifest: canonical, so that its digest names it."""
        values: dict[str, Json] = {
            "files": {name: {"bytes": file.byte_count, "sha256": file.sha256} for name, file in self.files.items()},
            "made_at": format_instant(self.made_at),
            "v": VERSION,
            "vault": self.vault_id,
        }
        return canonical_json(values if self.keys == "file" else values | {"keys": self.keys})

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Read what `encode` wrote.

        Raises:
            IntegrityError: `backup-manifest-malformed`, also for a name that no backup has.
        """
        try:
            values = json.loads(text)
            files = {str(name): BackedUp(file["bytes"], file["sha256"]) for name, file in values["files"].items()}
            keys = values.get("keys", "file")
            manifest = cls(values["vault"], parse_instant(values["made_at"]), files, keys)
            is_sound = manifest.encode() == text and all(_is_sound(name, file) for name, file in files.items())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise IntegrityError("backup-manifest-malformed") from error
        needed = {DATABASE, SETTINGS} if keys == "hsm" else {DATABASE, KEY_FILE, SETTINGS}
        if not is_sound or keys not in get_args(Keeper) or not needed <= set(files):
            raise IntegrityError("backup-manifest-malformed")
        return manifest


def objects_digest(files: Mapping[str, BackedUp]) -> str:
    """Commit to the objects of a backup: hex SHA-256 of the canonical JSON of their names and digests."""
    objects = {name: file.sha256 for name, file in files.items() if _OBJECT.fullmatch(name)}
    return hashlib.sha256(canonical_json(objects)).hexdigest()


def object_file(store: int, name: str) -> str:
    """Name an object's file in a backup."""
    return f"objects/{store}/{name[:2]}/{name}"


def store_of(name: str) -> int | None:
    """Say to which store (0 or 1) a file of a backup belongs; None where it is no object."""
    match = _OBJECT.fullmatch(name)
    return int(match[1]) if match and match[3].startswith(match[2]) else None


def _is_sound(name: str, file: BackedUp) -> bool:
    known = name in (DATABASE, KEY_FILE, SETTINGS) or store_of(name) is not None or _is_ledger_file(name)
    return known and file.byte_count >= 0 and _DIGEST.fullmatch(file.sha256) is not None


def _is_ledger_file(name: str) -> bool:
    return _LEDGER.fullmatch(name) is not None and ".." not in name

"""The bytes of the file of disposal keys wrapped under an HSM's root key; no device and no disk here.

    kura-wrapped-keys
    {"format":1,"generation":…,"keys":{"<id>":"<wrapped>",…},"root":"<id>","tombstones":{"<id>":<microseconds>,…}}
    <seal>

Two lines of text and a third, each with a line feed; ids and bytes in hex; the second is canonical JSON (RFC 8785).
Each key is AES-KWP under the root key, and so is the seal: of the SHA-256 of all before it. Without the root key
nobody makes a file that is taken, and no file opens whose root key is destroyed.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from vault.canonical_json import Json, canonical_json
from vault.errors import IntegrityError

_MAGIC = b"kura-wrapped-keys\n"
_FORMAT = 1
_ID = re.compile(r"[0-9a-f]{32}")
_WRAPPED_BYTES = 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class WrappedKeys:
    """What the file says.

    Attributes:
        generation: 1 for the first writing, one more for each further one.
        root: id of the root key.
        keys: disposal keys by id, each wrapped (40 bytes).
        tombstones: when each destroyed key was destroyed (UTC).
    """

    generation: int
    root: str
    keys: Mapping[str, bytes]
    tombstones: Mapping[str, datetime]

    def body(self) -> bytes:
        """Give all that stands before the seal."""
        fields: dict[str, Json] = {
            "format": _FORMAT,
            "generation": self.generation,
            "keys": {key_id: wrapped.hex() for key_id, wrapped in self.keys.items()},
            "root": self.root,
            "tombstones": {
                key_id: (at - _EPOCH) // timedelta(microseconds=1) for key_id, at in self.tombstones.items()
            },
        }
        return _MAGIC + canonical_json(fields) + b"\n"

    def digest(self) -> bytes:
        """Give what the seal is of: 32 bytes."""
        return hashlib.sha256(self.body()).digest()

    def encode(self, seal: bytes) -> bytes:
        """Give the file's bytes."""
        return self.body() + seal.hex().encode() + b"\n"


def parse_wrapped_keys(data: bytes) -> tuple[WrappedKeys, bytes]:
    """Read what `encode` gave; nothing of it is proven before the seal is. Gives the seal beside it.

    Raises:
        IntegrityError: `wrapped-keys-damaged`.
    """
    body, _, seal_line = data.removesuffix(b"\n").rpartition(b"\n")
    try:
        fields = json.loads(body.removeprefix(_MAGIC))
        keys = {_id(key_id): bytes.fromhex(wrapped) for key_id, wrapped in fields["keys"].items()}
        tombstones = {_id(key_id): _EPOCH + at * _MICROSECOND for key_id, at in fields["tombstones"].items()}
        wrapped_keys = WrappedKeys(fields["generation"], _id(fields["root"]), keys, tombstones)
        seal = bytes.fromhex(seal_line.decode("ascii"))
        is_sound = wrapped_keys.encode(seal) == data and {len(key) for key in keys.values()} <= {_WRAPPED_BYTES}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise IntegrityError("wrapped-keys-damaged") from error
    if not is_sound:
        raise IntegrityError("wrapped-keys-damaged")
    return wrapped_keys, seal


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError(text)
    return text

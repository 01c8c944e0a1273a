"""Small things sealed under a key that also serves for something else: a record's metadata, an event's sealed part.

Pure. Each use derives a key of its own, so that no two formats share one. Layout: nonce[12] ‖ AES-256-GCM.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from vault.errors import IntegrityError

NONCE_BYTES = 12
METADATA = "kura/metadata/v1"
EVENT_PART = "kura/event-part/v1"


def seal_small(key: bytes, purpose: str, bound_to: bytes, plaintext: bytes, *, nonce: bytes) -> bytes:
    """Seal a small plaintext.

    Args:
        key: 32 bytes, uniformly random.
        purpose: what it is: the label that the working key is derived with.
        bound_to: associated data; opening needs the same.
        plaintext: what to seal.
        nonce: 12 random bytes, fresh for each call.
    """
    return nonce + _cipher(key, purpose).encrypt(nonce, plaintext, bound_to)


def open_small(key: bytes, purpose: str, bound_to: bytes, sealed: bytes) -> bytes:
    """Open what `seal_small` gave.

    Raises:
        IntegrityError: it is not what was sealed, or not with this key, purpose and associated data.
    """
    try:
        return _cipher(key, purpose).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError) as error:
        raise IntegrityError("sealed-part-altered", purpose=purpose) from error


def _cipher(key: bytes, purpose: str) -> AESGCM:
    return AESGCM(HKDFExpand(SHA256(), 32, purpose.encode()).derive(key))

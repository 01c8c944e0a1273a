"""AES-KWP (RFC 5649) as every key store does it, in software or in a device; leaves out which keys there are.

Only whole blocks of 8 bytes are wrapped, as keys have: for these the wrapping depends on key and plaintext alone, is 8
bytes longer, and is the same on every device. Other lengths devices pad in ways of their own.
"""

from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from vault.errors import IntegrityError

BLOCK_BYTES = 8


def require_blocks(plaintext: bytes) -> None:
    """Stop a caller who wraps anything but whole blocks.

    Raises:
        ValueError: it is empty, or no multiple of 8 bytes.
    """
    if not plaintext or len(plaintext) % BLOCK_BYTES:
        raise ValueError(len(plaintext))


def wrap_key(key: bytes | bytearray, plaintext: bytes) -> bytes:
    """Wrap whole blocks under an AES-256 key.

    Raises:
        ValueError: they are none.
    """
    require_blocks(plaintext)
    return aes_key_wrap_with_padding(key, plaintext)


def unwrap_key(key: bytes | bytearray, wrapped: bytes, key_id: str) -> bytes:
    """Unwrap what `wrap_key` gave.

    Args:
        key: the key.
        wrapped: what was wrapped under it.
        key_id: what the error names.

    Raises:
        IntegrityError: `wrapped-key-altered`: altered, or wrapped under another key.
    """
    try:
        plaintext = aes_key_unwrap_with_padding(key, wrapped)
    except InvalidUnwrap as error:
        raise IntegrityError("wrapped-key-altered", key_id=key_id) from error
    if len(plaintext) != len(wrapped) - BLOCK_BYTES:
        raise IntegrityError("wrapped-key-altered", key_id=key_id)
    return plaintext

"""HPKE, base mode, opening only, transcribed from RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.

It shares nothing with the product but the primitives, so that the two can be held against each other.
"""

import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEM_SUITE = b"KEM" + (0x0020).to_bytes(2, "big")
_HPKE_SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x0020, 0x0001, 0x0002))


def open_base(sealed: bytes, private_key: X25519PrivateKey, info: bytes, aad: bytes = b"") -> bytes:
    """OpenBase, section 6.1; `sealed` is the encapsulated key (32 bytes) and the ciphertext."""
    encapsulated, ciphertext = sealed[:32], sealed[32:]
    key, nonce = _key_schedule(_decapsulate(encapsulated, private_key), info)
    return AESGCM(key).decrypt(nonce, ciphertext, aad)


def _decapsulate(encapsulated: bytes, private_key: X25519PrivateKey) -> bytes:
    """Decap, section 4.1."""
    dh = private_key.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    context = encapsulated + private_key.public_key().public_bytes_raw()
    prk = _labeled_extract(_KEM_SUITE, b"", b"eae_prk", dh)
    return _labeled_expand(_KEM_SUITE, prk, b"shared_secret", context, 32)


def _key_schedule(shared_secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """KeySchedule in mode_base, section 5.1; the nonce is that of sequence number 0."""
    psk_id_hash = _labeled_extract(_HPKE_SUITE, b"", b"psk_id_hash", b"")
    info_hash = _labeled_extract(_HPKE_SUITE, b"", b"info_hash", info)
    context = b"\x00" + psk_id_hash + info_hash
    secret = _labeled_extract(_HPKE_SUITE, shared_secret, b"secret", b"")
    return (
        _labeled_expand(_HPKE_SUITE, secret, b"key", context, 32),
        _labeled_expand(_HPKE_SUITE, secret, b"base_nonce", context, 12),
    )


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def _labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    assert length <= 32
    return hmac.digest(prk, labeled + b"\x01", "sha256")[:length]

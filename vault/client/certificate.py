"""A station's key and certificate: made on the station, the key never leaving it; renewed as a pair.

Order of a renewal, and what a crash after each step leaves: `NAME.key.next` – a key without a certificate, replaced by
the next renewal; `NAME.crt.next` – a pair that `finish_renewal` puts in place; the key in place – the old certificate
beside the new key, which `finish_renewal` ends; the certificate in place – done.
"""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from vault.client.durable import move_file, replace_file
from vault.errors import RefusedError

_OTHERS = 0o077


def write_new_key(path: Path, name: str) -> bytes:
    """Make a key (P-256, mode 0600) and give the request to certify it (PEM) under a name."""
    key = generate_private_key(SECP256R1())
    replace_file(path, [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256()).public_bytes(Encoding.PEM)


def check_pair(key: Path, certificate: bytes, authority: bytes, name: str) -> x509.Certificate:
    """Give a certificate (PEM) that is of this key and this station, by the vault's authority; at whatever time.

    Raises:
        RefusedError: `station-key-readable`, others than its owner may read the key; `station-pair-differs`.
        OSError: the key cannot be read.
    """
    if key.stat().st_mode & _OTHERS:
        raise RefusedError("station-key-readable", name=key.name)
    try:
        issued, issuer = x509.load_pem_x509_certificate(certificate), x509.load_pem_x509_certificate(authority)
        issued.verify_directly_issued_by(issuer)
        own = load_pem_private_key(key.read_bytes(), None).public_key()
        named = [attribute.value for attribute in issued.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except (ValueError, TypeError, InvalidSignature) as error:
        raise RefusedError("station-pair-differs", name=name) from error
    if _spki(own) != _spki(issued.public_key()) or named != [name]:
        raise RefusedError("station-pair-differs", name=name)
    return issued


def is_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Tell whether less than a third of a certificate's life is left."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return end - now < (end - begin) / 3


def pending(path: Path) -> Path:
    """Say where the successor of a key or certificate waits."""
    return path.with_name(path.name + ".next")


def finish_renewal(key: Path, certificate: Path, authority: bytes, name: str) -> None:
    """Put a renewed pair in place, where one is whole; errors as `check_pair`."""
    if not pending(certificate).exists():
        return
    issued = pending(certificate).read_bytes()
    if pending(key).exists():
        check_pair(pending(key), issued, authority, name)
        move_file(pending(key), key)
    check_pair(key, issued, authority, name)
    move_file(pending(certificate), certificate)


def _spki(key: object) -> bytes:
    """Give a public key in its one encoding."""
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]  # every kind has it
    return encoded

"""What a station makes for itself: its key, and the request to have it certified."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey


def station_key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


def signing_request(key: PrivateKey | None = None, name: str = "anything") -> bytes:
    """Ask for a certificate of `key`, or of a new one, in PEM."""
    key = key or station_key()
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    return builder.sign(key, None if isinstance(key, Ed25519PrivateKey) else SHA256()).public_bytes(Encoding.PEM)

"""The X.509 certificates of the vault's own authority: its own, those of stations, and that of its listener. Pure.

The authority's private key stays in the key store, which signs: certificates are built here around its signature.
Keys are NIST P-256, for that is what every TLS library of every supplier has; a station may bring others.

Sources: RFC 5280 (profile), RFC 2986 (requests), RFC 5758 section 3.2 (ecdsa-with-SHA256).
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vault.errors import RefusedError

STATION_LIFETIME = timedelta(days=30)
LISTENER_LIFETIME = timedelta(days=397)
_AUTHORITY_LIFETIME = timedelta(days=20 * 365)
_SKEW = timedelta(minutes=5)  # a station whose clock is behind must not find its certificate in the future
_LEAST_RSA_BITS = 3072
_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")  # AlgorithmIdentifier, DER
_SEQUENCE, _BIT_STRING, _LONG_LENGTH = 0x30, 0x03, 0x80

Sign = Callable[[bytes], bytes]
PublicKey = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey


@dataclass(frozen=True, slots=True)
class Authority:
    """The vault's authority: its certificate (DER), and how the key store signs for it (ECDSA with SHA-256, DER)."""

    certificate: bytes
    sign: Sign


def new_authority(
    vault_id: str, public_key: EllipticCurvePublicKey, sign: Sign, now: datetime, serial: int
) -> Authority:
    """Make the authority's own certificate.

    Args:
        vault_id: the vault's, in the name of the authority.
        public_key: its public half, on P-256.
        sign: signs with the private half.
        now: the present instant.
        serial: random, of at most 159 bits.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Kura {vault_id}")])
    builder = (
        _builder(name, name, public_key, now, _AUTHORITY_LIFETIME, serial)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
    )
    return Authority(_signed(builder, sign), sign)


def station_certificate(authority: Authority, public_key: PublicKey, station: str, now: datetime, serial: int) -> bytes:
    """Certify a station's key for 30 days; give the certificate (DER).

    Args:
        authority: who certifies.
        public_key: from the station's request.
        station: its name; what the request calls itself is not taken over.
        now: the present instant.
        serial: random, of at most 159 bits.
    """
    return _leaf(authority, public_key, station, [], ExtendedKeyUsageOID.CLIENT_AUTH, now, STATION_LIFETIME, serial)


def listener_certificate(
    authority: Authority, public_key: PublicKey, hosts: Sequence[str], now: datetime, serial: int
) -> bytes:
    """Certify the key of the stations' listener for 397 days, for host names and addresses; give it (DER)."""
    names = [_host(host) for host in hosts]
    return _leaf(
        authority, public_key, hosts[0], names, ExtendedKeyUsageOID.SERVER_AUTH, now, LISTENER_LIFETIME, serial
    )


def key_to_certify(request: bytes) -> PublicKey:
    """Read a certificate signing request (PEM or DER) and give the key whose holder made it.

    Raises:
        RefusedError: `csr-malformed`: it is none, or its signature is not by that key; `csr-key-refused`: a kind of
            key that is not taken (P-256, P-384, Ed25519, RSA of 3,072 bits or more are).
    """
    try:
        read = x509.load_pem_x509_csr if request.lstrip().startswith(b"-----") else x509.load_der_x509_csr
        parsed = read(request)
        key = parsed.public_key()
        is_its_holders = parsed.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RefusedError("csr-malformed") from error
    if not is_its_holders:
        raise RefusedError("csr-malformed")
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1 | SECP384R1):
        return key
    if isinstance(key, Ed25519PublicKey) or (isinstance(key, RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS):
        return key
    raise RefusedError("csr-key-refused")


def fingerprint(certificate: bytes) -> str:
    """Name a certificate (DER): hex of its SHA-256."""
    return hashlib.sha256(certificate).hexdigest()


def pem(certificate: bytes) -> str:
    """Write a certificate (DER) as PEM."""
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM).decode("ascii")


def valid_until(certificate: bytes) -> datetime:
    """Say until when a certificate (DER) is good."""
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc


def _leaf(
    authority: Authority,
    public_key: PublicKey,
    common_name: str,
    hosts: Sequence[x509.GeneralName],
    usage: x509.ObjectIdentifier,
    now: datetime,
    lifetime: timedelta,
    serial: int,
) -> bytes:
    issuer = x509.load_der_x509_certificate(authority.certificate)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        _builder(name, issuer.subject, public_key, now, lifetime, serial)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return _signed(builder, authority.sign)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, now: datetime, lifetime: timedelta, serial: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, sign: Sign) -> bytes:
    """Sign what is built. The library signs with keys it holds: a passing one of the same kind gives the form."""
    form = builder.sign(generate_private_key(SECP256R1()), SHA256()).tbs_certificate_bytes
    signature = _der(_BIT_STRING, b"\0" + sign(form))
    return _der(_SEQUENCE, form + _ECDSA_WITH_SHA256 + signature)


def _der(tag: int, content: bytes) -> bytes:
    """Encode one value (X.690, 8.1.3: definite lengths, as short as they go)."""
    size = len(content)
    if size < _LONG_LENGTH:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG_LENGTH | len(length)]) + length + content


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return x509.DNSName(host)
    return x509.IPAddress(address)

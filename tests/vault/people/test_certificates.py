"""The authority's certificates: as openssl and an independent path builder read them, and for whose keys."""

import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from ledger_vectors import refused
from station_keys import PrivateKey, signing_request, station_key

from vault.errors import RefusedError
from vault.people.certificates import (
    Authority,
    fingerprint,
    key_to_certify,
    listener_certificate,
    new_authority,
    pem,
    station_certificate,
    valid_until,
)

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
VAULT = "0123456789abcdef"


@pytest.fixture(scope="module")
def authority() -> Authority:
    key = station_key()
    return new_authority(VAULT, key.public_key(), lambda message: key.sign(message, ec.ECDSA(SHA256())), NOW, 1)


def verify(authority: Authority, certificate: bytes, at: datetime = NOW, host: str | None = None) -> None:
    """Build the path as RFC 5280 says, by the library's own verifier."""
    policy = PolicyBuilder().store(Store([x509.load_der_x509_certificate(authority.certificate)])).time(at)
    leaf = x509.load_der_x509_certificate(certificate)
    if host is None:
        policy.build_client_verifier().verify(leaf, [])
    else:
        subject = x509.DNSName(host) if host[-1].isalpha() else x509.IPAddress(ip_address(host))
        policy.build_server_verifier(subject).verify(leaf, [])


def test_openssl_accepts_a_stations_certificate_for_clients_only(authority: Authority, tmp_path: Path) -> None:
    certificate = station_certificate(authority, station_key().public_key(), "counter-1", NOW, 2)
    (tmp_path / "ca.pem").write_text(pem(authority.certificate))
    (tmp_path / "station.pem").write_text(pem(certificate))

    def openssl(purpose: str, at: datetime) -> int:
        command = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "-purpose", purpose]
        command += ["-attime", str(int(at.timestamp())), "station.pem"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert openssl("sslclient", NOW) == 0
    assert openssl("sslserver", NOW) != 0
    assert openssl("sslclient", NOW + timedelta(days=31)) != 0
    assert openssl("sslclient", NOW - timedelta(hours=1)) != 0


@pytest.mark.parametrize(
    "key",
    [station_key(), ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()],
    ids=["P-256", "P-384", "Ed25519"],
)
def test_a_stations_key_is_certified_by_name_and_for_thirty_days(authority: Authority, key: PrivateKey) -> None:
    certified = key_to_certify(signing_request(key, "whatever it calls itself"))
    certificate = station_certificate(authority, certified, "scanner-2", NOW, 77)
    read = x509.load_der_x509_certificate(certificate)
    assert read.subject.rfc4514_string() == "CN=scanner-2"
    assert read.serial_number == 77
    assert read.public_key() == key.public_key()
    assert read.fingerprint(SHA256()).hex() == fingerprint(certificate)
    assert valid_until(certificate) == NOW + timedelta(days=30)
    read.verify_directly_issued_by(x509.load_der_x509_certificate(authority.certificate))


def test_the_listeners_certificate_is_for_its_hosts(authority: Authority) -> None:
    hosts = ["kura.city.example", "192.168.10.5", "::1"]
    certificate = listener_certificate(authority, station_key().public_key(), hosts, NOW, 3)
    for host in hosts[:2]:
        verify(authority, certificate, host=host)
    for wrong in ("other.city.example", "192.168.10.6"):
        with pytest.raises(VerificationError):
            verify(authority, certificate, host=wrong)
    with pytest.raises(VerificationError):
        verify(authority, certificate)  # as a client's


def test_another_authority_of_the_same_name_vouches_for_nothing(authority: Authority) -> None:
    key = station_key()
    other = new_authority(VAULT, key.public_key(), lambda message: key.sign(message, ec.ECDSA(SHA256())), NOW, 1)
    certificate = station_certificate(other, station_key().public_key(), "counter-1", NOW, 2)
    with pytest.raises(x509.verification.VerificationError):
        verify(authority, certificate)


def test_a_station_vouches_for_nobody(authority: Authority) -> None:
    key = station_key()
    station = station_certificate(authority, key.public_key(), "counter-1", NOW, 2)
    forged = station_certificate(
        Authority(station, lambda message: key.sign(message, ec.ECDSA(SHA256()))),
        station_key().public_key(),
        "x",
        NOW,
        3,
    )
    policy = PolicyBuilder().store(Store([x509.load_der_x509_certificate(authority.certificate)])).time(NOW)
    with pytest.raises(VerificationError):
        policy.build_client_verifier().verify(
            x509.load_der_x509_certificate(forged), [x509.load_der_x509_certificate(station)]
        )


def test_requests_are_taken_in_pem_and_der() -> None:
    key = station_key()
    text = signing_request(key)
    der = x509.load_pem_x509_csr(text).public_bytes(Encoding.DER)
    assert key_to_certify(text) == key_to_certify(b"\n " + text) == key_to_certify(der) == key.public_key()


def test_a_request_that_its_key_did_not_sign_is_refused() -> None:
    der = bytearray(x509.load_pem_x509_csr(signing_request()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    with refused(RefusedError, "csr-malformed"):
        key_to_certify(bytes(der))


@pytest.mark.parametrize("request_bytes", [b"", b"-----BEGIN NOTHING-----", b"\x30\x03\x02\x01\x01", b"hello" * 100])
def test_what_is_no_request_is_refused(request_bytes: bytes) -> None:
    with refused(RefusedError, "csr-malformed"):
        key_to_certify(request_bytes)


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256K1())],
    ids=["short RSA", "another curve"],
)
def test_weak_and_unusual_keys_are_refused(key: PrivateKey) -> None:
    with refused(RefusedError, "csr-key-refused"):
        key_to_certify(signing_request(key))


def test_long_rsa_is_taken() -> None:
    key = rsa.generate_private_key(65537, 3072)
    assert key_to_certify(signing_request(key)) == key.public_key()

"""`kura station`: a request made with openssl becomes a certificate that openssl accepts; listed, renewed, revoked."""

import subprocess
from pathlib import Path

import pytest
from kura_command import Kura
from vaults import MANAGER, OPERATOR


@pytest.fixture
def csr(home: Path) -> Path:
    """Make key and request as docs say a station does."""
    command = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=counter-1", "-keyout", "station.key", "-out", "station.csr"]
    subprocess.run(command, cwd=home, check=True, capture_output=True)
    return home / "station.csr"


def enrol(kura: Kura, csr: Path, *more: str) -> None:
    ran = kura("station", "enrol", "counter-1", "--kind", "counter", "--csr", csr, "-o", "out", "--as", MANAGER, *more)
    assert ran.code == 0, ran.err


def test_a_station_gets_its_certificate_and_the_authoritys(home: Path, kura: Kura, csr: Path) -> None:
    enrol(kura, csr)
    verify = ["openssl", "verify", "-CAfile", "vault-authority.crt", "-purpose", "sslclient", "counter-1.crt"]
    assert subprocess.run(verify, cwd=home / "out", capture_output=True, check=False).returncode == 0
    shown = subprocess.run(
        ["openssl", "x509", "-in", "out/counter-1.crt", "-noout", "-pubkey"], cwd=home, capture_output=True, check=True
    )
    made = subprocess.run(["openssl", "ec", "-in", "station.key", "-pubout"], cwd=home, capture_output=True, check=True)
    assert shown.stdout == made.stdout


def test_stations_are_listed_renewed_and_revoked(home: Path, kura: Kura, csr: Path) -> None:
    enrol(kura, csr)
    renewed = kura("station", "renew", "counter-1", "--csr", csr, "-o", "again", "--as", MANAGER, "--json")
    assert renewed.code == 0
    [station] = kura("station", "list", "--as", MANAGER, "--json").json["stations"]
    assert (station["station"], station["kind"]) == ("counter-1", "counter")
    fingerprints = [certificate["fingerprint"] for certificate in station["certificates"]]
    assert renewed.json["fingerprint"] in fingerprints
    assert len(fingerprints) == 2
    revoked = kura("station", "revoke", "counter-1", "--fingerprint", fingerprints[0], "--as", MANAGER, "--json")
    assert revoked.json["revoked"] == fingerprints[:1]
    text = kura("station", "list", "--as", MANAGER).out
    assert "counter-1 (counter)" in text
    assert "revoked" in text
    assert "good until" in text
    assert kura("verify", home / "vault").code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("enrol", "counter-1", "--kind", "printer", "--csr", "station.csr", "-o", "out"), "station-kind-unknown"),
        (("enrol", "Counter 1", "--kind", "counter", "--csr", "station.csr", "-o", "out"), "station-name-malformed"),
        (("enrol", "counter-1", "--kind", "counter", "--csr", "form.pdf", "-o", "out"), "input-unreadable"),
        (("enrol", "counter-1", "--kind", "counter", "--csr", "station.key", "-o", "out"), "csr-malformed"),
        (("renew", "counter-9", "--csr", "station.csr", "-o", "out"), "station-unknown"),
        (("revoke", "counter-9"), "station-unknown"),
    ],
)
def test_what_is_wrong_is_told_and_leaves_nothing(
    home: Path, kura: Kura, csr: Path, words: tuple[str, ...], code: str
) -> None:
    del csr
    ran = kura("station", *words, "--as", MANAGER, "--json")
    assert (ran.code, ran.error_code) == (2, code)
    assert not (home / "out").exists()


def test_only_who_may_enrol_does(kura: Kura, csr: Path) -> None:
    words = ("enrol", "counter-1", "--kind", "counter", "--csr", csr, "-o", "out", "--as", OPERATOR, "--json")
    assert kura("station", *words).error_code == "not-allowed"

"""The URI that names an HSM: what is read from it, and what is refused before any device is asked."""

from pathlib import Path

import pytest
from ledger_vectors import refused

from vault.errors import RefusedError
from vault.keys.pkcs11_uri import HsmAddress, parse_hsm_uri

LEAST = "pkcs11:token=kura?module-path=/usr/lib/hsm.so&pin-source=file:/etc/kura/pin"


def test_one_line_is_enough() -> None:
    expected = HsmAddress(
        Path("/usr/lib/hsm.so"), "kura", None, Path("/etc/kura/pin"), "kura-opening", "inside", wrap_mechanism=None
    )
    assert parse_hsm_uri(LEAST) == expected
    assert parse_hsm_uri(LEAST.replace("file:/etc", "file:///etc")) == expected
    assert parse_hsm_uri(LEAST.replace("file:/etc", "/etc")) == expected


def test_everything_may_be_named() -> None:
    uri = LEAST.replace("token=kura", "serial=00%2F1;token=a%20label%3B")
    address = parse_hsm_uri(uri + "&opening-token=other&disposal-keys=outside&wrap-mechanism=0x210b")
    assert (address.token, address.serial, address.opening_token) == ("a label;", "00/1", "other")
    assert (address.keeping, address.wrap_mechanism) == ("outside", 0x210B)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "pkcs11:",
        "https:token=kura",
        LEAST.replace("token=kura", "serial=1"),
        LEAST.replace("token=kura", "token="),
        LEAST.replace("token=kura", "token=a;token=b"),
        LEAST.replace("token=kura", "token"),
        LEAST.replace("token=kura", "token=%ff"),
        LEAST.replace("token=kura", "token=kura;object=x"),
        LEAST.replace("/usr/lib", "lib"),
        LEAST.replace("file:/etc", "file:etc"),
        LEAST.replace("file:/etc", "https://host"),
        LEAST.replace("module-path=/usr/lib/hsm.so&", ""),
        LEAST.replace("&pin-source=file:/etc/kura/pin", ""),
        LEAST + "&pin-value=1234",
        LEAST + "&opening-token=kura",
        LEAST + "&disposal-keys=elsewhere",
        LEAST + "&wrap-mechanism=kwp",
        LEAST + '"\nauto_unseal = true',
    ],
)
def test_anything_else_is_refused(uri: str) -> None:
    with refused(RefusedError, "hsm-uri-wrong"):
        parse_hsm_uri(uri)

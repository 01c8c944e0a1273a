"""The key file's bytes: its parts come back, and no byte of it can change unnoticed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.errors import IntegrityError, RefusedError
from vault.keys.custodian import CustodianParameters, PassphraseParameters, ShareParameters
from vault.keys.key_file import KeyFileHeader, KeyFileSecrets, check_value, parse_key_file, seal_key_file
from vault.keys.key_parts import OpeningPart, TakingPart

CUSTODIAN, EPOCH = bytearray(b"c" * 32), bytearray(b"e" * 32)
SECRETS = KeyFileSecrets(CUSTODIAN, EPOCH, (b"n" * 12, b"m" * 12))
PASSPHRASE = PassphraseParameters(bytes(range(16)), 4)
OPENING = OpeningPart({"ab" * 16: bytearray(b"k" * 32)}, {"cd" * 16: datetime(2031, 4, 1, tzinfo=UTC)})
TAKING = TakingPart(
    {"ef" * 16: Ed25519PrivateKey.from_private_bytes(b"s" * 32)}, {"01" * 16: derive_private_key(7, SECP256R1())}
)


def key_file(parameters: CustodianParameters = PASSPHRASE) -> bytes:
    header = KeyFileHeader(generation=3, epoch=2, custodian=parameters, check_value=check_value(CUSTODIAN))
    return seal_key_file(header, OPENING, TAKING, SECRETS)


def opened(data: bytes) -> tuple[OpeningPart, TakingPart]:
    file = parse_key_file(data)
    return file.open_opening(CUSTODIAN, EPOCH), file.open_taking(EPOCH)


@pytest.mark.parametrize("parameters", [PASSPHRASE, ShareParameters(3, 5)])
def test_header_and_parts_come_back(parameters: CustodianParameters) -> None:
    data = key_file(parameters)
    header = parse_key_file(data).header
    assert header == KeyFileHeader(3, 2, parameters, check_value(CUSTODIAN))
    opening, taking = opened(data)
    assert opening == OPENING
    assert [key.private_bytes_raw() for key in taking.signing_keys.values()] == [b"s" * 32]
    assert [key.private_numbers().private_value for key in taking.certificate_keys.values()] == [7]


def test_the_file_can_be_opened_by_hand_from_its_description() -> None:
    magic, header_line, sections = key_file().split(b"\n", 2)
    header = json.loads(header_line)
    assert (magic, header["format"], header["generation"]) == (b"kura-key-store", 1, 3)
    head = magic + b"\n" + header_line + b"\n"
    opening, taking = sections[: header["opening_bytes"]], sections[header["opening_bytes"] :]
    root = HKDF(SHA256(), 32, None, b"kura key store root v1").derive(CUSTODIAN + EPOCH)
    assert AESGCM(root).decrypt(opening[:12], opening[12:], head)[4:20] == b"\xab" * 16
    taking_key = HKDF(SHA256(), 32, None, b"kura key store taking part v1").derive(EPOCH)
    assert AESGCM(taking_key).decrypt(taking[:12], taking[12:], head + opening)[4:20] == b"\xef" * 16


def test_every_flipped_bit_is_found_without_custodians() -> None:
    data = bytearray(key_file())
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            parse_key_file(bytes(data)).open_taking(EPOCH)
        data[bit // 8] ^= 1 << bit % 8


def test_a_file_cut_short_or_lengthened_is_refused() -> None:
    data = key_file()
    for other in [data + b"\x00", *(data[:end] for end in range(len(data)))]:
        with pytest.raises(IntegrityError) as caught:
            parse_key_file(other).open_taking(EPOCH)
        assert caught.value.code == "key-file-damaged"


def swap_value(field: str, value: object) -> Callable[[dict[str, object]], None]:
    return lambda header: header.update({field: value})


@pytest.mark.parametrize(
    "change",
    [
        swap_value("format", 2),
        swap_value("generation", 0),
        swap_value("generation", value=True),
        swap_value("epoch", "2"),
        swap_value("epoch", -1),
        swap_value("opening_bytes", None),
        swap_value("opening_bytes", 3),
        swap_value("check", "no hex"),
        swap_value("custodian", []),
        swap_value("custodian", {"kind": "card"}),
        swap_value("custodian", {"kind": "passphrase", "salt": "00" * 16, "scrypt_log2_n": 60}),
        swap_value("custodian", {"kind": "passphrase", "salt": "00", "scrypt_log2_n": 17}),
        swap_value("custodian", {"kind": "shares", "threshold": 2}),
    ],
)
def test_a_header_that_was_never_written_is_refused_as_damage(change: Callable[[dict[str, object]], None]) -> None:
    magic, header_line, sections = key_file().split(b"\n", 2)
    header = json.loads(header_line)
    change(header)
    with pytest.raises(IntegrityError) as caught:
        parse_key_file(b"\n".join([magic, json.dumps(header).encode(), sections]))
    assert caught.value.code == "key-file-damaged"


def test_the_epoch_alone_opens_no_disposal_key() -> None:
    file = parse_key_file(key_file())
    for secret in (bytearray(32), EPOCH):
        with pytest.raises(IntegrityError):
            file.open_opening(secret, EPOCH)


def test_the_custodians_alone_open_nothing() -> None:
    file = parse_key_file(key_file())
    with pytest.raises(IntegrityError):
        file.open_opening(CUSTODIAN, bytearray(32))
    with pytest.raises(IntegrityError):
        file.open_taking(bytearray(32))


def test_a_wrong_custodian_secret_is_told_apart_from_damage() -> None:
    header = parse_key_file(key_file()).header
    header.require(CUSTODIAN)
    with pytest.raises(RefusedError) as caught:
        header.require(bytearray(32))
    assert caught.value.code == "custodian-secret-wrong"


def test_sections_of_two_writings_do_not_go_together() -> None:
    one = key_file()
    header = KeyFileHeader(4, 2, PASSPHRASE, check_value(CUSTODIAN))
    other = seal_key_file(header, OpeningPart({}, OPENING.tombstones), TAKING, SECRETS)
    parts, others = parse_key_file(one), parse_key_file(other)
    with pytest.raises(IntegrityError):
        parse_key_file(others.header_bytes + others.opening + parts.taking).open_taking(EPOCH)

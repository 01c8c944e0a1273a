"""Spools opened by two routes: the product's reader, and Tink with a transcription of RFC 9180."""

import hashlib
import io
import json
import os
import random
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from ledger_vectors import refused
from rfc9180 import open_base
from tink_streams import tink_primitive

from vault.canonical_json import Json
from vault.errors import RefusedError
from vault.sealing.layout import OBJECT_LAYOUT
from vault.sealing.spooled import SpoolBucket, SpoolHeader, SpoolReader, SpoolWriter

PRIVATE = X25519PrivateKey.generate()
BUCKET = SpoolBucket("nishinomiya", "0f" * 16, PRIVATE.public_key().public_bytes_raw())
RECORD = "01932b0e-3c00-7abc-8def-0123456789ab"
REQUEST: dict[str, Json] = {"class": "application_form", "sequence": 7, "file_name": "申込書.pdf"}
FIRST, FULL = OBJECT_LAYOUT.first_capacity, OBJECT_LAYOUT.capacity(1)
LENGTHS = [0, 1, 5_000, FIRST - 1, FIRST, FIRST + 1, FIRST + FULL, FIRST + FULL + 1, FIRST + 2 * FULL + 17]
MAGIC = b"kura-spool/v1\n"


def content_of(length: int) -> bytes:
    return random.Random(length).randbytes(length)


def sealed(content: bytes, digest: bytes | None = None) -> bytes:
    writer = SpoolWriter(BUCKET, RECORD, REQUEST, digest or hashlib.sha256(content).digest())
    return b"".join(bytes(part) for part in writer.parts(io.BytesIO(content).readinto))


def opened(spool: bytes, private_key: X25519PrivateKey = PRIVATE, buffer_bytes: int = 100_000) -> tuple[bytes, bytes]:
    """Read a spool to its end; give its request and its content."""
    reader = SpoolReader(io.BytesIO(spool).readinto)
    request = reader.open(private_key)
    buffer, content = memoryview(bytearray(buffer_bytes)), b""
    while count := reader.read_into(buffer):
        content += buffer[:count]
    reader.finish()
    return request, content


def opened_independently(spool: bytes) -> tuple[bytes, bytes]:
    """As SPEC has it, with nothing of the product's."""
    head, content = spool.removeprefix(MAGIC).split(b"\n", 1)
    header = json.loads(head)
    info = f"kura/envelope/v1\n{header['bucket']}\n{header['envelope']}\n".encode()
    envelope_key = open_base(bytes.fromhex(header["envelope_sealed"]), PRIVATE, info)
    data_key = aes_key_unwrap_with_padding(envelope_key, bytes.fromhex(header["data_key"]))
    bound_to = [
        f"kura/spool/v1\n{part}\n{header['contract']}\n{header['id']}\n".encode() for part in ("request", "content")
    ]
    request = bytes.fromhex(header["request"])
    with tink_primitive(data_key).new_decrypting_stream(io.BytesIO(content), bound_to[1]) as stream:
        return AESGCM(data_key).decrypt(request[:12], request[12:], bound_to[0]), bytes(stream.read())


@pytest.mark.parametrize("length", LENGTHS)
def test_both_routes_give_request_and_content_back(length: int) -> None:
    content = content_of(length)
    spool = sealed(content)
    for request, plain in (opened(spool), opened_independently(spool)):
        assert json.loads(request) == REQUEST
        assert plain == content


@pytest.mark.parametrize("buffer_bytes", [1, 7, 4096])
def test_content_is_given_in_parts_of_any_size(buffer_bytes: int) -> None:
    content = content_of(5_000)
    assert opened(sealed(content), buffer_bytes=buffer_bytes)[1] == content


def test_check_opens_to_the_digest_and_no_other() -> None:
    header = SpoolReader(io.BytesIO(sealed(b"abc")).readinto).header
    header.require_digest(hashlib.sha256(b"abc").digest())
    with refused(RefusedError, "spool-content-differs"):
        header.require_digest(hashlib.sha256(b"abd").digest())


def test_no_two_spools_share_a_key_or_a_nonce() -> None:
    headers = [SpoolReader(io.BytesIO(sealed(b"abc")).readinto).header for _ in range(2)]
    for name in ("envelope", "envelope_sealed", "data_key", "request", "check_salt", "check"):
        assert getattr(headers[0], name) != getattr(headers[1], name)


def test_nothing_of_request_and_content_stands_in_the_spool() -> None:
    content = content_of(4_000)
    spool = sealed(content)
    for secret in (content[:16], content[-16:], "申込書".encode(), hashlib.sha256(content).digest()):
        assert secret not in spool
        assert secret.hex().encode() not in spool


def test_content_that_changes_while_it_is_sealed_gives_no_spool() -> None:
    with refused(RefusedError, "spool-content-differs"):
        sealed(b"changed", hashlib.sha256(b"before").digest())


def test_another_buckets_private_half_opens_nothing() -> None:
    with refused(RefusedError, "spool-altered"):
        opened(sealed(b"abc"), X25519PrivateKey.generate())


def test_any_flipped_byte_is_refused() -> None:
    spool = sealed(b"one document")
    for at in range(len(spool)):
        for bit in (0x01, 0x20, 0x80):
            flipped = bytearray(spool)
            flipped[at] ^= bit
            with pytest.raises(RefusedError):
                opened(bytes(flipped))


def test_any_truncated_or_lengthened_spool_is_refused() -> None:
    spool = sealed(b"one document")
    for length in range(len(spool)):
        with pytest.raises(RefusedError):
            opened(spool[:length])
    for extra in (b"\0", bytes(16), bytes(17), spool):
        with pytest.raises(RefusedError):
            opened(spool + extra)


def cuts() -> Iterator[int]:
    for segment_end in (1 << 20, 2 << 20):
        yield from (segment_end - 1, segment_end, segment_end + 1, segment_end + 15, segment_end + 16)


def test_a_spool_of_many_segments_cut_swapped_or_lengthened_is_refused() -> None:
    spool = sealed(content_of(FIRST + 2 * FULL))
    head = len(spool) - OBJECT_LAYOUT.sealed_length(FIRST + 2 * FULL)
    first, second, third = (spool[head + at : head + at + (1 << 20)] for at in (0, 1 << 20, 2 << 20))
    assert spool == spool[:head] + first + second + third
    altered = [spool[: head + at] for at in cuts()]
    altered += [spool[:head] + first + third + second, spool[:head] + first + second + third + third, spool + b"\0"]
    for candidate in altered:
        with refused(RefusedError, "spool-altered"):
            opened(candidate)


def test_a_reader_that_stops_early_is_told_that_there_is_more() -> None:
    reader = SpoolReader(io.BytesIO(sealed(content_of(5_000))).readinto)
    reader.open(PRIVATE)
    reader.read_into(memoryview(bytearray(4_999)))
    with refused(RefusedError, "spool-altered"):
        reader.finish()


def test_content_and_request_of_another_spool_are_refused() -> None:
    one, other = (SpoolReader(io.BytesIO(sealed(b"abc")).readinto).header.encode() for _ in range(2))
    with refused(RefusedError, "spool-altered"):
        opened(one + sealed(b"abc").removeprefix(other)[-59:])


def mutated(**members: object) -> bytes:
    values = json.loads(sealed(b"abc").removeprefix(MAGIC).split(b"\n", 1)[0])
    values |= members
    kept = {name: value for name, value in values.items() if value is not None}
    return MAGIC + json.dumps(kept, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\n",
        MAGIC,
        MAGIC + b"\n",
        MAGIC + b"{}\n",
        MAGIC + b"[]\n",
        MAGIC + b"null\n",
        MAGIC + b"\xff\n",
        MAGIC + b"[" * 16_000 + b"\n",
        MAGIC.replace(b"v1", b"v2") + mutated().removeprefix(MAGIC),
        mutated().replace(b'"id"', b' "id"'),
        mutated(id=None),
        mutated(id=RECORD.upper()),
        mutated(id="../../etc/passwd"),
        mutated(id=RECORD + "\n"),
        mutated(contract="../x"),
        mutated(bucket="0F" * 16),
        mutated(envelope=7),
        mutated(envelope_sealed="00" * 79),
        mutated(data_key="00" * 41),
        mutated(request="0" * 61),
        mutated(check_salt=""),
        mutated(check=None),
        mutated(more="1"),
        mutated(request="00" * 9_000),
    ],
    ids=range(25),
)
def test_a_head_in_another_form_is_no_spool(head: bytes) -> None:
    with refused(RefusedError, "spool-malformed"):
        SpoolReader(io.BytesIO(head + os.urandom(100)).readinto)


def test_a_request_too_long_for_the_head_is_not_sealed() -> None:
    with refused(RefusedError, "spool-malformed"):
        SpoolWriter(BUCKET, RECORD, {"file_name": "x" * 9_000}, bytes(32))


def test_the_header_reads_what_it_wrote() -> None:
    header = SpoolWriter(BUCKET, RECORD, REQUEST, bytes(32)).header
    assert SpoolHeader.decode(header.encode()) == header

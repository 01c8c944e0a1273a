"""Where one request ends and the next begins: what two readers might take differently is taken by neither."""

from collections.abc import Iterator

import pytest
import stored
import vaults
from narrow_api import PlainStation, listening
from raw_http import RawConnection, exchange, head
from wire import PDF, put, said

from vault.api import protocol
from vault.records.vault import Vault

HEALTH = head("GET", "/v1/health")
INSIDE = put()  # a whole request where a body should be
PATH = f"/v1/deposits/{vaults.new_id()}"
CHUNKED = b"%x\r\n" % len(PDF) + PDF + b"\r\n0\r\n\r\n"
LENGTH = f"Content-Length: {len(PDF)}"


def form(*fields: str, body: bytes = PDF) -> bytes:
    return head("PUT", PATH, said(), *fields) + body


MALFORMED = {
    "length and chunks": form(LENGTH, "Transfer-Encoding: chunked", body=CHUNKED),
    "chunks and length": form("Transfer-Encoding: chunked", "Content-Length: 5", body=CHUNKED),
    "length, chunks in disguise": form(LENGTH, "Transfer-Encoding: xchunked"),
    "chunks, then another encoding": form("Transfer-Encoding: chunked, identity", body=CHUNKED),
    "chunks twice, once otherwise": form("Transfer-Encoding: chunked", "Transfer-Encoding: cow", body=CHUNKED),
    "encoding after a tab": form(LENGTH, "Transfer-Encoding:\tchunked", body=CHUNKED),
    "encoding with a form feed": form("Transfer-Encoding: \x0bchunked", body=CHUNKED),
    "space before the colon": form("Transfer-Encoding : chunked", body=CHUNKED),
    "length with a space before the colon": form(f"Content-Length : {len(PDF)}"),
    "folded field": form("X-Folded: a\r\n Transfer-Encoding: chunked", LENGTH),
    "length with a sign": form(f"Content-Length: +{len(PDF)}"),
    "negative length": form("Content-Length: -1"),
    "two lengths in one": form(f"Content-Length: {len(PDF)}, {len(PDF)}"),
    "two lengths": form(LENGTH, "Content-Length: 0"),
    "the same length twice": form(LENGTH, LENGTH),
    "length in hex": form("Content-Length: 0x10"),
    "length beyond 64 bits": form("Content-Length: 18446744073709551617"),
    "length of nothing": form("Content-Length:"),
    "LF alone": form(LENGTH).replace(b"\r\n", b"\n", 3),
    "LF alone after a field": form(LENGTH).replace(b"Host: localhost\r\n", b"Host: localhost\n"),
    "CR alone": form(LENGTH).replace(b"Host: localhost\r\n", b"Host: localhost\r"),
    "null byte in a field": form(LENGTH, "X-Null: a\0b"),
    "space in the name of a field": form(LENGTH, "X Y: 1"),
    "no colon": form(LENGTH, "nonsense"),
    "chunk of no size": form("Transfer-Encoding: chunked", body=b"\r\n" + PDF),
    "chunk with a sign": form("Transfer-Encoding: chunked", body=b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk beyond 64 bits": form("Transfer-Encoding: chunked", body=b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "chunk longer than it says": form("Transfer-Encoding: chunked", body=b"5\r\nhello, world\r\n0\r\n\r\n"),
    "chunk that ends in LF": form("Transfer-Encoding: chunked", body=b"5\nhello\r\n0\r\n\r\n"),
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 10,
    "HTTP/0.9": b"GET /v1/health\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.7": b"GET /v1/health HTTP/3.7\r\n\r\n",
    "method in small letters": b"get /v1/health HTTP/1.1\r\n\r\n",
    "method of its own": b"STEAL /v1/health HTTP/1.1\r\n\r\n",
    "tunnel": b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n",
    "address without a path": b"GET https://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "space in the path": b"GET /v1/health /v1/checkpoint HTTP/1.1\r\n\r\n",
    "WebSocket": head("GET", "/v1/health", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "HTTP/2 in plain text": head("GET", "/v1/health", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
    "deposit and another protocol": form(LENGTH, "Connection: Upgrade", "Upgrade: h2c"),
    "bytes in the path": b"GET /v1/\xe8\x94\xb5 HTTP/1.1\r\n\r\n",
}


@pytest.fixture(scope="module")
def counter(shared: Vault, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainStation]:
    with listening(shared, tmp_path_factory.mktemp("served")) as api:
        yield api.station()


def require_service(counter: PlainStation) -> None:
    answer = exchange(counter, HEALTH)
    assert answer is not None
    assert answer.status == 200


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_request_ends_the_connection_and_hides_no_other(
    shared: Vault, counter: PlainStation, malformed: bytes
) -> None:
    before = stored.everything(shared)
    with RawConnection(counter) as connection:
        connection.send(malformed, INSIDE)
        answers = connection.answers()
    assert [(answer.status, answer.code) for answer in answers] in ([(400, "http-malformed")], [])
    assert all(answer.headers["connection"] == "close" for answer in answers)
    assert stored.everything(shared) == before
    require_service(counter)


FIELDS = {
    "one long field": [f"X-Long: {'a' * protocol.MAX_HEADER_BYTES}"],
    "many fields": [f"X-{number}: 1" for number in range(4_000)],
    "fields without end": [f"X-{number}: {'a' * 1_000}" for number in range(2_000)],
}


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_a_header_beyond_32_kib_is_refused(shared: Vault, counter: PlainStation, fields: list[str]) -> None:
    before = stored.everything(shared)
    answer = exchange(counter, form(LENGTH, *fields))
    assert answer is not None
    assert (answer.status, answer.code) == (431, "header-too-large")
    assert stored.everything(shared) == before
    require_service(counter)


def test_a_request_line_beyond_32_kib_is_refused(counter: PlainStation) -> None:
    answer = exchange(counter, head("GET", "/v1/" + "a" * protocol.MAX_HEADER_BYTES))
    assert answer is not None
    assert (answer.status, answer.code) == (431, "header-too-large")


def test_a_header_just_below_32_kib_is_taken(counter: PlainStation) -> None:
    answer = exchange(counter, put(said(), f"X-Long: {'a' * 31_000}"))
    assert answer is not None
    assert answer.status == 201


def test_what_follows_a_body_is_no_part_of_the_record(shared: Vault, counter: PlainStation) -> None:
    """Content-Length says where a body ends; the rest is a request of its own, and here it is none."""
    record_id = vaults.new_id()
    path = f"/v1/deposits/{record_id}"
    with RawConnection(counter) as connection:
        connection.send(put(path=path), b"the rest of a longer file")
        answers = connection.answers()
    assert [answer.status for answer in answers] in ([201, 400], [201], [400], [])
    again = exchange(counter, put(path=path))
    assert again is not None
    assert (again.status, again.json["compared"]) in ((200, True), (201, True))
    assert stored.rows(shared, "SELECT content_bytes FROM objects WHERE record_id = :id", id=record_id) == [(len(PDF),)]


def test_requests_in_one_write_are_answered_in_order(counter: PlainStation) -> None:
    ids = [vaults.new_id() for _ in range(5)]
    with RawConnection(counter) as connection:
        connection.send(*(put(path=f"/v1/deposits/{record_id}") for record_id in ids), HEALTH)
        answers = [connection.answer() for _ in range(6)]
    assert [answer.json["record"] for answer in answers[:5] if answer is not None] == ids
    assert answers[5] is not None
    assert answers[5].json["alive"]


def test_requests_in_one_write_may_be_large(counter: PlainStation) -> None:
    first, second = vaults.new_id(), vaults.new_id()
    with RawConnection(counter) as connection:
        connection.send(
            put(path=f"/v1/deposits/{first}", content=vaults.large_pdf()), put(path=f"/v1/deposits/{second}")
        )
        answers = [connection.answer() for _ in range(2)]
    assert [answer.json["record"] for answer in answers if answer is not None] == [first, second]


def test_chunks_are_taken_however_they_are_cut(counter: PlainStation) -> None:
    chunks = b"".join(b"%x;note=1\r\n%s\r\n" % (len(part), part) for part in (PDF[:1], PDF[1:700], PDF[700:]))
    answer = exchange(counter, form("Transfer-Encoding: chunked", body=chunks + b"0\r\nX-Trailer: 1\r\n\r\n"))
    assert answer is not None
    assert answer.status == 201


def test_http_1_0_gets_its_answer_and_the_end(counter: PlainStation) -> None:
    with RawConnection(counter) as connection:
        connection.send(put().replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        answers = connection.answers()
    assert [(answer.status, answer.headers["connection"]) for answer in answers] == [(201, "close")]

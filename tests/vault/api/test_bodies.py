"""Bodies that stop, break off or are refused on their way: nothing is kept, and the client sees why."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import stored
import vaults
from narrow_api import Answer, PlainStation, listening
from raw_http import RawConnection, exchange, head
from wire import BATCH, PDF, put, said

from vault.api import protocol
from vault.records.vault import Vault

LARGE = vaults.large_pdf()
SPOOLED = "Content-Type: application/vnd.kura.spooled"
PATIENCE_S = 0.4


def form(length: int, *fields: str) -> bytes:
    return head("PUT", f"/v1/deposits/{vaults.new_id()}", f"Content-Length: {length}", *(fields or [said()]))


def batch(length: int) -> bytes:
    return head("POST", BATCH, "Content-Type: application/vnd.kura.batch", f"Content-Length: {length}")


# What is sent of a body that never ends, by how the vault takes it.
UNFINISHED = {
    "nothing": form(len(PDF)),
    "small": form(len(PDF)) + PDF[:1_000],
    "all but one byte": form(len(PDF)) + PDF[:-1],
    "large": form(len(LARGE)) + LARGE[:1_500_000],
    "large, but one byte": form(len(LARGE)) + LARGE[:-1],
    "chunks": head("PUT", f"/v1/deposits/{vaults.new_id()}", said(), "Transfer-Encoding: chunked")
    + b"%x\r\n" % len(PDF)
    + PDF
    + b"\r\n",
    "half a chunk": head("PUT", f"/v1/deposits/{vaults.new_id()}", said(), "Transfer-Encoding: chunked")
    + b"%x\r\n" % len(PDF)
    + PDF[:900],
    "spool": form(len(LARGE), SPOOLED) + b"kura-spool/v1\n",
    "batch": batch(4_000_000) + b"{",
    "certificate request": head("POST", "/v1/certificate", "Content-Length: 900") + b"-----BEGIN",
}


@pytest.fixture
def counter(shared: Vault, tmp_path: Path) -> Iterator[PlainStation]:
    with listening(shared, tmp_path, patience_s=PATIENCE_S) as api:
        yield api.station(f"counter-{os.urandom(4).hex()}")


def require_service(counter: PlainStation) -> None:
    answer = exchange(counter, put())
    assert answer is not None
    assert answer.status == 201


@pytest.mark.parametrize("unfinished", UNFINISHED.values(), ids=UNFINISHED)
def test_a_body_that_stalls_is_given_up(shared: Vault, counter: PlainStation, unfinished: bytes) -> None:
    before = stored.everything(shared)
    answer = exchange(counter, unfinished)
    assert answer is not None
    assert (answer.status, answer.code, answer.headers["connection"]) == (408, "body-stalled", "close")
    assert stored.everything(shared) == before
    require_service(counter)


@pytest.mark.parametrize("is_abrupt", [False, True], ids=["the end is told", "the line breaks"])
@pytest.mark.parametrize("unfinished", UNFINISHED.values(), ids=UNFINISHED)
def test_a_body_that_breaks_off_leaves_nothing(
    shared: Vault, tmp_path: Path, unfinished: bytes, *, is_abrupt: bool
) -> None:
    with listening(shared, tmp_path) as api:
        station = api.station(f"counter-{os.urandom(4).hex()}")
        before = stored.everything(shared)
        with RawConnection(station) as connection:
            connection.send(unfinished)
            if not is_abrupt:
                connection.end()
    assert stored.everything(shared) == before  # all that was under way has ended with the listener


def test_a_trickle_is_given_up_as_well(shared: Vault, counter: PlainStation) -> None:
    """A byte now and then does not buy more time than those bytes are worth."""
    before = stored.everything(shared)
    with RawConnection(counter) as connection:
        connection.send(form(len(PDF)))
        sent = 0
        while sent < len(PDF) - 1 and not connection.has_answer(within_s=0.02):
            connection.send(PDF[sent : sent + 1])
            sent += 1
        answer = connection.answer()
    assert answer is not None
    assert (answer.status, answer.code) == (408, "body-stalled")
    assert stored.everything(shared) == before


@pytest.mark.parametrize("begun", [b"", b"PUT /v1/depo", form(9)[:-2]], ids=["nothing", "half a line", "no end"])
def test_a_header_that_stalls_is_given_up(
    shared: Vault, counter: PlainStation, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEADER_S", PATIENCE_S)
    before = stored.everything(shared)
    answer = exchange(counter, begun)
    assert answer is not None
    assert (answer.status, answer.code) == (408, "header-stalled")
    assert stored.everything(shared) == before
    monkeypatch.undo()
    require_service(counter)


def test_a_header_that_stalls_after_another_request_is_given_up(
    counter: PlainStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEADER_S", PATIENCE_S)
    with RawConnection(counter) as connection:
        connection.send(head("GET", "/v1/health"))
        first = connection.answer()
        connection.send(b"GET /v1/hea")
        second = connection.answer()
    assert first is not None
    assert second is not None
    assert (first.status, second.status, second.code) == (200, 408, "header-stalled")


REFUSED_EARLY = {
    "before its body": (form(5 << 20, said(site="moon_base")), 422, "site-unknown"),
    "too large": (form(52_428_801), 413, "content-too-large"),
    "by its first bytes": (form(5 << 20), 415, "media-type-refused"),
    "no route": (head("PUT", "/v1/nowhere", f"Content-Length: {5 << 20}"), 404, "route-unknown"),
    "no spool": (form(5 << 20, SPOOLED), 422, "spool-malformed"),
    "a method that is not taken": (head("POST", "/v1/checkpoint", f"Content-Length: {5 << 20}"), 405, None),
}


@pytest.mark.parametrize(("header", "status", "code"), REFUSED_EARLY.values(), ids=REFUSED_EARLY)
def test_a_client_that_writes_without_reading_sees_why(
    shared: Vault, counter: PlainStation, header: bytes, status: int, code: str | None
) -> None:
    before = stored.everything(shared)
    answer = exchange(counter, header, bytes(5 << 20))  # returns when all was written
    assert answer is not None
    assert (answer.status, answer.code) == (status, code or "method-not-allowed")
    assert answer.headers["connection"] == "close"
    assert stored.everything(shared) == before
    require_service(counter)


def test_a_client_that_waits_to_be_told_sends_no_body_in_vain(shared: Vault, counter: PlainStation) -> None:
    before = stored.everything(shared)
    with RawConnection(counter) as connection:
        connection.send(form(5 << 20, said(site="moon_base"), "Expect: 100-continue"))
        answer = connection.answer()
        rest = connection.answer()
    assert answer is not None
    assert (answer.status, answer.code, rest, connection.interim) == (422, "site-unknown", None, [])
    assert stored.everything(shared) == before


@pytest.mark.parametrize("content", [PDF, LARGE], ids=["small", "large"])
def test_a_client_that_waits_is_told_once_to_send(counter: PlainStation, content: bytes) -> None:
    with RawConnection(counter) as connection:
        connection.send(form(len(content), said(), "Expect: 100-continue"))
        connection.send(content)
        answer = connection.answer()
        connection.send(head("GET", "/v1/health"))
        following = connection.answer()
    assert answer is not None
    assert following is not None
    assert (answer.status, following.status, connection.interim) == (201, 200, [100])


def test_a_slow_client_holds_up_nobody_else(counter: PlainStation) -> None:
    """While as many uploads as one station may have at once are under way, its small documents are taken."""
    slow = [RawConnection(counter) for _ in range(8)]
    for connection in slow:
        connection.send(form(len(LARGE)) + LARGE[:10_000])
    require_service(counter)
    answers: list[Answer | None] = [connection.answer() for connection in slow]
    assert [answer.code for answer in answers if answer is not None] == ["body-stalled"] * 8
    for connection in slow:
        connection.__exit__(None, None, None)


def test_the_listener_ends_although_its_clients_do_not(shared: Vault, tmp_path: Path) -> None:
    with listening(shared, tmp_path, patience_s=PATIENCE_S) as api:
        station = api.station(f"counter-{os.urandom(4).hex()}")
        idle, slow = RawConnection(station), RawConnection(station)
        idle.send(head("GET", "/v1/health"))
        assert idle.answer() is not None
        slow.send(form(len(PDF)))
    with idle, slow:
        assert idle.answers() == []
        assert [answer.code for answer in slow.answers()] == ["body-stalled"]
    with pytest.raises(ConnectionError):
        RawConnection(station)

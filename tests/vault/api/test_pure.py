"""What the API reads from headers, and what a station's clock comes to: values in, values out."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
import vaults
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import refused
from narrow_api import FORM, deposit_header

from vault.api.batch import parse_batch
from vault.api.content_digest import ContentDigest, DigestCheck, parse_content_digest
from vault.api.deposit_header import decode_base64url, parse_header
from vault.api.rates import Rates
from vault.errors import KuraError, RefusedError
from vault.records.announcement import announced, parse_members
from vault.records.station_clock import by_both_clocks

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
SHA256, SHA512 = hashlib.sha256(b"x").digest(), hashlib.sha512(b"x").digest()


def item(algorithm: str, digest: bytes) -> str:
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, ContentDigest()),
        (item("sha-256", SHA256), ContentDigest(SHA256)),
        (item("sha-512", SHA512), ContentDigest(None, SHA512)),
        (f"{item('sha-512', SHA512)},\t{item('sha-256', SHA256)} ", ContentDigest(SHA256, SHA512)),
        (f"{item('md5', b'1')}, {item('sha-256', SHA256)}", ContentDigest(SHA256)),
        (item("sha", SHA256), ContentDigest()),
    ],
)
def test_a_content_digest_is_read(header: str | None, expected: ContentDigest) -> None:
    assert parse_content_digest(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "sha-256",
        "sha-256=1",
        item("sha-256", SHA256)[:-1],
        item("sha-256", SHA256[:-1]),
        item("sha-512", SHA256),
        item("SHA-256", SHA256),
        item("sha-256", SHA256) + ";q=1",
        item("sha-256", SHA256) + ",",
        item("sha-256", SHA256).replace("=:", "= :"),
        f"{item('sha-256', SHA256)}, {item('sha-256', SHA512[:32])}",
        "sha-256=:" + base64.urlsafe_b64encode(b"\xff" * 32).decode() + ":",
        item("sha-256", SHA256).replace("=:", ":", 2),
    ],
)
def test_what_is_no_content_digest_is_refused(header: str) -> None:
    with refused(RefusedError, "content-digest-malformed"):
        parse_content_digest(header)


@given(st.text())
def test_any_text_is_a_content_digest_or_refused(header: str) -> None:
    try:
        parse_content_digest(header)
    except RefusedError as error:
        assert error.code == "content-digest-malformed"  # noqa: PT017 - the other way is fine, too


@given(st.binary(max_size=300), st.integers(0, 300))
def test_a_digest_is_compared_however_the_bytes_are_cut(content: bytes, cut: int) -> None:
    digests = hashlib.sha256(content).digest(), hashlib.sha512(content).digest()
    for announced_digest in (ContentDigest(*digests), ContentDigest(digests[0]), ContentDigest(None, digests[1])):
        check = DigestCheck(announced_digest)
        for part in (content[:cut], content[cut:]):
            check.update(part)
        check.finish()
        check.update(b"more")
        with refused(RefusedError, "digest-not-as-announced"):
            check.finish()


@given(st.binary(min_size=1))
def test_base64url_is_read_as_it_is_written(content: bytes) -> None:
    text = base64.urlsafe_b64encode(content).decode().rstrip("=")
    assert decode_base64url(text) == content
    for other in (text + "=", text + "\n", " " + text, text + "A" * (-len(text) % 4 + 1)):
        if other.rstrip("A") != text:
            with pytest.raises(ValueError, match="not-base64url"):
                decode_base64url(other)


@pytest.mark.parametrize("text", ["", "=", "A", "AB", "A+B/", "AAA=", "ｱｱｱｱ", "AA\0A", "AAB"])
def test_what_is_no_base64url_is_refused(text: str) -> None:
    """Also where unused bits are set: one value has one text (RFC 4648, section 3.5)."""
    with pytest.raises(ValueError, match="not-base64url"):
        decode_base64url(text)


def test_a_header_is_what_the_station_said() -> None:
    members = {"sequence": 3, "site": "main_office", "sent_at": "2026-11-21T09:00:00+09:00"}
    said = announced("x", parse_header(deposit_header(**members)))
    assert (said.request.sequence, said.request.site, said.request.id) == (3, "main_office", "x")
    assert said.sent_at == datetime(2026, 11, 21, 0, tzinfo=UTC)
    assert said.request.clock_offset_s is None


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3)


@given(st.dictionaries(st.sampled_from([*FORM, "sequence", "site", "sent_at", "started_at", "x"]), JSON))
def test_any_members_are_a_request_or_refused(members: dict[str, object]) -> None:
    text = json.dumps(members).encode()
    try:
        said = announced("x", parse_members(text))
    except RefusedError as error:
        assert error.code == "deposit-header-malformed"  # noqa: PT017 - the other way is fine, too
    else:
        assert (said.request.class_id, said.request.site) == (members["class"], members.get("site"))


@pytest.mark.parametrize("text", [b"", b"\xff", b"1", b"null", b"[" * 50_000, b'{"a":1,"a":1}', b'{"a":NaN}', b"{}x"])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with refused(RefusedError, "deposit-header-malformed"):
        parse_members(text)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20), st.integers(1, 3))
def test_a_batch_is_cut_as_it_was_joined(contents: list[bytes], cut: int) -> None:
    lines = [json.dumps(FORM | {"id": "x", "content_bytes": len(content)}).encode() for content in contents]
    body = b"".join(line + b"\n" + content for line, content in zip(lines, contents, strict=True))
    assert [bytes(document.content) for document in parse_batch(body)] == contents
    with refused(RefusedError, "batch-malformed"):
        parse_batch(body[:-cut] if contents[-1][:-cut] else body + b"x")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_refused(body: bytes) -> None:
    with refused(KuraError, "batch-malformed"):
        parse_batch(body)


def test_by_both_clocks_the_later_time_counts() -> None:
    ended_at, started_at = NOW - timedelta(hours=3), NOW - timedelta(hours=4)
    request = vaults.request(started_at=started_at, ended_at=ended_at)
    behind = by_both_clocks(request, NOW - timedelta(hours=2), NOW)
    assert (behind.ended_at, behind.started_at) == (NOW - timedelta(hours=1), NOW - timedelta(hours=2))
    assert behind.clock_offset_s == 7200
    too_far = by_both_clocks(request, NOW - timedelta(hours=20), NOW)
    assert (too_far.ended_at, too_far.started_at) == (NOW, NOW - timedelta(hours=1))
    ahead = by_both_clocks(request, NOW + timedelta(hours=2), NOW)
    assert (ahead.ended_at, ahead.started_at, ahead.clock_offset_s) == (ended_at, started_at, -7200)


INSTANTS = st.datetimes(timezones=st.just(UTC))


@given(INSTANTS, INSTANTS, INSTANTS, st.timedeltas(timedelta(seconds=1), timedelta(days=1)))
def test_no_two_clocks_make_a_record_earlier_or_later_than_now(
    ended_at: datetime, sent_at: datetime, now: datetime, length: timedelta
) -> None:
    request = vaults.request(
        ended_at=ended_at, started_at=max(ended_at, datetime.min.replace(tzinfo=UTC) + length) - length
    )
    result = by_both_clocks(request, sent_at, now)
    if result.clock_offset_s is None:
        assert result == request
    else:
        assert result.ended_at <= now
        assert result.ended_at >= min(ended_at, now)
        assert result.started_at is not None
        assert request.started_at is not None
        assert result.ended_at - result.started_at == request.ended_at - request.started_at


def test_rates_allow_a_burst_and_then_so_many_a_second() -> None:
    now = [0.0]
    rates = Rates(per_second=2, burst=4, clock=lambda: now[0])
    for _ in range(4):
        rates.take_request("one")
    with pytest.raises(RefusedError) as caught:
        rates.take_request("one")
    assert (caught.value.code, caught.value.facts["retry_after_s"]) == ("rate-exceeded", 1)
    rates.take_request("another")
    taken = 0
    for step in range(1, 1_001):  # ten seconds
        now[0] = step / 100
        try:
            rates.take_request("one")
        except RefusedError:
            continue
        taken += 1
    assert taken == 20
    now[0] = 1e9  # long afterwards there is no more than the burst
    for _ in range(4):
        rates.take_request("one")
    with refused(RefusedError, "rate-exceeded"):
        rates.take_request("one")

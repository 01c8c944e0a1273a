"""Events as canonical JSON: one form, limits, and nothing read back that was not written."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import refused

from vault.canonical_json import Json
from vault.errors import IntegrityError, RefusedError
from vault.ledger.event import (
    MAX_ENTRY_BYTES,
    Event,
    EventKind,
    commit,
    decode_entry,
    encode_entry,
    format_instant,
    parse_instant,
)

AT = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.text(st.characters(max_codepoint=127), max_size=12)
integers = st.integers(-(2**53) + 1, 2**53 - 1)
values = st.recursive(
    st.none() | st.booleans() | integers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(names, values, max_size=4)
instants = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def event(body: dict[str, Json] | None = None, actor: str = "vault") -> Event:
    return Event(EventKind.FIXITY_CHECKED, AT, actor, body or {})


def test_an_entry_is_written_in_canonical_form() -> None:
    entry = encode_entry(event({"b": [1, None, True], "a": "蔵\n"}), bytes(range(32)))
    assert entry == (
        b'{"actor":"vault","at":"2026-11-21T09:00:00.123456Z","body":{"a":"\xe8\x94\xb5\\n","b":[1,null,true]},'
        b'"kind":"record:fixity:checked","part":"' + bytes(range(32)).hex().encode() + b'","v":1}'
    )


@given(kind=st.sampled_from(EventKind), at=instants, actor=texts, body=bodies, part=st.none() | st.binary(min_size=32))
def test_an_entry_reads_back_as_it_was(
    kind: EventKind, at: datetime, actor: str, body: dict[str, Json], part: bytes | None
) -> None:
    written = Event(kind, at, actor, body)
    entry = encode_entry(written, part)
    read = decode_entry(entry)
    assert (read.event, read.part) == (written, part)
    assert encode_entry(read.event, read.part) == entry == rfc8785.dumps(json.loads(entry))


@given(body=bodies)
def test_the_order_of_keys_does_not_matter(body: dict[str, Json]) -> None:
    assert encode_entry(event(body)) == encode_entry(event(dict(reversed(body.items()))))


def test_every_kind_is_subject_object_and_past_verb() -> None:
    for kind in EventKind:
        assert [part.replace("-", "").isalpha() for part in kind.value.split(":")] == [True] * 3


def test_an_entry_may_fill_the_limit_and_not_a_byte_more() -> None:
    room = MAX_ENTRY_BYTES - len(encode_entry(event({"x": ""})))
    assert len(encode_entry(event({"x": "y" * room}))) == MAX_ENTRY_BYTES
    with refused(RefusedError, "event-too-large"):
        encode_entry(event({"x": "y" * (room + 1)}))


@pytest.mark.parametrize("number", [2**53, -(2**53), 10**400], ids=["first not exact", "first below", "far beyond"])
def test_numbers_that_other_readers_would_round_are_not_written(number: int) -> None:
    with pytest.raises(ValueError, match="integer-too-large"):
        encode_entry(event({"x": number}))


ENTRY = json.loads(encode_entry(event({"x": 1}), bytes(32)))
MALFORMED = {
    "empty": b"",
    "not json": b"{",
    "not utf-8": b'{"actor":"\xff"}',
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "no version": {k: v for k, v in ENTRY.items() if k != "v"},
    "another version": ENTRY | {"v": 2},
    "no kind": {k: v for k, v in ENTRY.items() if k != "kind"},
    "unknown kind": ENTRY | {"kind": "record:deposit:forged"},
    "kind is a list": ENTRY | {"kind": []},
    "no actor": {k: v for k, v in ENTRY.items() if k != "actor"},
    "no body": {k: v for k, v in ENTRY.items() if k != "body"},
    "no instant": {k: v for k, v in ENTRY.items() if k != "at"},
    "instant without offset": ENTRY | {"at": "2026-11-21T09:00:00"},
    "instant is a number": ENTRY | {"at": 1},
    "part is not hex": ENTRY | {"part": "zz"},
    "part is a number": ENTRY | {"part": 1},
}


@pytest.mark.parametrize("entry", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_event_is_refused(entry: bytes | dict[str, object]) -> None:
    with refused(IntegrityError, "event-malformed"):
        decode_entry(entry if isinstance(entry, bytes) else json.dumps(entry).encode())


def test_a_commitment_hides_and_binds_the_sealed_part() -> None:
    salt, part = bytes(range(32)), {"reason": "窓口の問合せ"}
    assert commit(salt, part) == hashlib.sha256(salt + '{"reason":"窓口の問合せ"}'.encode()).digest()
    assert commit(bytes(32), part) != commit(salt, part) != commit(salt, {"reason": "other"})


@given(at=instants, hours=st.integers(-12, 14))
def test_an_instant_is_written_in_utc_and_read_back(at: datetime, hours: int) -> None:
    local = at.astimezone(timezone(timedelta(hours=hours)))
    assert format_instant(local) == format_instant(at)
    assert parse_instant(format_instant(at)) == at == parse_instant(local.isoformat())


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21", "2026-11-21T09:00:00", "2026-13-01T00:00:00Z"])
def test_an_instant_without_offset_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library's own texts differ
        parse_instant(text)

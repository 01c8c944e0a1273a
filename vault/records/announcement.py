"""What a station says of a record, in JSON: in the Kura-Deposit header, a line of a batch, or a spool. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from vault.errors import RefusedError
from vault.ledger.event import parse_instant
from vault.records.request import DepositRequest

T = TypeVar("T")
_MEMBERS = frozenset(
    {"class", "ended_at", "file_name", "sent_at", "sequence", "site", "started_at", "subject_key", "title_code"}
)


@dataclass(frozen=True, slots=True)
class Announced:
    """A request as the station sent it, and when its clock said that it did."""

    request: DepositRequest
    sent_at: datetime | None


def parse_members(text: bytes) -> dict[str, Any]:
    """Read a JSON object that names no member twice.

    Raises:
        RefusedError: `deposit-header-malformed`.
    """
    try:
        members = json.loads(text.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _malformed("it is not JSON in UTF-8 that names each member once") from error
    if not isinstance(members, dict):
        raise _malformed("it is not a JSON object")
    return members


def announced(record_id: str, members: Mapping[str, Any], class_id: str | None = None) -> Announced:
    """Give what is said of a record.

    Args:
        record_id: the record.
        members: of the JSON object.
        class_id: the record's class where the route says it; then the members do not.

    Raises:
        RefusedError: `deposit-header-malformed`, naming the member.
    """
    known = _MEMBERS if class_id is None else _MEMBERS - {"class"}
    if not known.issuperset(members):
        raise _malformed("it has a member that is not known")
    ended_at = _member(members, "ended_at", parse_instant)
    if ended_at is None:
        raise _malformed("ended_at is missing")
    if class_id is None:
        class_id = _member(members, "class", _text)
        if class_id is None:
            raise _malformed("class is missing")
    request = DepositRequest(
        id=record_id,
        class_id=class_id,
        subject_key=_member(members, "subject_key", _text),
        started_at=_member(members, "started_at", parse_instant),
        ended_at=ended_at,
        site=_member(members, "site", _text),
        sequence=_member(members, "sequence", _number),
        title_code=_member(members, "title_code", _text),
        file_name=_member(members, "file_name", _text),
    )
    return Announced(request, _member(members, "sent_at", parse_instant))


def _member(members: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> T | None:
    if name not in members:
        return None
    try:
        return read(members[name])
    except (ValueError, TypeError, OverflowError) as error:
        raise RefusedError("deposit-header-malformed", reason=f"{name} is not what it should be") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # a lone surrogate is no text
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    if value < 1:  # stations count from 1: what begins before would not show as missing
        raise ValueError
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("named-twice")
    return members


def _no_number(constant: str) -> float:
    raise ValueError(constant)


def _malformed(reason: str) -> RefusedError:
    return RefusedError("deposit-header-malformed", reason=reason)

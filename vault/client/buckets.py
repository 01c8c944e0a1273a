"""The buckets' public halves, kept for the hour when the vault cannot be reached. Pure but for the station's state."""

import json
import re
from datetime import date, datetime, timedelta, timezone

from vault.client.state import State
from vault.errors import IntegrityError, UnavailableError
from vault.sealing.spooled import SpoolBucket

_JST = timezone(timedelta(hours=9))
_BUCKETS, _FETCHED_AT = "buckets", "buckets_fetched_at"
_LIFETIME = timedelta(days=1)


def are_stale(state: State, now: datetime) -> bool:
    """Tell whether the buckets are older than a day, from the future, or not there."""
    fetched_at = state.told(_FETCHED_AT)
    return fetched_at is None or not timedelta(0) <= now - datetime.fromisoformat(fetched_at) < _LIFETIME


def keep_buckets(state: State, body: bytes, now: datetime) -> None:
    """Keep what the vault answered.

    Raises:
        IntegrityError: `vault-answer-malformed`.
    """
    try:
        values = [
            (str(one["class"]), _day(one["first_day"]), _day(one["last_day"]), one["bucket"], one["public_key"])
            for one in json.loads(body)["buckets"]
        ]
        if not all(re.fullmatch("[0-9a-f]{32}", one[3]) and re.fullmatch("[0-9a-f]{64}", one[4]) for one in values):
            raise IntegrityError("vault-answer-malformed")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError("vault-answer-malformed") from error
    state.tell(_BUCKETS, json.dumps(values))
    state.tell(_FETCHED_AT, now.isoformat())


def bucket_for(state: State, contract: str, class_id: str, ended_at: datetime) -> SpoolBucket:
    """Give the bucket of a class and the Japanese day on which a record ends; `ended_at` is exclusive.

    Raises:
        UnavailableError: `spool-bucket-missing`.
    """
    day = (ended_at.astimezone(_JST) - timedelta(microseconds=1)).date().isoformat()
    for of_class, first, last, bucket, public_key in json.loads(state.told(_BUCKETS) or "[]"):
        if of_class == class_id and first <= day <= last:
            return SpoolBucket(contract, bucket, bytes.fromhex(public_key))
    raise UnavailableError("spool-bucket-missing", record_class=class_id, day=day)


def _day(text: str) -> str:
    return date.fromisoformat(text).isoformat()

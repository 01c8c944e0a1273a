"""A station's clock against the vault's: what counts where they differ. Pure.

A deposit says when it was sent by the station's clock. Up to a minute apart, times count as given; beyond that the
later time counts, that a record is never destroyed early for a clock that was behind – but never one still to come.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from vault.records.request import DepositRequest

_TOLERANCE = timedelta(minutes=1)


def by_both_clocks(request: DepositRequest, sent_at: datetime | None, now: datetime) -> DepositRequest:
    """Give the request with the times that count, and the offset where it counts; a recording keeps its length.

    Args:
        request: as the station sent it.
        sent_at: when it was sent by the station's clock, aware; None where it did not say.
        now: when it came by the vault's clock.
    """
    if sent_at is None or abs(now - sent_at) <= _TOLERANCE:
        return request
    offset = now - sent_at
    try:
        ended_at = min(max(request.ended_at, request.ended_at + offset), now)
        shift = ended_at - request.ended_at
        started_at = None if request.started_at is None else request.started_at + shift
    except OverflowError:  # no calendar has such a time: refused as it is
        return request
    return replace(request, started_at=started_at, ended_at=ended_at, clock_offset_s=round(offset.total_seconds()))

"""How much a station may ask at a time: a bucket of tokens for each, filled as time passes. One event loop uses it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from vault.errors import RefusedError


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Rates:
    """Counts the requests of each station."""

    def __init__(self, per_second: float, burst: float, clock: Callable[[], float]) -> None:
        """Allow so many a second in the long run, and so many at once; `clock` gives monotonic seconds."""
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._buckets: dict[str, _Bucket] = {}

    def take_request(self, station: str) -> None:
        """Count a request.

        Raises:
            RefusedError: `rate-exceeded`, saying when the next will be taken.
        """
        now = self._clock()
        bucket = self._buckets.setdefault(station, _Bucket(self._burst, now))
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_at) * self._per_second)
        bucket.filled_at = now
        if bucket.tokens < 1:
            wait_s = math.ceil((1 - bucket.tokens) / self._per_second)
            raise RefusedError("rate-exceeded", station=station, retry_after_s=wait_s)
        bucket.tokens -= 1

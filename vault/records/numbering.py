"""Numbers: every station counts what it sends from 1, so that what never arrived shows as a gap.

A number is the station's own and belongs to one record. What the vault holds of a station: how far it has come, and the
numbers before that which are missing. What a station sent last and lost is not known here until it sends more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from vault.canonical_json import Json
from vault.people.actor import STATION
from vault.storage.statement import Statement
from vault.storage.tables import RecordRow

_FIRST = 1

KNOWN_NUMBER = Statement(
    select(RecordRow.id).where(RecordRow.station == bindparam("station"), RecordRow.sequence == bindparam("sequence"))
)
_NEWEST = Statement(select(func.max(RecordRow.sequence)).where(RecordRow.station == bindparam("station")))
_NUMBERS = Statement(
    select(RecordRow.sequence)
    .where(RecordRow.station == bindparam("station"), RecordRow.sequence.is_not(None))
    .order_by(RecordRow.sequence)
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What arrived of a station's numbers.

    Attributes:
        newest: the highest that arrived; 0 where none did.
        arrived: how many did.
        missing: those before `newest` that did not, as (first, last), lowest first.
    """

    newest: int
    arrived: int
    missing: Sequence[tuple[int, int]]

    def as_json(self) -> dict[str, Json]:
        """Give it for output."""
        missing: list[Json] = [list(gap) for gap in self.missing]
        return {"newest": self.newest, "arrived": self.arrived, "missing": missing}

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing before the newest."""
        return not self.missing


def numbers_of(sequences: Iterable[int]) -> Numbers:
    """Say what arrived, of numbers in ascending order without repeats."""
    missing: list[tuple[int, int]] = []
    expected, arrived = _FIRST, 0
    for number in sequences:
        if number > expected:
            missing.append((expected, number - 1))
        expected, arrived = max(expected, number + 1), arrived + 1
    return Numbers(expected - 1, arrived, missing)


def numbers_from(connection: Connection, station_name: str) -> Numbers:
    """Say what arrived from a station."""
    return numbers_of(number for (number,) in _NUMBERS.rows(connection, {"station": STATION + station_name}))


def newest_number(connection: Connection, station_name: str) -> int:
    """Say how far a station has come; 0 where nothing numbered arrived."""
    newest = _NEWEST.first(connection, {"station": STATION + station_name})
    return 0 if newest is None else newest[0] or 0

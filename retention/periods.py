"""The arithmetic of retention periods in Japanese law: dates in, dates out; no policies and no holidays.

Rules kept here (Civil Code, arts. 138-143; REQUIREMENTS section 5):

1. Days are Japanese days. Japan Standard Time is UTC+9 all year, so no time-zone table is needed.
2. The day of the event is not counted, since it is under way already (art. 140). A period that begins at 00:00, as one
   that runs from the end of a fiscal year does, counts its first day.
3. A period ends with the end of its last day (art. 141): the record is whole until 24:00, and may be destroyed from
   00:00 of the next day.
4. Months and years follow the calendar and are never 30 or 365 days (art. 143).
5. A last day on a holiday is not moved (art. 142 is for acts between people; keeping needs nobody's act).

    last = last_retained_date(trigger_date(call_ended_at), Period.parse("P6M"))
    destroy_from = disposal_date(last)
"""

import calendar
import re
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, timedelta, timezone
from typing import Final, Self

from retention.errors import PeriodError

JST: Final = timezone(timedelta(hours=9), "JST")

_MONTHS_PER_YEAR: Final = 12
_DAYS_PER_WEEK: Final = 7
_FISCAL_YEAR_FIRST_MONTH: Final = 4

_ISO_DURATION: Final = re.compile(r"P(?:([0-9]{1,6})Y)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6})W)?(?:([0-9]{1,6})D)?")
_ISO_HOURS: Final = re.compile(r"P[0-9.,YMWD]*T[0-9.,HMS]*")
_ISO_FRACTION: Final = re.compile(r"P[0-9YMWD]*[0-9][.,][0-9.,YMWD]*")
_IN_WORDS: Final = re.compile(r"([0-9]{1,6})\s*(years?|months?|weeks?|days?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time in whole days, months or years, as a contract states it.

    Weeks stand alone, as in ISO 8601. Where months and days are both given, the months run first.
    """

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no period.

        Raises:
            PeriodError: a negative part, no time at all, or weeks beside other units.
        """
        parts = (self.years, self.months, self.weeks, self.days)
        if min(parts) < 0 or not any(parts):
            message = "a period is longer than nothing"
            raise PeriodError(message, "P6M")
        if self.weeks and any((self.years, self.months, self.days)):
            message = "weeks cannot stand beside years, months or days"
            raise PeriodError(message, f"P{self.weeks * _DAYS_PER_WEEK}D")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ISO 8601 duration of years, months, weeks or days, such as `P6M`, `P5Y`, `P1Y6M`, `P2W` or `P90D`.

        Raises:
            PeriodError: not such a duration: hours, fractions, signs, zero, weeks beside other units, small letters.

        Source: ISO 8601-1:2019, section 5.5.2.
        """
        match = _ISO_DURATION.fullmatch(text)
        if match is None or not any(match.groups()):
            raise PeriodError(*_fault(text))
        years, months, weeks, days = (int(digits or 0) for digits in match.groups())
        try:
            return cls(years, months, weeks, days)
        except PeriodError as error:
            message = f'"{text}" cannot be a retention period: {error.message}'
            raise PeriodError(message, error.example) from None

    @property
    def calendar_months(self) -> int:
        """The part that follows the calendar; a year is twelve months of it."""
        return self.years * _MONTHS_PER_YEAR + self.months

    @property
    def full_days(self) -> int:
        """The part that is counted day by day."""
        return self.weeks * _DAYS_PER_WEEK + self.days

    def __str__(self) -> str:
        """Write the ISO 8601 duration; `Period.parse` reads it back."""
        parts = ((self.years, "Y"), (self.months, "M"), (self.weeks, "W"), (self.days, "D"))
        return "P" + "".join(f"{count}{unit}" for count, unit in parts if count)


def trigger_date(ended_at: datetime) -> date:
    """Give the Japanese date of the last instant of a record.

    Args:
        ended_at: aware, and exclusive: what ends at 24:00 belongs to the day that it fills. The caller knows that the
            record is not empty.

    Raises:
        PeriodError: `ended_at` has no time zone, or lies outside the calendar.
    """
    if ended_at.utcoffset() is None:
        message = f"{ended_at.isoformat()} has no time zone, so it has no Japanese date"
        raise PeriodError(message)
    try:
        # To JST first: subtracting in a zone with summer time could land in an hour that does not exist.
        return (ended_at.astimezone(JST) - timedelta(microseconds=1)).date()
    except OverflowError:
        message = f"{ended_at.isoformat()} lies outside the calendar"
        raise PeriodError(message) from None


def first_counted_date(trigger: date) -> date:
    """Give the day from which a period is counted: the one after the event (起算日).

    Raises:
        PeriodError: no such day in the calendar, or `trigger` is an instant.

    Source: Civil Code, art. 140.
    """
    return _days_after(trigger, 1)


def corresponding_date(first_counted: date, months: int) -> date | None:
    """Give the day of the same number `months` later (応当日); None where that month is too short.

    Raises:
        PeriodError: the month lies outside the calendar.

    Source: Civil Code, art. 143, paragraph 2.
    """
    year, month = _month_after(first_counted, months)
    if first_counted.day > calendar.monthrange(year, month)[1]:
        return None
    return date(year, month, first_counted.day)


def last_date_counted_from(first_counted: date, period: Period) -> date:
    """Give the last day of `period`, where `first_counted` is its first whole day.

    Raises:
        PeriodError: the period leaves the calendar.

    Source: Civil Code, arts. 141 and 143.
    """
    months = period.calendar_months
    if not months:
        return _days_after(first_counted, period.full_days - 1)
    corresponding = corresponding_date(first_counted, months)
    if corresponding is None:  # art. 143 (2), proviso
        year, month = _month_after(first_counted, months)
        last = date(year, month, calendar.monthrange(year, month)[1])
    else:  # art. 143 (2); from the 1st of a month this is the end of the month before, as art. 143 (1) has it
        last = _days_after(corresponding, -1)
    return _days_after(last, period.full_days)


def last_retained_date(trigger: date, period: Period) -> date:
    """Give the last day on which a record must be kept, to its end (満了日).

    Args:
        trigger: the Japanese day of the event that starts the period; see `trigger_date`.
        period: how long to keep after it.

    Raises:
        PeriodError: the period leaves the calendar, or `trigger` is an instant.

    Source: Civil Code, arts. 140, 141 and 143.
    """
    return last_date_counted_from(first_counted_date(trigger), period)


def fiscal_year_end(day: date) -> date:
    """Give the 31 March that ends the Japanese fiscal year of `day`.

    Raises:
        PeriodError: that year is outside the calendar, or `day` is an instant.

    Source: Local Autonomy Act, art. 208.
    """
    _refuse_instant(day)
    year = day.year + (day.month >= _FISCAL_YEAR_FIRST_MONTH)
    if year > MAXYEAR:
        message = f"the fiscal year of {day.isoformat()} ends outside the calendar"
        raise PeriodError(message)
    return date(year, 3, 31)


def last_retained_date_after_fiscal_year(trigger: date, period: Period) -> date:
    """Give the last day to keep a record whose period runs from the end of the trigger's fiscal year.

    The period begins at 00:00 on 1 April, so that day is counted; whole years always end on a 31 March.

    Raises:
        PeriodError: the period leaves the calendar, or `trigger` is an instant.
    """
    return last_retained_date(fiscal_year_end(trigger), period)


def disposal_date(last: date) -> date:
    """Give the first day, from 00:00 JST, on which a record kept to the end of `last` may be destroyed (消去可能日).

    Raises:
        PeriodError: no such day in the calendar, or `last` is an instant.

    Source: Civil Code, art. 141.
    """
    return _days_after(last, 1)


def _month_after(day: date, months: int) -> tuple[int, int]:
    """Give year and month (1-12) of the month `months` after that of `day`."""
    year, month_index = divmod(day.year * _MONTHS_PER_YEAR + day.month - 1 + months, _MONTHS_PER_YEAR)
    if year > MAXYEAR:
        message = f"{months} months after {day.isoformat()} lie outside the calendar"
        raise PeriodError(message)
    return year, month_index + 1


def _days_after(day: date, days: int) -> date:
    _refuse_instant(day)
    try:
        return day + timedelta(days=days)
    except OverflowError:
        message = f"{days} days after {day.isoformat()} lie outside the calendar"
        raise PeriodError(message) from None


def _refuse_instant(day: date) -> None:
    # A datetime is a date to Python; cut to a day in UTC it would be a day early for nine hours of every Japanese day.
    if isinstance(day, datetime):
        message = f"{day.isoformat()} is an instant; give the Japanese date (trigger_date)"
        raise PeriodError(message)


def _fault(text: str) -> tuple[str, str]:
    """Say what is wrong with a duration that cannot be read, and give one that comes near it."""
    if _ISO_HOURS.fullmatch(text):
        return f'"{text}" counts hours or less; retention periods are counted in whole days', "P1D"
    if _ISO_FRACTION.fullmatch(text):
        return f'"{text}" has a fraction; a calendar has no fractions of a month or year', "P6M"
    words = _IN_WORDS.fullmatch(text.strip())
    example = f"P{int(words[1])}{words[2][0].upper()}" if words and int(words[1]) else "P6M"
    return f'"{text}" is not an ISO 8601 duration', example

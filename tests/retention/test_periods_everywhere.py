"""The period arithmetic on every day of forty years and on days of hypothesis's choice, against independent forms."""

import calendar
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retention.periods import (
    JST,
    Period,
    disposal_date,
    fiscal_year_end,
    last_retained_date,
    last_retained_date_after_fiscal_year,
    trigger_date,
)

FIRST, LAST = date(2019, 1, 1), date(2060, 12, 31)
EVERY_DAY = [FIRST + timedelta(days=offset) for offset in range((LAST - FIRST).days + 1)]
SIX_MONTHS = Period(months=6)

days = st.dates(date(1900, 1, 1), date(2900, 12, 31))
calendar_periods = st.builds(Period, years=st.integers(0, 100), months=st.integers(1, 600))
periods = st.one_of(
    calendar_periods,
    st.builds(Period, weeks=st.integers(1, 500)),
    st.builds(Period, years=st.integers(0, 50), months=st.integers(0, 50), days=st.integers(1, 5000)),
)


def length(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def month_later(day: date, months: int) -> tuple[int, int]:
    """The month `months` later, by walking."""
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return year, month


def short_form(event: date, months: int) -> date:
    """The requirements' second form: month end to month end, else the same number cut to the month."""
    year, month = month_later(event, months)
    if event.day == length(event.year, event.month):
        return date(year, month, length(year, month))
    return date(year, month, min(event.day, length(year, month)))


def addition_on_first_counted_day(event: date, months: int) -> date:
    """A third form: walk back from the day before the first counted day's number, however long the month."""
    first = event + timedelta(days=1)
    year, month = month_later(first, months)
    overshoot = date(year, month, 1) + timedelta(
        days=first.day - 1
    )  # runs into the next month where there is no such day
    return min(overshoot - timedelta(days=1), date(year, month, length(year, month)))


def test_the_span_checked_is_the_one_of_the_requirements() -> None:
    assert len(EVERY_DAY) == 15_341


@pytest.mark.parametrize("months", [1, 3, 6, 12, 60, 120])
def test_three_implementations_agree_on_every_day(months: int) -> None:
    period = Period(months=months)
    for event in EVERY_DAY:
        last = last_retained_date(event, period)
        assert last == short_form(event, months) == addition_on_first_counted_day(event, months), event


def test_six_months_span_181_to_184_days() -> None:
    assert {(last_retained_date(event, SIX_MONTHS) - event).days for event in EVERY_DAY} == {181, 182, 183, 184}


@pytest.mark.parametrize("year", range(2019, 2061))
def test_plain_addition_is_early_on_exactly_five_dates_of_every_year(year: int) -> None:
    early = {}
    for event in (event for event in EVERY_DAY if event.year == year):
        later_year, later_month = month_later(event, 6)
        plain = date(later_year, later_month, min(event.day, length(later_year, later_month)))
        days_early = (last_retained_date(event, SIX_MONTHS) - plain).days
        assert days_early >= 0
        if days_early:
            early[event.month, event.day] = days_early
    february = length(year, 2)
    assert early == {(2, february): 31 - february, (4, 30): 1, (6, 30): 1, (9, 30): 1, (11, 30): 1}


@pytest.mark.parametrize("year", range(2020, 2060))
def test_disposal_dates_clump_as_the_requirements_say(year: int) -> None:
    due = Counter(disposal_date(last_retained_date(event, SIX_MONTHS)) for event in EVERY_DAY)
    leap = calendar.isleap(year)
    assert due[date(year, 3, 1)] == (3 if leap else 4)
    assert [due[date(year, month, 1)] for month in (5, 7, 10, 12)] == [2, 2, 2, 2]
    empty_days = [(3, 31), (5, 31), (8, 30), (8, 31), (10, 31), (12, 31)] + ([] if leap else [(8, 29)])
    assert [due[date(year, month, number)] for month, number in empty_days] == [0] * len(empty_days)


def test_five_years_after_the_fiscal_year_always_end_on_a_31_march() -> None:
    for event in EVERY_DAY:
        last = last_retained_date_after_fiscal_year(event, Period(years=5))
        assert last == date(event.year + 5 + (event.month >= 4), 3, 31)
        assert 5 * 365 <= (last - event).days < 6 * 366


@given(days, days, periods)
def test_a_later_event_is_never_due_earlier(one: date, other: date, period: Period) -> None:
    earlier, later = sorted((one, other))
    assert last_retained_date(earlier, period) <= last_retained_date(later, period)
    assert last_retained_date_after_fiscal_year(earlier, period) <= last_retained_date_after_fiscal_year(later, period)


@given(days, calendar_periods)
def test_never_early_by_plain_addition_and_never_more_than_three_days_later(event: date, period: Period) -> None:
    year, month = month_later(event, period.years * 12 + period.months)
    plain = date(year, month, min(event.day, length(year, month)))
    assert 0 <= (last_retained_date(event, period) - plain).days <= 3


@given(days, calendar_periods)
def test_months_stay_within_the_shortest_and_longest_they_can_be(event: date, period: Period) -> None:
    months = period.years * 12 + period.months
    assert 28 * months <= (last_retained_date(event, period) - event).days <= 31 * months


@given(days, st.integers(1, 5000))
def test_days_are_counted_one_by_one(event: date, count: int) -> None:
    assert last_retained_date(event, Period(days=count)) == event + timedelta(days=count)


@given(days, st.integers(1, 700))
def test_a_week_is_seven_days_and_a_year_twelve_months(event: date, count: int) -> None:
    assert last_retained_date(event, Period(weeks=count)) == last_retained_date(event, Period(days=7 * count))
    assert last_retained_date(event, Period(years=count)) == last_retained_date(event, Period(months=12 * count))


@given(days, periods)
def test_the_fiscal_year_only_ever_lengthens(event: date, period: Period) -> None:
    end = fiscal_year_end(event)
    assert event <= end < event + timedelta(days=366)
    assert (end.month, end.day) == (3, 31)
    assert last_retained_date_after_fiscal_year(event, period) >= last_retained_date(event, period)


@given(periods)
def test_every_period_reads_back_as_it_is_written(period: Period) -> None:
    assert Period.parse(str(period)) == period


@given(st.datetimes(datetime(1900, 1, 2), datetime(2900, 1, 1), timezones=st.timezones()))  # noqa: DTZ001  # bounds; the zone is drawn beside them
def test_the_trigger_date_holds_the_last_instant_of_the_record(ended_at: datetime) -> None:
    trigger = trigger_date(ended_at)
    begins = datetime(trigger.year, trigger.month, trigger.day, tzinfo=JST)
    assert begins < ended_at.astimezone(UTC) <= begins + timedelta(days=1)

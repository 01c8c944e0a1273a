"""The worked examples of the requirements (section 5), typed from the tables, and the edges of the arithmetic."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from retention.errors import PeriodError
from retention.periods import (
    JST,
    Period,
    corresponding_date,
    disposal_date,
    first_counted_date,
    fiscal_year_end,
    last_date_counted_from,
    last_retained_date,
    last_retained_date_after_fiscal_year,
    trigger_date,
)

SIX_MONTHS = Period(months=6)
FIVE_YEARS = Period(years=5)

# Number, recorded, first counted, corresponding (None: month too short), last retained, disposal, days by which plain
# "+ 6 months" would be early. REQUIREMENTS 5.4.
SIX_MONTH_EXAMPLES = [
    (1, "2024-08-01", "2024-08-02", "2025-02-02", "2025-02-01", "2025-02-02", 0),
    (2, "2024-08-27", "2024-08-28", "2025-02-28", "2025-02-27", "2025-02-28", 0),
    (3, "2024-08-28", "2024-08-29", None, "2025-02-28", "2025-03-01", 0),
    (4, "2024-08-29", "2024-08-30", None, "2025-02-28", "2025-03-01", 0),
    (5, "2024-08-30", "2024-08-31", None, "2025-02-28", "2025-03-01", 0),
    (6, "2024-08-31", "2024-09-01", "2025-03-01", "2025-02-28", "2025-03-01", 0),
    (7, "2023-08-28", "2023-08-29", "2024-02-29", "2024-02-28", "2024-02-29", 0),
    (8, "2023-08-29", "2023-08-30", None, "2024-02-29", "2024-03-01", 0),
    (9, "2027-08-31", "2027-09-01", "2028-03-01", "2028-02-29", "2028-03-01", 0),
    (10, "2024-09-30", "2024-10-01", "2025-04-01", "2025-03-31", "2025-04-01", 1),
    (11, "2024-09-29", "2024-09-30", "2025-03-30", "2025-03-29", "2025-03-30", 0),
    (12, "2025-04-30", "2025-05-01", "2025-11-01", "2025-10-31", "2025-11-01", 1),
    (13, "2025-06-30", "2025-07-01", "2026-01-01", "2025-12-31", "2026-01-01", 1),
    (14, "2024-11-30", "2024-12-01", "2025-06-01", "2025-05-31", "2025-06-01", 1),
    (15, "2025-02-28", "2025-03-01", "2025-09-01", "2025-08-31", "2025-09-01", 3),
    (16, "2024-02-29", "2024-03-01", "2024-09-01", "2024-08-31", "2024-09-01", 2),
    (17, "2025-05-31", "2025-06-01", "2025-12-01", "2025-11-30", "2025-12-01", 0),
    (18, "2025-03-30", "2025-03-31", None, "2025-09-30", "2025-10-01", 0),
    (19, "2025-03-31", "2025-04-01", "2025-10-01", "2025-09-30", "2025-10-01", 0),
    (20, "2024-12-31", "2025-01-01", "2025-07-01", "2025-06-30", "2025-07-01", 0),
    (21, "2024-07-01", "2024-07-02", "2025-01-02", "2025-01-01", "2025-01-02", 0),
    (22, "2024-12-01", "2024-12-02", "2025-06-02", "2025-06-01", "2025-06-02", 0),
    (23, "2029-02-28", "2029-03-01", "2029-09-01", "2029-08-31", "2029-09-01", 3),
]

# Number, end of the record in JST (exclusive), its Japanese date, last retained, last retained by the UTC date.
# REQUIREMENTS 5.5.
MIDNIGHT_EXAMPLES = [
    (24, "2024-09-01T00:04", "2024-09-01", "2025-03-01", "2025-02-28"),
    (25, "2025-01-01T00:10", "2025-01-01", "2025-07-01", "2025-06-30"),
    (26, "2024-09-01T00:00", "2024-08-31", "2025-02-28", "2025-02-28"),  # a segment that ends at 24:00
    (27, "2025-02-01T00:10", "2025-02-01", "2025-08-01", "2025-07-31"),
    (28, "2025-03-01T05:00", "2025-03-01", "2025-09-01", "2025-08-31"),
    (29, "2024-09-01T08:59", "2024-09-01", "2025-03-01", "2025-02-28"),
]

# Number, completed, fiscal year, its end, last retained, disposal. REQUIREMENTS 5.6.
FISCAL_YEAR_EXAMPLES = [
    (30, "2026-01-31", 2025, "2026-03-31", "2031-03-31", "2031-04-01"),
    (31, "2026-03-31", 2025, "2026-03-31", "2031-03-31", "2031-04-01"),
    (32, "2026-04-01", 2026, "2027-03-31", "2032-03-31", "2032-04-01"),
    (33, "2025-03-31", 2024, "2025-03-31", "2030-03-31", "2030-04-01"),
    (34, "2024-09-30", 2024, "2025-03-31", "2030-03-31", "2030-04-01"),
    (35, "2026-03-31", 2025, "2026-03-31", "2031-03-31", "2031-04-01"),
    (36, "2029-02-28", 2028, "2029-03-31", "2034-03-31", "2034-04-01"),
    (37, "2027-03-31", 2026, "2027-03-31", "2032-03-31", "2032-04-01"),
    (38, "2027-04-01", 2027, "2028-03-31", "2033-03-31", "2033-04-01"),
    (39, "2024-02-29", 2023, "2024-03-31", "2029-03-31", "2029-04-01"),
    (40, "2023-12-31", 2023, "2024-03-31", "2029-03-31", "2029-04-01"),
]

# Number, event, first counted, last retained five years from the event, the same after the fiscal year.
# REQUIREMENTS 5.7.
FIVE_YEAR_EXAMPLES = [
    (41, "2024-02-28", "2024-02-29", "2029-02-28", "2029-03-31"),
    (42, "2024-02-29", "2024-03-01", "2029-02-28", "2029-03-31"),
    (43, "2023-02-28", "2023-03-01", "2028-02-29", "2028-03-31"),
    (44, "2027-02-28", "2027-03-01", "2032-02-29", "2032-03-31"),
    (45, "2025-03-31", "2025-04-01", "2030-03-31", "2030-03-31"),
    (46, "2025-04-01", "2025-04-02", "2030-04-01", "2031-03-31"),
    (47, "2024-10-15", "2024-10-16", "2029-10-15", "2030-03-31"),
]


def day(text: str) -> date:
    return date.fromisoformat(text)


def plain_addition(start: date, months: int) -> date:
    """The mistake that the tables warn of: the same day number, cut to the month, first day counted."""
    index = start.year * 12 + start.month - 1 + months
    year, month = index // 12, index % 12 + 1
    for number in range(start.day, 0, -1):
        try:
            return date(year, month, number)
        except ValueError:
            continue
    raise AssertionError


def test_all_forty_seven_examples_are_here() -> None:
    numbers = [row[0] for row in SIX_MONTH_EXAMPLES] + [row[0] for row in MIDNIGHT_EXAMPLES]
    numbers += [row[0] for row in FISCAL_YEAR_EXAMPLES] + [row[0] for row in FIVE_YEAR_EXAMPLES]
    assert numbers == list(range(1, 48))


@pytest.mark.parametrize(
    ("number", "recorded", "first", "corresponding", "last", "disposal", "days_early"), SIX_MONTH_EXAMPLES
)
def test_six_months_from_the_recording(
    number: int, recorded: str, first: str, corresponding: str | None, last: str, disposal: str, days_early: int
) -> None:
    trigger = day(recorded)
    assert first_counted_date(trigger) == day(first), number
    assert corresponding_date(day(first), 6) == (None if corresponding is None else day(corresponding))
    assert last_retained_date(trigger, SIX_MONTHS) == day(last)
    assert disposal_date(day(last)) == day(disposal)
    assert (day(last) - plain_addition(trigger, 6)).days == days_early


@pytest.mark.parametrize("row", SIX_MONTH_EXAMPLES, ids=lambda row: str(row[0]))
def test_a_hundred_and_eighty_days_would_be_one_to_four_days_early(
    row: tuple[int, str, str, str, str, str, int],
) -> None:
    assert 1 <= (day(row[4]) - (day(row[1]) + timedelta(days=180))).days <= 4


@pytest.mark.parametrize(("number", "ended", "japanese_date", "last", "wrong_last"), MIDNIGHT_EXAMPLES)
@pytest.mark.parametrize("zone", [JST, UTC, ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")], ids=str)
def test_the_japanese_date_of_the_last_instant_counts(
    number: int, ended: str, japanese_date: str, last: str, wrong_last: str, zone: timezone
) -> None:
    ended_at = datetime.fromisoformat(ended).replace(tzinfo=JST).astimezone(zone)
    assert trigger_date(ended_at) == day(japanese_date), number
    assert last_retained_date(trigger_date(ended_at), SIX_MONTHS) == day(last)
    last_instant = ended_at - timedelta(microseconds=1)
    assert last_retained_date(last_instant.astimezone(UTC).date(), SIX_MONTHS) == day(wrong_last)


@pytest.mark.parametrize(("number", "completed", "fiscal_year", "ends", "last", "disposal"), FISCAL_YEAR_EXAMPLES)
def test_five_years_after_the_fiscal_year(
    number: int, completed: str, fiscal_year: int, ends: str, last: str, disposal: str
) -> None:
    assert fiscal_year_end(day(completed)) == day(ends) == date(fiscal_year + 1, 3, 31), number
    assert last_retained_date_after_fiscal_year(day(completed), FIVE_YEARS) == day(last)
    assert disposal_date(day(last)) == day(disposal)


@pytest.mark.parametrize(("number", "event", "first", "last", "after_fiscal_year"), FIVE_YEAR_EXAMPLES)
def test_five_years_from_the_event_itself(
    number: int, event: str, first: str, last: str, after_fiscal_year: str
) -> None:
    assert first_counted_date(day(event)) == day(first), number
    assert last_retained_date(day(event), FIVE_YEARS) == day(last)
    assert last_retained_date_after_fiscal_year(day(event), FIVE_YEARS) == day(after_fiscal_year)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("P6M", Period(months=6)),
        ("P5Y", Period(years=5)),
        ("P1Y6M", Period(years=1, months=6)),
        ("P2W", Period(weeks=2)),
        ("P90D", Period(days=90)),
        ("P1Y2M3D", Period(years=1, months=2, days=3)),
        ("P06M", Period(months=6)),
        ("P0Y6M", Period(months=6)),
    ],
)
def test_reads_iso_8601_durations(text: str, period: Period) -> None:
    assert Period.parse(text) == period
    assert Period.parse(str(period)) == period


@pytest.mark.parametrize(
    ("text", "fault", "example"),
    [
        ("6 months", "is not an ISO 8601 duration", "P6M"),
        ("5 years", "is not an ISO 8601 duration", "P5Y"),
        ("0 days", "is not an ISO 8601 duration", "P6M"),
        ("", "is not an ISO 8601 duration", "P6M"),
        ("P", "is not an ISO 8601 duration", "P6M"),
        ("6M", "is not an ISO 8601 duration", "P6M"),
        ("p6m", "is not an ISO 8601 duration", "P6M"),
        ("P6M\n", "is not an ISO 8601 duration", "P6M"),
        (" P6M", "is not an ISO 8601 duration", "P6M"),
        ("-P6M", "is not an ISO 8601 duration", "P6M"),
        ("P-6M", "is not an ISO 8601 duration", "P6M"),
        ("P6M1Y", "is not an ISO 8601 duration", "P6M"),
        ("P\uff16M", "is not an ISO 8601 duration", "P6M"),
        ("P1234567D", "is not an ISO 8601 duration", "P6M"),
        ("P" + "9" * 5000 + "D", "is not an ISO 8601 duration", "P6M"),
        ("PT24H", "counts hours or less", "P1D"),
        ("P1DT12H", "counts hours or less", "P1D"),
        ("PT", "counts hours or less", "P1D"),
        ("P0.5Y", "has a fraction", "P6M"),
        ("P6,5M", "has a fraction", "P6M"),
        ("P0D", "longer than nothing", "P6M"),
        ("P0Y0M", "longer than nothing", "P6M"),
        ("P1M2W", "weeks cannot stand beside", "P14D"),
        ("P1W1D", "weeks cannot stand beside", "P7D"),
    ],
)
def test_refuses_what_is_no_period_of_days_months_or_years(text: str, fault: str, example: str) -> None:
    with pytest.raises(PeriodError, match=fault) as refusal:
        Period.parse(text)
    assert refusal.value.example == example
    assert str(refusal.value).endswith(f'; write "{example}"')
    Period.parse(example)


def test_refuses_a_negative_period() -> None:
    with pytest.raises(PeriodError):
        Period(months=6, days=-1)


def test_days_and_weeks_are_counted_without_the_first_day() -> None:
    assert last_retained_date(day("2024-08-01"), Period(days=1)) == day("2024-08-02")
    assert last_retained_date(day("2024-02-27"), Period(days=3)) == day("2024-03-01")
    assert last_retained_date(day("2024-12-25"), Period(weeks=1)) == day("2025-01-01")


def test_months_run_before_days_where_both_are_given() -> None:
    assert last_retained_date(day("2024-08-30"), Period(months=6, days=1)) == day("2025-03-01")


def test_a_period_that_begins_at_midnight_counts_its_first_day() -> None:
    assert last_date_counted_from(day("2025-04-01"), Period(years=5)) == day("2030-03-31")
    assert last_date_counted_from(day("2025-04-01"), Period(days=1)) == day("2025-04-01")
    assert last_retained_date_after_fiscal_year(day("2025-02-01"), SIX_MONTHS) == day("2025-09-30")


def test_the_calendar_has_an_end_and_the_last_day_before_it_still_counts() -> None:
    assert last_retained_date(day("9999-06-29"), SIX_MONTHS) == day("9999-12-29")
    assert disposal_date(day("9999-12-30")) == date.max
    assert last_date_counted_from(date.min, Period(months=1)) == day("0001-01-31")


@pytest.mark.parametrize(
    "compute",
    [
        lambda: disposal_date(date.max),
        lambda: first_counted_date(date.max),
        lambda: fiscal_year_end(day("9999-04-01")),
        lambda: last_retained_date(day("9999-07-01"), SIX_MONTHS),
        lambda: last_retained_date(day("2025-03-31"), Period(years=999_999)),
        lambda: last_retained_date(day("2025-03-31"), Period(days=999_999_999_999)),
        lambda: last_retained_date(day("9999-06-29"), Period(months=6, days=3)),
        lambda: last_retained_date_after_fiscal_year(day("9998-04-01"), FIVE_YEARS),
        lambda: corresponding_date(date.max, 1),
        lambda: trigger_date(datetime.min.replace(tzinfo=JST)),
        lambda: trigger_date(datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_what_leaves_the_calendar_is_refused(compute: object) -> None:
    assert callable(compute)
    with pytest.raises(PeriodError, match="outside the calendar"):
        compute()


def test_an_instant_without_time_zone_has_no_japanese_date() -> None:
    with pytest.raises(PeriodError, match="no time zone"):
        trigger_date(datetime(2025, 3, 31, 12))  # noqa: DTZ001  # naive on purpose


@pytest.mark.parametrize("compute", [first_counted_date, fiscal_year_end, disposal_date])
def test_an_instant_is_not_taken_for_a_day(compute: object) -> None:
    assert callable(compute)
    with pytest.raises(PeriodError, match="is an instant"):
        compute(datetime(2025, 3, 31, 20, tzinfo=UTC))


def test_the_end_is_exclusive_to_the_microsecond() -> None:
    midnight = datetime(2025, 4, 1, tzinfo=JST)
    assert trigger_date(midnight) == day("2025-03-31")
    assert trigger_date(midnight + timedelta(microseconds=1)) == day("2025-04-01")


def test_summer_time_elsewhere_does_not_move_the_date() -> None:
    # 02:00 to 03:00 does not exist in Berlin on this day; 03:00 there is 10:00 in Japan.
    assert trigger_date(datetime(2025, 3, 30, 3, tzinfo=ZoneInfo("Europe/Berlin"))) == day("2025-03-30")

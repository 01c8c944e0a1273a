"""What a record class says about dates."""

from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime

import pytest

from retention.errors import PeriodError
from retention.periods import JST, Period
from retention.policy import RecordClass
from retention.triggers import TRIGGERS


def record_class(trigger: str, retain: str | None) -> RecordClass:
    return RecordClass(
        id="some_record",
        title_ja="記録",
        title_en="Some record",
        retain=None if retain is None else Period.parse(retain),
        trigger=TRIGGERS[trigger],
        residence="on-premises",
        copies=1,
        media_types=("application/pdf",),
        max_bytes=1,
        deposit=frozenset({"scanner"}),
        read=frozenset({"city_auditor"}),
        clause="NIS-1",
        stated=False,
        subject_key="none",
        subject_key_pattern=None,
        late="refuse",
        quarantine=False,
    )


@pytest.mark.parametrize("event", ["recorded", "received", "issued", "case-closed"])
def test_the_trigger_of_a_record_is_the_japanese_date_of_its_exclusive_end(event: str) -> None:
    ended_at = datetime(2025, 3, 31, 15, tzinfo=UTC)  # midnight in Japan: the last day of the term, wholly filled
    for trigger in (event, f"fiscal-year-end-of:{event}"):
        assert not record_class(trigger, "P6M").pending
        assert record_class(trigger, "P6M").trigger_date_for(ended_at) == date(2025, 3, 31)


@pytest.mark.parametrize("event", ["contract-completed", "superseded", "city-instruction"])
def test_a_trigger_that_happens_later_leaves_a_new_record_pending(event: str) -> None:
    for trigger in (event, f"fiscal-year-end-of:{event}"):
        pending = record_class(trigger, "P5Y")
        assert pending.pending
        assert pending.trigger_date_for(datetime(2025, 3, 31, tzinfo=JST)) is None
        assert pending.disposal_date_for(None) is None


@pytest.mark.parametrize(
    ("trigger", "retain", "trigger_on", "disposal"),
    [
        ("recorded", "P6M", date(2025, 3, 31), date(2025, 10, 1)),
        ("recorded", "P6M", date(2025, 2, 28), date(2025, 9, 1)),
        ("case-closed", "P5Y", date(2024, 10, 15), date(2029, 10, 16)),
        ("fiscal-year-end-of:case-closed", "P5Y", date(2024, 10, 15), date(2030, 4, 1)),
        ("fiscal-year-end-of:contract-completed", "P5Y", date(2025, 3, 31), date(2030, 4, 1)),
        ("fiscal-year-end-of:contract-completed", "P5Y", date(2025, 4, 1), date(2031, 4, 1)),
        ("received", "P2W", date(2025, 1, 1), date(2025, 1, 16)),
        ("city-instruction", "P1M", date(2025, 3, 10), date(2025, 4, 11)),
    ],
)
def test_the_disposal_date_follows_the_rule(trigger: str, retain: str, trigger_on: date, disposal: date) -> None:
    assert record_class(trigger, retain).disposal_date_for(trigger_on) == disposal


def test_without_a_period_a_record_is_kept_to_the_end_of_the_day_of_the_instruction() -> None:
    assert record_class("city-instruction", None).disposal_date_for(date(2025, 3, 10)) == date(2025, 3, 11)
    yearly = record_class("fiscal-year-end-of:city-instruction", None)
    assert yearly.disposal_date_for(date(2025, 3, 10)) == date(2025, 4, 1)


@pytest.mark.parametrize("retain", ["P6M", None])
def test_an_instant_is_not_taken_for_the_trigger_day(retain: str | None) -> None:
    with pytest.raises(PeriodError, match="is an instant"):
        record_class("city-instruction", retain).disposal_date_for(datetime(2025, 3, 31, 20, tzinfo=UTC))


def test_the_trigger_is_named_as_the_policy_writes_it() -> None:
    assert record_class("fiscal-year-end-of:case-closed", "P5Y").trigger_name() == "fiscal-year-end-of:case-closed"


def test_values_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        record_class("recorded", "P6M").retain = None  # type: ignore[misc]  # the point of the test

"""The triggers a policy may name."""

import pytest

from retention.triggers import TRIGGERS, Trigger, TriggerEvent


def test_every_event_can_stand_alone_and_after_a_fiscal_year() -> None:
    events = ["recorded", "received", "issued", "case-closed", "contract-completed", "superseded", "city-instruction"]
    assert list(TRIGGERS) == events + [f"fiscal-year-end-of:{event}" for event in events]
    assert all(trigger.name == name for name, trigger in TRIGGERS.items())


@pytest.mark.parametrize("event", ["contract-completed", "superseded", "city-instruction"])
def test_events_of_the_contract_happen_after_the_deposit(event: str) -> None:
    assert TriggerEvent(event).happens_later


@pytest.mark.parametrize("event", ["recorded", "received", "issued", "case-closed"])
def test_events_of_the_record_have_happened_at_the_deposit(event: str) -> None:
    assert not TriggerEvent(event).happens_later


def test_the_event_alone_is_not_its_fiscal_year() -> None:
    assert TRIGGERS["recorded"] == Trigger(TriggerEvent.RECORDED)
    assert TRIGGERS["fiscal-year-end-of:recorded"] == Trigger(TriggerEvent.RECORDED, after_fiscal_year=True)

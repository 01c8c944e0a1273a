"""What starts a retention period: the events a policy may name, and whether the period waits for the fiscal year's end.

Leaves out when an event happened; that is the record's or the contract's own fact.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

_FISCAL_YEAR_PREFIX: Final = "fiscal-year-end-of:"


class TriggerEvent(StrEnum):
    """The event after which a record's period is counted."""

    RECORDED = "recorded"
    RECEIVED = "received"
    ISSUED = "issued"
    CASE_CLOSED = "case-closed"
    CONTRACT_COMPLETED = "contract-completed"  # or suspended, or abolished (NGK-14.5)
    SUPERSEDED = "superseded"
    CITY_INSTRUCTION = "city-instruction"

    @property
    def happens_later(self) -> bool:
        """True where the event comes after the deposit, so that a new record has no date yet."""
        return self in _LATER


_LATER: Final = frozenset({TriggerEvent.CONTRACT_COMPLETED, TriggerEvent.SUPERSEDED, TriggerEvent.CITY_INSTRUCTION})


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event, and whether its day counts itself or the end of its fiscal year does."""

    event: TriggerEvent
    after_fiscal_year: bool = False

    @property
    def name(self) -> str:
        """The trigger as a policy file writes it, such as `fiscal-year-end-of:case-closed`."""
        return f"{_FISCAL_YEAR_PREFIX}{self.event}" if self.after_fiscal_year else str(self.event)


TRIGGERS: Final[Mapping[str, Trigger]] = MappingProxyType(
    {
        trigger.name: trigger
        for after_fiscal_year in (False, True)
        for trigger in (Trigger(event, after_fiscal_year) for event in TriggerEvent)
    }
)
"""Every trigger that a policy may name, by that name."""

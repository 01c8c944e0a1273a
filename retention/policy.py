"""One contract's policy as values: its sites and its record classes, with what each class asks for.

Leaves out the text form (`policy_reader`). Values here are checked already; nothing is looked up or read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from retention.periods import (
    Period,
    disposal_date,
    fiscal_year_end,
    last_retained_date,
    last_retained_date_after_fiscal_year,
    trigger_date,
)
from retention.triggers import Trigger

Residence = Literal["on-premises", "any"]
Copies = Literal[1, 2]
SubjectKeyRule = Literal["required", "optional", "none"]
LateRule = Literal["refuse", "next-run"]

AUDIT_TRAIL = "audit_trail"
"""The class that every policy has: the sealed parts of ledger events, written by the vault itself."""


@dataclass(frozen=True, slots=True)
class Title:
    """A name for people, in both languages."""

    ja: str
    en: str


@dataclass(frozen=True, slots=True)
class Site:
    """A place where the contract's work is done."""

    id: str
    ja: str
    en: str


@dataclass(frozen=True, slots=True)
class RecordClass:
    """What a policy says of one kind of record.

    Attributes:
        id: the glossary's identifier, as `call_recording`.
        title_ja: its name in Japanese.
        title_en: its name in English.
        retain: how long after the trigger; None where the city's instruction alone ends the keeping.
        trigger: what starts the period.
        residence: where the bytes may lie.
        copies: how many independent copies are kept.
        media_types: the types taken, by content, in the policy's order.
        max_bytes: the largest record, in bytes.
        deposit: roles and station kinds that may deposit.
        read: roles that may read.
        clause: the clause of the contract on which the class rests.
        stated: True where the contract itself states the period; False marks our default, to be shown as such.
        subject_key: whether a deposit names the city's number of its case.
        subject_key_pattern: regular expression for the whole number; None leaves the vault's own rule.
        late: what happens to a record that is due already when it comes.
        quarantine: True takes what fails its checks, sealed and flagged; False refuses it.
    """

    id: str
    title_ja: str
    title_en: str
    retain: Period | None
    trigger: Trigger
    residence: Residence
    copies: Copies
    media_types: tuple[str, ...]
    max_bytes: int
    deposit: frozenset[str]
    read: frozenset[str]
    clause: str
    stated: bool
    subject_key: SubjectKeyRule
    subject_key_pattern: str | None
    late: LateRule
    quarantine: bool

    @property
    def pending(self) -> bool:
        """True where a new record has no disposal date, because an event of the contract must happen first."""
        return self.trigger.event.happens_later

    def trigger_name(self) -> str:
        """Give the trigger as the policy file writes it."""
        return self.trigger.name

    def trigger_date_for(self, ended_at: datetime) -> date | None:
        """Give the trigger's day for a record as it comes in; None while the trigger has not happened.

        Args:
            ended_at: aware and exclusive: the end of a call or video segment; for a document the end of the instant
                at which it was received or issued, or its case was closed.

        Raises:
            PeriodError: `ended_at` has no time zone, or lies outside the calendar.
        """
        return None if self.pending else trigger_date(ended_at)

    def disposal_date_for(self, trigger_on: date | None) -> date | None:
        """Give the first day, from 00:00 JST, on which the rule allows destruction; holds and instructions apart.

        Args:
            trigger_on: the Japanese day of the trigger's event; None while it has not happened.

        Returns:
            None while the trigger has not happened.

        Raises:
            PeriodError: the period leaves the calendar, or `trigger_on` is an instant.
        """
        if trigger_on is None:
            return None
        if self.retain is None:
            # No period after the instruction: kept to the end of its day. A day longer is safe, a day early is not.
            last = fiscal_year_end(trigger_on) if self.trigger.after_fiscal_year else trigger_on
        elif self.trigger.after_fiscal_year:
            last = last_retained_date_after_fiscal_year(trigger_on, self.retain)
        else:
            last = last_retained_date(trigger_on, self.retain)
        return disposal_date(last)


@dataclass(frozen=True, slots=True)
class Policy:
    """One contract's rules, as adopted from one text.

    Attributes:
        contract: the contract's id, as `nishinomiya`.
        title: the name of the work.
        city: the commissioning city, in its own writing.
        starts_on: first day of the term.
        ends_on: last day of the term; records outlive it.
        sites: places of work, in the policy's order.
        classes: record classes by id, read-only.
        sha256: digest of the policy's text in UTF-8, lower-case hex; names the version in events and exports.
    """

    contract: str
    title: Title
    city: str
    starts_on: date
    ends_on: date
    sites: tuple[Site, ...]
    classes: Mapping[str, RecordClass]
    sha256: str

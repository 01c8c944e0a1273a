"""The verdict of a verification: what was found wrong, what never arrived, what is worth knowing, what was counted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from vault.errors import IntegrityError, KuraError, Language
from vault.records.numbering import Numbers

Report = Callable[[str, int, int], None]
"""Told how far a stage has come: (stage, done, total)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be.

    Attributes:
        code: stable, as an error's.
        what: the place: "records/<id>/ended_at", "ledgers/nishinomiya/tile/0/000".
        reason: the error behind it, whose sentence says more.
    """

    code: str
    what: str
    reason: KuraError

    def sentence(self, language: Language) -> str:
        """Say what is wrong, and where."""
        return f"{self.what}: {self.reason.sentence(language)}"


@dataclass(slots=True)
class Verdict:
    """What a verification found. Sound only if `findings` is empty and every check came to its end."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    numbers: dict[str, Numbers] = field(default_factory=dict)  # of each station

    @property
    def is_complete(self) -> bool | None:
        """Whether all that stations numbered has arrived, before the newest of each; None where nothing is numbered.

        Says nothing of a vault that is not sound.
        """
        numbered = [numbers for numbers in self.numbers.values() if numbers.newest]
        return all(numbers.is_complete for numbers in numbered) if numbered else None

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found wrong. A check that could not finish is a finding."""
        return not self.findings

    def found(self, what: str, reason: KuraError) -> None:
        """Note something wrong."""
        self.findings.append(Finding(reason.code, what, reason))

    def differs(self, what: str) -> None:
        """Note that something stored is not what the ledger says."""
        self.found(what, IntegrityError("row-differs", what=what))

    def join(self, other: "Verdict") -> None:
        """Add what another check found."""
        self.findings += other.findings
        self.notes += other.notes
        self.counts += other.counts
        self.numbers |= other.numbers

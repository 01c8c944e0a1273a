"""One thing that `kura doctor` looked at."""

from dataclasses import dataclass
from enum import StrEnum

from vault.errors import KuraError


class Level(StrEnum):
    """How bad it is."""

    FINE = "fine"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    check: str
    level: Level
    en: str
    ja: str


def wrong(check: str, error: KuraError) -> Finding:
    """Make a finding of an error."""
    return Finding(check, Level.WRONG, error.sentence("en"), error.sentence("ja"))

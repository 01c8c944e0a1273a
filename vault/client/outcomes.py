"""What becomes of records that could not be sent at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from vault.client.answers import Taken
from vault.errors import KuraError


@dataclass(frozen=True, slots=True)
class Spooled:
    """A record that is sealed on the station and not in the vault yet."""

    record_id: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the spool.

    Attributes:
        taken: records the vault now has.
        refused: records it refused for good, with its reason; their spools are set aside, their numbers stay gaps.
        waiting: how many are still in the spool.
    """

    taken: Sequence[Taken]
    refused: Sequence[tuple[str, KuraError]]
    waiting: int

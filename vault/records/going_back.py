"""A ledger never goes back: each is compared with what is known of it outside the database, and a suspect halts all."""

from pathlib import Path

from vault.errors import IntegrityError
from vault.ledger.checkpoint import Checkpoint, open_checkpoint
from vault.ledger.guard import Guard
from vault.ledger.log import Log
from vault.ledger.rollback import known_despite_torn_slot, newest_known, require_not_behind
from vault.records.ground import Ground
from vault.records.recovery import Suspect


class Comparisons:
    """Compares the ledgers of a vault, and remembers those that went back. `suspects` are by ledger."""

    def __init__(self, ground: Ground, guard: Guard, ledgers: Path) -> None:
        """Suspect nothing; `ledgers` is the folder of what is published."""
        self._ground, self._guard, self._ledgers = ground, guard, ledgers
        self.suspects: dict[str, Suspect] = {}

    def compare_all(self) -> None:
        """Compare every open ledger; what is suspect halts the sequencer."""
        for log in self._ground.sequencer.logs():
            if log.is_open:
                self._compare(log)

    def compare_again(self) -> None:
        """Compare the rows as they are now: what was found between two commits left memory ahead of them."""
        before, self.suspects = self.suspects, {}
        self._ground.sequencer.read_again()
        self.compare_all()
        for ledger_id, suspect in before.items():  # what a station brought is known of it, too
            found = self.suspects.get(ledger_id)
            known = [*suspect.known, *(found.known if found is not None else ())]
            self.suspects[ledger_id] = Suspect(self._ground.sequencer.log(ledger_id), known, suspect.problem)

    def confront(self, log: Log, note: str) -> None:
        """Compare a ledger with a checkpoint that somebody was given.

        Raises:
            IntegrityError: the checkpoint is not of this ledger; or the ledger does not continue it, and is suspect.
        """
        known = open_checkpoint(note.encode(), log.key)
        try:
            if known.size > log.size:
                self._ground.follow()  # another process may have signed it
            require_not_behind(log, [known])
        except IntegrityError as error:
            self._suspect(log, [known], error)
            raise

    def _compare(self, log: Log) -> None:
        known: list[Checkpoint] = []
        try:
            self._begin_to_guard(log)
            known, is_torn = self._known(log)
            require_not_behind(log, known)
            if is_torn:
                self._guard.mend(log.id, log.key, log.signed(log.checkpoint()))
        except IntegrityError as error:
            self._suspect(log, known, error)

    def _suspect(self, log: Log, known: list[Checkpoint], error: IntegrityError) -> None:
        self.suspects[log.id] = Suspect(log, known, error.code)
        self._ground.sequencer.halt(error)

    def _begin_to_guard(self, log: Log) -> None:
        """Guard a ledger that another process opened while this one was away: here nothing was ever known of it.

        Where anything of it was published here before, its guard was lost instead.
        """
        is_new_here = self._ground.sequencer.is_shared and not (self._ledgers / log.id).exists()
        if is_new_here and not self._guard.has(log.id):
            self._guard.create(log.id)
            if log.size > 0:
                self._guard.store(log.id, log.signed(log.checkpoint()))

    def _known(self, log: Log) -> tuple[list[Checkpoint], bool]:
        """What is known of a ledger outside the database, and whether a power cut tore one slot of its guard."""
        published = self._ledgers / log.id / "checkpoint"
        try:
            return newest_known(log, self._guard, published), False
        except IntegrityError as error:
            if error.code != "guard-damaged":
                raise
            return known_despite_torn_slot(log, self._guard, published), True

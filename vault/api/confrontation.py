"""Stations remember what they were told: a vault that was put back to yesterday meets its own later checkpoints."""

import time

from vault.api.deposit_header import decode_base64url
from vault.errors import IntegrityError, RefusedError
from vault.ledger.checkpoint import open_checkpoint
from vault.people.stations import Station
from vault.records.vault import Vault

_EVERY_S = 5.0  # of each station: one that is told the truth every few seconds is enough


class Confrontation:
    """Compares the checkpoints that stations bring with the ledger."""

    def __init__(self, vault: Vault) -> None:
        """Compare with this vault's ledgers."""
        self._vault = vault
        self._met: dict[str, float] = {}

    def meet(self, station: Station, header: str | None) -> None:
        """Take a station's checkpoint; a ledger that does not continue it is halted: `Vault.problem` says so then.

        Raises:
            RefusedError: `checkpoint-header-malformed`: it is none of this contract's ledgers.
        """
        if header is None or time.monotonic() - self._met.get(station.name, -_EVERY_S) < _EVERY_S:
            return
        try:
            note = decode_base64url(header).decode("utf-8")
        except ValueError as error:
            raise RefusedError("checkpoint-header-malformed") from error
        try:
            self._vault.confront(station.contract_id, note)
        except IntegrityError as error:
            if self._vault.problem is None and not self._is_of_a_closed_ledger(station, note):
                raise RefusedError("checkpoint-header-malformed") from error
        self._met[station.name] = time.monotonic()

    def _is_of_a_closed_ledger(self, station: Station, note: str) -> bool:
        """After a recovery stations still have checkpoints of the ledger before."""
        for log in self._vault.ground.sequencer.logs():
            if log.contract_id == station.contract_id and not log.is_open:
                try:
                    open_checkpoint(note.encode(), log.key)
                except IntegrityError:
                    continue
                return True
        return False

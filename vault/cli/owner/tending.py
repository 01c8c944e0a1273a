"""What an owner does for object stores all the time, in a thread of its own: an engine may take its time to answer.

Extends locks, makes owed copies, and asks for longer locks where a disposal day is not known yet.
"""

import threading
import time

from vault.errors import KuraError
from vault.records.healing import heal_copies, owed_count
from vault.records.locking import extend_locks, lock_queue, renew_rolling
from vault.records.vault import Vault
from vault.service_log import service_log

_EVERY_S = 2.0
_RENEW_EVERY_S = 24 * 3600.0


class Tending:
    """The thread, from its start until `stop`."""

    def __init__(self, vault: Vault) -> None:
        """Start it."""
        self._vault = vault
        self._stopped = threading.Event()
        self._renew_at = 0.0
        self._thread = threading.Thread(target=self._run, name="tending", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the round under way after the step it is at, and the thread: what is left waits for the next owner."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            if self._vault.problem is not None:
                continue
            try:
                self._round()
            except KuraError as error:
                service_log().warning("tending-failed", code=error.code)
            except Exception as error:  # noqa: BLE001 - it must go on: what waits here is lost when nobody comes
                service_log().error("tending-failed", code=type(error).__name__)

    def _round(self) -> None:
        """Do what waits, if anything does; of several owners on one database one at a time."""
        ground, is_renewal = self._vault.ground, time.monotonic() >= self._renew_at
        if not is_renewal and not lock_queue(ground).length and not owed_count(ground):
            return
        with self._vault.leases.held("tend-stores") as is_mine:
            if not is_mine:
                return
            if is_renewal:
                renew_rolling(ground)
                self._renew_at = time.monotonic() + _RENEW_EVERY_S
            # In turn, for as long as either gets on: while records come in from all sides locks wait at all times.
            while extend_locks(ground, self._stopped.is_set) + heal_copies(ground, self._stopped.is_set):
                pass

"""What a station works with, taken up from its folder for one process: its lock, state, spool and connection."""

import fcntl
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from vault.client.answers import Ledger
from vault.client.buckets import are_stale, keep_buckets
from vault.client.certificate import is_due
from vault.client.connection import Connection, tls_context
from vault.client.exchange import Exchange
from vault.client.spool import Spool
from vault.client.state import State
from vault.client.station_folder import StationFolder
from vault.errors import RefusedError, UnavailableError


class Workplace:
    """A station's things, and keeping them in order.

    Attributes:
        state: numbers, receipts and what the vault told.
        spool: what waits.
        contract: the one the station works for.
        exchange: asks the vault; another one after `renew`.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime] | None) -> None:
        """Take a folder up; errors as `Station`."""
        self._folder, self._clock = StationFolder.read(folder), clock or _now
        self._lock = _locked(self._folder.state)
        try:
            self._folder.finish_renewal()
            key = self._folder.ledger_key()
            self.contract = key.name.rpartition("/")[2]
            self._ledger = Ledger(key, self.contract, self._folder.name)
            self.state, self.spool = State(self._folder.state / "station.db"), Spool(self._folder.state / "spool")
            for record_id in self.spool.record_ids():
                self.state.mark_spooled(record_id)
            self._connect()
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close the connection and give the folder free."""
        self._connection.close()
        self.state.close()
        os.close(self._lock)

    def settle(self, is_gone: Callable[[str], bool]) -> None:
        """Ask the vault about numbers that a crash, a lost answer or a refusal left open; see `Station.settle`."""
        for number in self.state.open_numbers():
            taken = self.exchange.receipt(number)
            if taken is not None:
                self.state.keep(taken)
            elif number.key is None or is_gone(number.key):
                self.state.free(number.record_id)

    def upkeep(self) -> None:
        """See to what is due beside the numbers: buckets older than a day, a certificate in its last third."""
        now = self._clock()
        if are_stale(self.state, now):
            keep_buckets(self.state, self.exchange.buckets(), now)
        if is_due(self._certificate, now):
            self.renew()

    def renew(self) -> None:
        """Change to a new key, made here, and its certificate."""
        self._folder.renew(self.exchange.certify)
        self._connection.close()
        self._connect()

    def _connect(self) -> None:
        folder, certificate = self._folder, self._folder.certificate_checked()
        self._certificate = certificate
        context = tls_context(folder.authority_pem(), str(folder.certificate), str(folder.key))
        self._connection = Connection(
            folder.host, folder.port, context, lambda: self._clock() > certificate.not_valid_after_utc
        )
        self.exchange = Exchange(self._connection, self._ledger, lambda: self.state.checkpoint, self._clock)


def _locked(state: Path) -> int:
    """Take the folder of a station's state for this process, until the descriptor is closed."""
    try:
        state.mkdir(0o700, exist_ok=True)
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UnavailableError("state-failed", reason=type(error).__name__) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise RefusedError("station-busy") from error
    return descriptor


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  # the one clock of a station

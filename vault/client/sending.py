"""From a number to a receipt, or to a spool: sending records whose numbers are bound already.

Whatever fails here leaves the number open, for only the vault knows whether a try arrived.
"""

from collections.abc import Sequence

from vault.client.answers import Taken
from vault.client.buckets import bucket_for
from vault.client.content import Content, content_of
from vault.client.deposit import Deposit
from vault.client.outcomes import Spooled
from vault.client.problems import is_away, is_final
from vault.client.state import Number
from vault.client.workplace import Workplace
from vault.errors import KuraError, RefusedError, UnavailableError
from vault.sealing.spooled import SpoolWriter

_NUMBERS_TRIED = 3


class Sending:
    """Sends what a workplace has numbered."""

    def __init__(self, work: Workplace) -> None:
        """Send for this station."""
        self._work = work

    def send(self, number: Number, deposit: Deposit, body: Content) -> Taken:
        """Send one record and keep its receipt; errors as `Exchange.deposit`.

        Raises:
            RefusedError: `station-numbers-behind`.
        """
        for _ in range(_NUMBERS_TRIED):
            try:
                taken = self._work.exchange.deposit(number, deposit, body)
            except RefusedError as error:
                if error.code == "sequence-taken":
                    number = self._renumbered(number)
                    continue
                self._give_up(number, error)
                raise
            self._work.state.keep(taken)
            return taken
        raise RefusedError("station-numbers-behind")

    def send_together(self, items: Sequence[tuple[Number, Deposit, Content]]) -> list[Taken | Spooled | KuraError]:
        """Send several small records in one request; for each in order what became of it."""
        try:
            results: Sequence[Taken | KuraError] = self._work.exchange.deposit_batch(items)
        except KuraError as error:
            # A file that changes, or went away, must not hold up those that were to go with it.
            is_of_one = error.code in ("source-changed", "source-unreadable")
            results = [self._tried(*item) for item in items] if is_of_one else [error] * len(items)
        return [self._ended(result, *item) for result, item in zip(results, items, strict=True)]

    def spool(self, error: UnavailableError, number: Number, deposit: Deposit, body: Content) -> Spooled:
        """Seal a record that could not be sent because of `error`, where that is that the vault is away.

        Raises:
            UnavailableError: `error`, where it is another; `spool-bucket-missing`, `spool-failed`.
        """
        if not is_away(error):
            raise error
        bucket = bucket_for(self._work.state, self._work.contract, deposit.class_id, deposit.ended_at)
        number = self._work.state.number_of(number.record_id) or number  # it may have got another while it was sent
        writer = SpoolWriter(bucket, number.record_id, deposit.members(number.sequence), body.digest)
        self._work.spool.write(writer, body)
        self._work.state.mark_spooled(number.record_id)
        return Spooled(number.record_id, number.sequence)

    def deliver(self, record_id: str) -> Taken:
        """Send one spool and remove it once its receipt is kept; errors as `Exchange.deliver` and of `Spool`."""
        header = self._work.spool.header(record_id)
        number = self._work.state.number_of(record_id)
        taken = self._work.exchange.deliver(header, number, content_of(self._work.spool.path(record_id)))
        if taken.is_compared:
            self._work.state.keep(taken)
            self._work.spool.remove(record_id)
        return taken

    def _tried(self, number: Number, deposit: Deposit, body: Content) -> Taken | KuraError:
        try:
            return self.send(number, deposit, body)
        except KuraError as error:
            return error

    def _ended(
        self, result: Taken | KuraError, number: Number, deposit: Deposit, body: Content
    ) -> Taken | Spooled | KuraError:
        try:
            if isinstance(result, Taken):
                self._work.state.keep(result)
                return result
            if result.code == "sequence-taken":
                return self.send(self._renumbered(number), deposit, body)
            if isinstance(result, UnavailableError):
                return self.spool(result, number, deposit, body)
            self._give_up(number, result)
        except KuraError as error:
            return error
        return result

    def _renumbered(self, number: Number) -> Number:
        """Go on behind all the vault has: the station's state was lost, or put back to an earlier one."""
        return self._work.state.renumber(number, self._work.exchange.health().newest)

    def _give_up(self, number: Number, error: KuraError) -> None:
        """Let go of a refused record's key. The number stays open: an earlier try may have arrived."""
        if number.key is not None and is_final(error):
            self._work.state.forget_key(number.record_id)

"""A station at work: numbers each record, sends it, and believes the vault only by its receipt.

Order of a deposit, and what a crash after each step leaves: the number durable and bound to a record id – open, and
the vault is asked about it later; the request sent – the same; the receipt checked and kept – done. Where the vault is
away: the spool durable – taken up at the next start. Nothing is called taken before its receipt was checked.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from vault.client.answers import Taken
from vault.client.batch import MAX_ITEM_BYTES, grouped
from vault.client.content import Content, content_of
from vault.client.deposit import JOURNAL_KINDS, Deposit
from vault.client.exchange import Health
from vault.client.outcomes import Delivery, Spooled
from vault.client.problems import is_away, is_final
from vault.client.sending import Sending
from vault.client.state import Number, Numbers, Status
from vault.client.workplace import Workplace
from vault.errors import KuraError, RefusedError, UnavailableError


class Station:
    """One station of one vault, for one process and one thread at a time.

    Every method that talks to the vault raises RefusedError where the vault refuses, UnavailableError where the same
    call may succeed later, and IntegrityError where an answer does not prove what it says.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], datetime] | None = None) -> None:
        """Take up a station's folder; nothing is sent yet.

        Raises:
            RefusedError: `station-busy`, another process has it; or what is wrong with the folder.
            UnavailableError: `state-failed`, `spool-failed`, `station-file-unreadable`.
        """
        self._work = Workplace(folder, clock)
        self._sending = Sending(self._work)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection and give the folder free."""
        self._work.close()

    def deposit(self, content: bytes | Path, deposit: Deposit, *, key: str | None = None) -> Taken | Spooled:
        """Deposit one record; where the vault is away, seal it into the spool.

        Args:
            content: the bytes, or a file.
            deposit: what is said of it.
            key: names the record for the station: the same call after a crash sends the same id and number. Give
                the same bytes under it.
        """
        body = content_of(content)
        number = self._work.state.claim(deposit.class_id, key)
        if number.status is Status.SPOOLED:
            self._work.spool.header(number.record_id).require_digest(body.digest)
            return Spooled(number.record_id, number.sequence)
        try:
            return self._sent(number, deposit, body)
        except UnavailableError as error:
            return self._sending.spool(error, number, deposit, body)

    def send(self, content: bytes | Path, deposit: Deposit, *, key: str | None = None) -> Taken:
        """Deposit one record as `deposit` does, without a spool: UnavailableError where the vault is away."""
        body = content_of(content)
        return self._sent(self._work.state.claim(deposit.class_id, key), deposit, body)

    def deposit_many(self, items: Sequence[tuple[bytes | Path, Deposit]]) -> list[Taken | Spooled | KuraError]:
        """Deposit many records: small ones share requests and durable commits. For each in order what became of it.

        Raises:
            UnavailableError: a file cannot be read; nothing was sent then.
        """
        bodies = [content_of(content) for content, _ in items]
        results: dict[int, Taken | Spooled | KuraError] = {}
        small = [
            index
            for index, (_, deposit) in enumerate(items)
            if bodies[index].size <= MAX_ITEM_BYTES and deposit.class_id not in JOURNAL_KINDS
        ]
        for group in grouped([bodies[index].size for index in small]):
            indexes = [small[place] for place in group]
            deposits = [items[index][1] for index in indexes]
            together = [
                (self._work.state.claim(deposit.class_id), deposit, bodies[index])
                for index, deposit in zip(indexes, deposits, strict=True)
            ]
            results |= zip(indexes, self._sending.send_together(together), strict=True)
            if any(isinstance(results[index], Taken) for index in indexes):
                self._upkeep_quietly()
        for index in (index for index in range(len(items)) if index not in results):
            try:
                results[index] = self.deposit(*items[index])
            except KuraError as error:
                results[index] = error
        return [results[index] for index in range(len(items))]

    def journal(
        self,
        kind: str,
        content: bytes | Path,
        *,
        ended_at: datetime,
        started_at: datetime | None = None,
        site: str | None = None,
        file_name: str | None = None,
    ) -> Taken | Spooled:
        """Hand in a journal, which is numbered, checked and spooled as a record is.

        Args:
            kind: one of `JOURNAL_KINDS`.
            content: the bytes, or a file.
            ended_at: the end of what it covers.
            started_at: the beginning of what it covers.
            site: as of `Deposit`.
            file_name: as of `Deposit`.
        """
        if kind not in JOURNAL_KINDS:
            raise RefusedError("journal-kind-unknown")
        covered = Deposit(class_id=kind, ended_at=ended_at, started_at=started_at, site=site, file_name=file_name)
        return self.deposit(content, covered)

    def send_spooled(self) -> Delivery:
        """Send the spool, oldest first, until it is empty or the vault is away; only an open vault takes it."""
        taken, refused = [], []
        for record_id in self._work.spool.record_ids():
            try:
                done = self._sending.deliver(record_id)
            except RefusedError as error:
                if not is_final(error) and error.code != "spool-malformed":
                    raise
                self._work.spool.set_aside(record_id)
                self._work.state.mark_used(record_id)
                refused.append((record_id, error))
                continue
            except UnavailableError as error:
                if not is_away(error):
                    raise
                break
            if done.is_compared:
                taken.append(done)
        if taken:
            self._upkeep_quietly()
        return Delivery(taken, refused, len(self._work.spool.record_ids()))

    def health(self) -> Health:
        """Ask how the vault is, and see to what is due."""
        health = self._work.exchange.health()
        self.upkeep()
        return health

    def numbers(self) -> Numbers:
        """Say how far the station's numbers are."""
        return self._work.state.numbers()

    def receipt(self, record_id: str) -> str | None:
        """Give the receipt (C2SP tlog-proof) that is kept of a record."""
        return self._work.state.receipt(record_id)

    def settle(self, is_gone: Callable[[str], bool] = lambda _: False) -> None:
        """Ask the vault about numbers that a crash, a lost answer or a refusal left open.

        Args:
            is_gone: tells of a key whether what it names will never be sent again: such a number is free, as one
                without a key is, once the vault says that it has no such record.
        """
        self._work.settle(is_gone)

    def upkeep(self) -> None:
        """See to what is due: numbers left open, buckets older than a day, a certificate in its last third."""
        self.settle()
        self._work.upkeep()

    def renew(self) -> None:
        """Change to a new key, made here, and its certificate."""
        self._work.renew()

    def _sent(self, number: Number, deposit: Deposit, body: Content) -> Taken:
        taken = self._sending.send(number, deposit, body)
        self._upkeep_quietly()
        return taken

    def _upkeep_quietly(self) -> None:
        """A record was taken: what else is due must not make that look like a failure, and is tried again."""
        with suppress(KuraError):
            self.upkeep()

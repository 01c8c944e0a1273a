"""Taking what arrives: small documents whole and together, large ones as they stream; within memory and threads."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from vault.api.batch import MAX_BYTES, Document, parse_batch
from vault.api.body import Body
from vault.api.content_digest import ContentDigest, DigestCheck
from vault.api.pipe import Pipe
from vault.api.rooms import Room
from vault.errors import KuraError, RefusedError
from vault.people.stations import Station
from vault.records.announcement import Announced
from vault.records.deposited import Deposited, Outcome
from vault.records.order import OpenSource, Order
from vault.records.reception import Reception
from vault.records.source import BytesSource
from vault.records.spooled import spooled_order
from vault.records.station_clock import by_both_clocks
from vault.records.vault import Vault

_SMALL_BYTES = 1 << 20  # taken whole; larger ones stream through a thread each
_STREAMS, _STREAMS_OF_ONE = 16, 8  # threads for large ones, of all stations and of one
_SMALL_HELD_BYTES = 16 << 20  # of small ones, on their way in
_BATCHES_HELD_BYTES = MAX_BYTES
_PATIENCE_S = 60.0  # for memory or a thread


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that arrives, and what was said of it beforehand."""

    body: Body
    content_bytes: int | None  # where it was announced
    digest: ContentDigest


class Intake:
    """Takes what stations send. Used by one event loop."""

    def __init__(self, vault: Vault) -> None:
        """Take into this vault."""
        self._vault = vault
        self._reception = Reception(vault.deposits)
        self._threads = ThreadPoolExecutor(_STREAMS, thread_name_prefix="upload")
        self._small = Room(_SMALL_HELD_BYTES, _PATIENCE_S)
        self._batches = Room(_BATCHES_HELD_BYTES, _PATIENCE_S)
        self._streams = Room(_STREAMS, _PATIENCE_S)
        self._streams_of: dict[str, Room] = {}

    def close(self) -> None:
        """Finish what is under way; requests have ended."""
        self._threads.shutdown()
        self._reception.close()

    async def take(self, station: Station, said: Announced, upload: Upload) -> Deposited:
        """Take one record; errors as `Deposits.deposit`, and those of `Body`, `Room` and `Pipe`."""
        request = by_both_clocks(said.request, said.sent_at, self._vault.ground.clock())
        record_class = self._vault.deposits.check(station.actor(), station.contract_id, request)
        size = upload.content_bytes
        if size is not None and size > record_class.max_bytes:
            raise RefusedError("content-too-large", record_class=record_class.id, max_bytes=record_class.max_bytes)

        def order(open_source: OpenSource) -> Order:
            return Order(station.actor(), station.contract_id, request, open_source, upload.digest.sha256)

        if size is not None and size <= _SMALL_BYTES and upload.digest.sha512 is None:
            async with self._small.lent(size):
                source = BytesSource(await upload.body.whole(size))
                return await asyncio.wrap_future(self._reception.deposit(order(lambda: source)))
        rest = replace(upload.digest, sha256=None)  # the order has this one, which is counted anyway
        return await self._stream(
            station,
            replace(upload, digest=rest),
            lambda pipe: self._reception.prepare_and_deposit(order(lambda: pipe)),
        )

    async def take_spooled(self, station: Station, record_id: str, upload: Upload) -> Deposited:
        """Take a record that the station had sealed; errors as `take`, and those of `spooled_order`."""
        vault = self._vault
        opened = partial(spooled_order, vault.ground, vault.buckets, station.actor(), station.contract_id, record_id)
        return await self._stream(
            station, upload, lambda pipe: self._reception.prepare_and_deposit(opened(pipe.read_into))
        )

    async def take_batch(self, station: Station, upload: Upload) -> list[tuple[Document, Outcome]]:
        """Take a batch, all its documents that are good under one commit: an outcome for each, in order.

        Raises:
            KuraError: of the batch as a whole; then nothing of it is taken.
        """
        size = upload.content_bytes
        if size is not None and size > MAX_BYTES:
            raise RefusedError("request-too-large", most=MAX_BYTES)
        async with self._batches.lent(MAX_BYTES if size is None else size):
            body, check = await upload.body.whole(MAX_BYTES), DigestCheck(upload.digest)
            check.update(body)
            check.finish()
            documents = parse_batch(body)
            return list(zip(documents, await self._take_together(station, documents), strict=True))

    async def _take_together(self, station: Station, documents: Sequence[Document]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        orders: dict[int, Order] = {}
        now = self._vault.ground.clock()
        for position, document in enumerate(documents):
            if isinstance(document.announced, KuraError):
                outcomes[position] = document.announced
                continue
            request = by_both_clocks(document.announced.request, document.announced.sent_at, now)
            source = partial(BytesSource, document.content)
            orders[position] = Order(station.actor(), station.contract_id, request, source, document.sha256)
        answers = self._reception.deposit_together(list(orders.values()))
        settled = await asyncio.gather(*map(asyncio.wrap_future, answers), return_exceptions=True)
        for position, outcome in zip(orders, settled, strict=True):
            if not isinstance(outcome, Deposited | KuraError):
                raise outcome
            outcomes[position] = outcome
        return [outcomes[position] for position in range(len(documents))]

    async def _stream(self, station: Station, upload: Upload, work: Callable[[Pipe], Deposited]) -> Deposited:
        """Feed a body to a thread that does `work`."""
        own = self._streams_of.setdefault(station.name, Room(_STREAMS_OF_ONE, _PATIENCE_S))
        async with own.lent(1), self._streams.lent(1):
            pipe = Pipe(upload.digest)
            feeding = asyncio.create_task(_feed(upload.body, pipe))
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, work, pipe)
            finally:
                feeding.cancel()
                pipe.fail(RefusedError("body-cut", received=0))  # where the thread still waits, nobody feeds it now


async def _feed(body: Body, pipe: Pipe) -> None:
    try:
        async for piece in body.pieces():
            await pipe.write(piece)
    except KuraError as error:
        pipe.fail(error)
    else:
        pipe.end()

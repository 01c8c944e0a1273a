"""The host verb that takes records: one item for each, answered one by one as they become durable."""

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from vault.cli.host.call import Call, Fields, Item
from vault.cli.owner.wire import encode_error
from vault.errors import KuraError, RefusedError
from vault.records.bulk import deposit_many
from vault.records.deposited import Outcome
from vault.records.import_id import import_id
from vault.records.request import DepositRequest
from vault.records.source import FileSource, Source

_PATH_LENGTH = 2 * 4096  # PATH_MAX, in hex


def deposit(call: Call) -> dict[str, Any]:
    """Take each item's file as a record; tell its receipt or error by the position of the item.

    Errors of single records are told, not raised.
    """
    contract_id, actor = call.contract_id(), call.person()
    counts = {"taken": 0, "there_before": 0, "refused": 0}
    items = _Items(call)
    try:
        for number, outcome in deposit_many(call.vault.deposits, actor, contract_id, items.requests()):
            counts[_kind(outcome)] += 1
            call.tell({"position": items.finish(number)} | _values(outcome))
    finally:
        items.close()
    for position, error in items.malformed:
        counts["refused"] += 1
        call.tell({"position": position, "error": encode_error(error)})
    log = call.vault.ground.log_of(contract_id)
    return counts | {"contract": contract_id, "log_vkey": log.key.encode()}


class _Items:
    """The items of a call as deposits. Drawn from in one thread, finished in another."""

    def __init__(self, call: Call) -> None:
        self.malformed: list[tuple[int, KuraError]] = []  # by position; they were never deposits
        self._call = call
        self._lock = threading.Lock()
        self._positions: list[int] = []  # of each deposit, among the items
        self._descriptors: dict[int, int] = {}  # by the number of the deposit

    def requests(self) -> Iterator[tuple[DepositRequest, Callable[[], Source]]]:
        """Give each item that can be a deposit."""
        for position, item in enumerate(self._call.items):
            try:
                request = _request(self._call, item)
            except KuraError as error:
                os.close(item.descriptor)
                self.malformed.append((position, error))
                continue
            with self._lock:
                self._descriptors[len(self._positions)] = item.descriptor
                self._positions.append(position)
            yield request, partial(FileSource, item.descriptor)

    def finish(self, number: int) -> int:
        """Close a deposit's file; give the position of its item."""
        with self._lock:
            os.close(self._descriptors.pop(number))
            return self._positions[number]

    def close(self) -> None:
        """Close every file that is still open."""
        with self._lock:
            while self._descriptors:
                os.close(self._descriptors.popitem()[1])


def _request(call: Call, item: Item) -> DepositRequest:
    fields = Fields(item.fields)
    return DepositRequest(
        id=_record_id(call, fields, item.descriptor),
        class_id=fields.text("class_id"),
        subject_key=fields.optional_text("subject_key"),
        started_at=fields.instant("started_at"),
        ended_at=fields.instant("ended_at") or call.vault.ground.clock(),
        site=fields.optional_text("site"),
        sequence=fields.integer("sequence"),
        title_code=fields.optional_text("title_code"),
        file_name=fields.optional_text("file_name"),
    )


def _record_id(call: Call, fields: Fields, descriptor: int) -> str:
    """Give the id that the depositor chose, or that of an imported file by its path below the folder, in hex."""
    path = fields.optional_text("path", most=_PATH_LENGTH)
    if path is None:
        return fields.text("id")
    try:
        relative = bytes.fromhex(path)
    except ValueError as error:
        raise RefusedError("argument-wrong", name="path") from error
    facts = os.fstat(descriptor)
    scope = (call.vault.ground.vault_id, call.contract_id(), fields.text("class_id"))
    return import_id(scope, relative, facts.st_size, facts.st_mtime_ns)


def _kind(outcome: Outcome) -> str:
    if isinstance(outcome, KuraError):
        return "refused"
    return "taken" if outcome.is_new else "there_before"


def _values(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, KuraError):
        return {"error": encode_error(outcome)}
    return {
        "record": outcome.record_id,
        "receipt": outcome.receipt.encode(),
        "digest": outcome.digest.hex() if outcome.digest is not None else None,
        "salt": outcome.salt.hex() if outcome.salt is not None else None,
        "is_new": outcome.is_new,
        "is_compared": outcome.is_compared,
    }

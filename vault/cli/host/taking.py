"""The host verb that takes records: one item for each, answered one by one as they become durable."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from vault.cli.host.call import Call, Fields, Item
from vault.cli.owner.wire import encode_error
from vault.errors import KuraError, RefusedError
from vault.records.bulk import Outcome, deposit_many
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
    opened = _Opened()
    try:
        items = _requests(call, opened)
        for position, outcome in deposit_many(call.vault.deposits, actor, contract_id, items):
            opened.close(position)
            values = _values(outcome)
            counts[_kind(outcome)] += 1
            call.tell({"position": position} | values)
    finally:
        opened.close_all()
    log = call.vault.ground.log_of(contract_id)
    return counts | {"contract": contract_id, "log_vkey": log.key.encode()}


class _Opened:
    """The descriptors of records on their way, by position."""

    def __init__(self) -> None:
        self._descriptors: dict[int, int] = {}
        self._lock = threading.Lock()

    def add(self, position: int, descriptor: int) -> None:
        with self._lock:
            self._descriptors[position] = descriptor

    def close(self, position: int) -> None:
        with self._lock:
            os.close(self._descriptors.pop(position))

    def close_all(self) -> None:
        for position in list(self._descriptors):
            self.close(position)


def _requests(call: Call, opened: _Opened) -> Iterator[tuple[DepositRequest, Callable[[], Source]]]:
    for position, item in enumerate(call.items):
        opened.add(position, item.descriptor)
        yield _request(call, item), lambda descriptor=item.descriptor: FileSource(descriptor)


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

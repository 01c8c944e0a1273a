"""Host verbs that find and show records."""

import os
from datetime import datetime
from typing import Any

from vault.cli.host.call import Call
from vault.errors import RefusedError, UnavailableError
from vault.ledger.event import format_instant
from vault.people.purpose import ViewPurpose
from vault.records.reading import Purpose
from vault.records.request import check_record_id
from vault.records.search import Query

_PAGE = 50
_TELL_EVERY_BYTES = 16 << 20


def find(call: Call) -> dict[str, Any]:
    """Find records, newest first, one page."""
    fields = call.fields
    query = Query(
        class_ids=fields.texts("classes"),
        subject_key=fields.optional_text("subject_key"),
        ended_from=fields.instant("ended_from"),
        ended_before=fields.instant("ended_before"),
        station=fields.optional_text("station"),
        status=fields.optional_text("status"),
        after=_after(fields.optional_text("after")),
        limit=fields.integer("limit", _PAGE) or 0,
    )
    page = call.vault.searches.search(call.person(), call.contract_id(), query)
    after = f"{format_instant(page.next_after[0])},{page.next_after[1]}" if page.next_after else None
    return {"records": [_plain(record) for record in page.records], "after": after}


def show(call: Call) -> dict[str, Any]:
    """Write a record's bytes to the one item's descriptor, each part authenticated before it is written."""
    item = next(call.items, None)
    if item is None:
        raise RefusedError("request-malformed")
    try:
        record_id = call.fields.text("id")
        check_record_id(record_id)
        purpose = Purpose(_purpose(call.fields.text("purpose")), call.fields.optional_text("reason") or "")
        reading = call.vault.readings.read(call.person(), call.contract_id(), record_id, purpose)
        written = told = 0
        for part in reading.parts():
            _write(item.descriptor, part)
            written += len(part)
            if written - told >= _TELL_EVERY_BYTES:
                told = written
                call.tell({"done": written, "total": reading.content_bytes})
        return {"record": record_id, "media_type": reading.media_type, "content_bytes": reading.content_bytes}
    finally:
        os.close(item.descriptor)


def _purpose(code: str) -> ViewPurpose:
    if code not in set(ViewPurpose):
        raise RefusedError("purpose-unknown", purposes=", ".join(ViewPurpose))
    return ViewPurpose(code)


def _after(text: str | None) -> tuple[datetime, str] | None:
    if text is None:
        return None
    instant, _, record_id = text.partition(",")
    try:
        at = datetime.fromisoformat(instant)
    except ValueError as error:
        raise RefusedError("argument-wrong", name="after") from error
    if at.tzinfo is None:
        raise RefusedError("argument-wrong", name="after")
    check_record_id(record_id)
    return at, record_id


def _write(descriptor: int, part: memoryview) -> None:
    try:
        while part:
            part = part[os.write(descriptor, part) :]
    except OSError as error:
        raise UnavailableError("output-failed", reason=type(error).__name__) from error


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    return {name: format_instant(value) if isinstance(value, datetime) else value for name, value in record.items()}

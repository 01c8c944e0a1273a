"""The search verb: by class, subject key, dates, station and status, newest first, page by page; logged before shown.

A subject key is looked for by one token per live bucket of the classes asked; what was asked goes to the event's
sealed part. Only classes that the actor may read are searched.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, select, tuple_

from vault.canonical_json import Json
from vault.errors import RefusedError, SealedError
from vault.ledger.event import EventKind, format_instant
from vault.people.actor import Actor
from vault.people.authority import Act, require
from vault.records.buckets import Buckets
from vault.records.event_parts import append_with_part
from vault.records.ground import Contract, Ground
from vault.sealing.index_token import SUBJECT_KEY, index_token
from vault.storage.tables import BucketRow, IndexTokenRow, ObjectRow, RecordRow

_SHOWN = ("id", "class_id", "status", "started_at", "ended_at", "site", "station", "sequence", "title_code")
_PER_QUERY = 500  # tokens, or records
_STATION = re.compile(r"(person|station):[A-Za-z0-9-]{1,32}")
MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; None looks for all.

    Attributes:
        class_ids: record classes; empty for every class that the actor may read.
        subject_key: the city's number of the case.
        ended_from: first instant of the end, inclusive.
        ended_before: last instant of the end, exclusive.
        station: who deposited, as "person:1001".
        status: "kept" or "quarantined".
        after: (ended_at, id) of the last record of the page before.
        limit: records per page, 1 to 500.
    """

    class_ids: Sequence[str] = ()
    subject_key: str | None = None
    ended_from: datetime | None = None
    ended_before: datetime | None = None
    station: str | None = None
    status: str | None = None
    after: tuple[datetime, str] | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """One page of what was found: columns of `records` that are not sealed, and the size of the content."""

    records: Sequence[dict[str, Any]]
    next_after: tuple[datetime, str] | None


class Searches:
    """Finds records of a vault for people."""

    def __init__(self, ground: Ground, buckets: Buckets) -> None:
        """Search this vault."""
        self._ground = ground
        self._buckets = buckets

    def search(self, actor: Actor, contract_id: str, query: Query) -> Page:
        """Find records, log the search, and give the page.

        Raises:
            RefusedError: the actor may not search one of the classes, or none of all; the denial is logged.
            SealedError: the vault is sealed.
        """
        if self._ground.keys.is_sealed:
            raise SealedError("vault-sealed")
        _check(query)
        contract = self._ground.contract(contract_id)
        try:
            class_ids = _allowed(actor, contract, query.class_ids)
        except RefusedError as error:
            if error.code == "not-allowed":
                append_with_part(self._ground, self._buckets, contract, EventKind.SEARCH_REFUSED, actor, {}, None)
            raise
        with self._ground.engine.connect() as connection:
            page = self._page(connection, contract_id, class_ids, query)
        body: dict[str, Json] = {"classes": class_ids, "found": len(page.records), **_codes(query)}
        part = {SUBJECT_KEY: query.subject_key} if query.subject_key is not None else None
        append_with_part(self._ground, self._buckets, contract, EventKind.RECORDS_SEARCHED, actor, body, part)
        return page

    def _page(self, connection: Connection, contract_id: str, class_ids: Sequence[str], query: Query) -> Page:
        # A query for each class and each part of a case: every one is a walk along an index that ends with the page.
        statements = [_statement(contract_id, class_id, query) for class_id in class_ids]
        if query.subject_key is not None:
            record_ids = self._of_case(connection, contract_id, class_ids, query.subject_key)
            parts = [record_ids[first : first + _PER_QUERY] for first in range(0, len(record_ids), _PER_QUERY)]
            statements = [statement.where(RecordRow.id.in_(part)) for statement in statements for part in parts]
        rows = [dict(row) for statement in statements for row in connection.execute(statement).mappings()]
        rows.sort(key=lambda row: (row["ended_at"], row["id"]), reverse=True)
        shown = rows[: query.limit]
        last = shown[-1] if len(rows) > query.limit else None
        return Page(shown, (last["ended_at"], last["id"]) if last else None)

    def _of_case(
        self, connection: Connection, contract_id: str, class_ids: Sequence[str], subject_key: str
    ) -> list[str]:
        """Give the records of a case, by one token per live bucket of these classes."""
        live = connection.scalars(
            select(BucketRow.id).where(
                BucketRow.contract_id == contract_id,
                BucketRow.class_id.in_(class_ids),
                BucketRow.state.in_(("open", "closed")),
            )
        ).all()
        rows = self._buckets.secrets.rows(connection, live)
        tokens = [
            index_token(self._buckets.secrets.opened(row).index_key, SUBJECT_KEY, subject_key) for row in rows.values()
        ]
        found: list[str] = []
        for first in range(0, len(tokens), _PER_QUERY):
            some = IndexTokenRow.token.in_(tokens[first : first + _PER_QUERY])
            found += connection.scalars(select(IndexTokenRow.record_id).where(some))
        return found


def _check(query: Query) -> None:
    """Refuse what no search asks for; what is left of it may stand in the open part of the event."""
    if not 1 <= query.limit <= MAX_PAGE:
        raise RefusedError("page-size-wrong", most=MAX_PAGE)
    if query.station is not None and not _STATION.fullmatch(query.station):
        raise RefusedError("station-malformed")
    if query.status not in (None, "kept", "quarantined"):
        raise RefusedError("status-unknown")


def _allowed(actor: Actor, contract: Contract, asked: Sequence[str]) -> list[str]:
    """Give the classes to search: those asked, each allowed; or all that the actor may read."""
    for class_id in asked:
        if class_id not in contract.policy.classes:
            raise RefusedError("class-unknown", record_class="?", contract=contract.id)
        require(actor, Act.SEARCH, contract.id, contract.policy.classes[class_id])
    if asked:
        return sorted(asked)
    allowed = []
    for class_id, record_class in contract.policy.classes.items():
        try:
            require(actor, Act.SEARCH, contract.id, record_class)
        except RefusedError:
            continue
        allowed.append(class_id)
    if not allowed:
        require(actor, Act.SEARCH, contract.id)
        raise RefusedError(
            "not-allowed", actor=actor.name, act=Act.SEARCH.value, contract=contract.id, record_class="-"
        )
    return sorted(allowed)


def _statement(contract_id: str, class_id: str, query: Query) -> Select[Any]:
    """One class's part of the page, by keyset: one more row than asked tells whether there is a next one."""
    statement = (
        select(*(getattr(RecordRow, name) for name in _SHOWN), ObjectRow.content_bytes)
        .join(ObjectRow, and_(ObjectRow.record_id == RecordRow.id, ObjectRow.component == "original"))
        .where(RecordRow.contract_id == contract_id, RecordRow.class_id == class_id)
        .order_by(RecordRow.ended_at.desc(), RecordRow.id.desc())
        .limit(query.limit + 1)
    )
    if query.ended_from is not None:
        statement = statement.where(RecordRow.ended_at >= query.ended_from)
    if query.ended_before is not None:
        statement = statement.where(RecordRow.ended_at < query.ended_before)
    if query.station is not None:
        statement = statement.where(RecordRow.station == query.station)
    if query.status is not None:
        statement = statement.where(RecordRow.status == query.status)
    if query.after is not None:
        # As one value: a database walks its index from there, where of an "or" it reads all that comes before.
        statement = statement.where(tuple_(RecordRow.ended_at, RecordRow.id) < query.after)
    return statement


def _codes(query: Query) -> dict[str, Json]:
    """What of a query the open part of its event may say."""
    codes: dict[str, Json] = {}
    for name in ("ended_from", "ended_before"):
        value = getattr(query, name)
        if value is not None:
            codes[name] = format_instant(value)
    for name in ("station", "status"):
        if getattr(query, name) is not None:
            codes[name] = getattr(query, name)
    return codes

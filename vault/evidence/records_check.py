"""Records against the ledger and their objects: each row compared with its event, each copy opened and hashed.

Runs page by page in child processes, for hashing and opening are all the work there is. Without keys it compares the
stored bytes with their keyless digest, and claims less.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from vault.canonical_json import Json
from vault.errors import IntegrityError, KuraError
from vault.evidence.copies_check import CopiesCheck
from vault.evidence.page import Found, read_page
from vault.evidence.verdict import Verdict
from vault.ledger.event import EventKind, format_instant
from vault.records.deposit_event import commitment_of, deposit_body
from vault.records.opening import OpenedRecord, Opener, StoredRecord, opener_for
from vault.sealing.bucket_secrets import BucketSecrets
from vault.sealing.index_token import SUBJECT_KEY, index_token
from vault.storage.objects import ObjectStore

_DEPOSIT_KIND = f'"kind":"{EventKind.DEPOSIT_ACCEPTED.value}"'.encode()


class RecordsCheck:
    """What a child process needs; inherited when it is forked."""

    def __init__(
        self, engine: Engine, stores: Sequence[ObjectStore], secrets: BucketSecrets | None, away: Collection[int] = ()
    ) -> None:
        """Check the records of this database; without `secrets` keyless; the stores at the places `away` not."""
        self.engine = engine
        self._secrets = secrets
        self._copies = CopiesCheck(stores, away)

    def open_all(self, connection: Connection) -> None:
        """Open every bucket now, so that the key store is not needed any more."""
        if self._secrets is not None:
            self._secrets = self._secrets.open_all(connection)

    def page(self, record_ids: Sequence[str]) -> Verdict:
        """Check consecutive records; where one cannot even be read, each by itself, so that it is named."""
        try:
            return self._page(record_ids)
        except (ValueError, TypeError, ArithmeticError) as error:
            verdict = Verdict()
            if len(record_ids) == 1:
                what = f"records/{record_ids[0]}"
                verdict.found(what, IntegrityError("check-unfinished", reason=type(error).__name__))
                return verdict
            for record_id in record_ids:
                verdict.join(self.page([record_id]))
            return verdict

    def _page(self, record_ids: Sequence[str]) -> Verdict:
        verdict = Verdict()
        with self.engine.connect() as connection, connection.begin():
            page = read_page(connection, record_ids)
            records = [found.record for found in page.values()]
            opener = None if self._secrets is None else opener_for(connection, self._secrets, records)
        to_open: list[tuple[StoredRecord, OpenedRecord]] = []
        for record_id in record_ids:
            what, found = f"records/{record_id}", page.get(record_id)
            try:
                if found is not None:
                    self._copies.check_rows(found.record, verdict)
                if found is None:
                    verdict.differs(what)  # its envelope or its object has no row
                elif found.entry is None or not is_deposit(found.entry):
                    verdict.differs(f"{what}/entry_index")
                elif opened := self._compared(found, json.loads(found.entry), opener, verdict):
                    to_open.append((found.record, opened))
                else:
                    self._copies.check_sealed(found.record, verdict)
            except KuraError as error:
                verdict.found(what, error)
        self._copies.check(to_open, verdict)
        return verdict

    def _compared(
        self, found: Found, event: Mapping[str, Any], opener: Opener | None, verdict: Verdict
    ) -> OpenedRecord | None:
        """Compare a record's rows with its event and with what it holds; give what was opened: None keyless."""
        record = found.record
        if record.bucket_id != record.values["bucket_id"]:
            verdict.differs(f"records/{record.values['id']}/envelope_id")
        if opener is None:
            _compare_event(record, event, event["body"].get("commitment", ""), verdict)
            return None
        opened = opener.open(record)
        _compare_event(record, event, commitment_of(opened.metadata.salt, opened.metadata.digest), verdict)
        self._compare_tokens(found, opened.metadata.fields.get(SUBJECT_KEY), opener, verdict)
        return opened

    def _compare_tokens(self, found: Found, subject_key: str | None, opener: Opener, verdict: Verdict) -> None:
        expected = set()
        if found.record.values["is_indexed"] and subject_key is not None and self._secrets is not None:
            index_key = self._secrets.opened(opener.bucket(found.record)).index_key
            expected = {index_token(index_key, SUBJECT_KEY, subject_key)}
        if found.tokens != expected:
            verdict.differs(f"index_tokens/{found.record.values['id']}")


def is_deposit(entry: bytes) -> bool:
    """Tell a deposit's entry without reading it whole: inside a string, quotes would be escaped."""
    return _DEPOSIT_KIND in entry


def _compare_event(record: StoredRecord, event: Mapping[str, Any], commitment: str, verdict: Verdict) -> None:
    """Compare the columns with the event; name each that differs."""
    values, what = record.values, f"records/{record.values['id']}"
    expected: Mapping[str, Json] = deposit_body(values, record.objects, commitment)
    body = event["body"]
    if expected != body:
        differing = sorted(name for name in set(expected) | set(body) if expected.get(name) != body.get(name))
        verdict.differs(f"{what}/{','.join(differing)}")
    if (values["station"], format_instant(values["deposited_at"])) != (event["actor"], event["at"]):
        verdict.differs(f"{what}/station,deposited_at")

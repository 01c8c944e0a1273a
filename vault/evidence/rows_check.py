"""Rows against events: ledgers, contracts, buckets, people – everything but records, that an event made."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from vault.errors import IntegrityError, KuraError
from vault.evidence.compared import all_rows, compare_rows
from vault.evidence.stations_check import STATION_KINDS, StationEvents
from vault.evidence.verdict import Verdict
from vault.keys.keystore import KeyStore
from vault.ledger.event import Event, EventKind
from vault.ledger.note import VerifierKey
from vault.records.founding import ledger_body, policy_digest
from vault.sealing.bucket import check_public_half, describe, open_bucket
from vault.storage.tables import BucketRow, ContractRow, GrantRow, LedgerRow, PersonRow


class EventRows:
    """What the events say that rows must be; fed entry by entry, then compared."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._first: dict[str, Event] = {}
        self._policies: dict[str, str] = {}
        self._buckets: dict[str, Mapping[str, Any]] = {}
        self._added: dict[str, Any] = {}
        self._grants: dict[tuple[str, str, str], Any] = {}
        self.stations = StationEvents()
        self.lost: dict[str, dict[str, Any]] = {}  # by closed ledger: the last checkpoint known of it

    def take(self, ledger_id: str, index: int, event: Event) -> None:
        """Learn from one event that is not a deposit."""
        body: Any = event.body
        if index == 0:
            self._first[ledger_id] = event
        if event.kind is EventKind.LEDGER_OPENED and "policy" in body:
            self._policies[body["contract"]] = body["policy"]
        elif event.kind is EventKind.LEDGER_RECOVERED:
            self.lost[body["old"]["ledger"]] = body.get("last_known", {})
        elif event.kind is EventKind.BUCKETS_CREATED:
            self._buckets.update((bucket["bucket"], bucket) for bucket in body["buckets"])
        elif event.kind in STATION_KINDS:
            self.stations.take(event)
        elif event.kind is EventKind.ROLE_GRANTED:
            self._added[body["number"]] = min(self._added.get(body["number"], event.at), event.at)
            self._grants[body["number"], body["contract"], body["role"]] = event.at

    def compare(self, connection: Connection, keys: KeyStore | None, verdict: Verdict) -> None:
        """Compare all these rows; with `keys` also what only the key store can tell."""
        self._compare_ledgers(all_rows(connection, LedgerRow), keys, verdict)
        self._compare_contracts(all_rows(connection, ContractRow), verdict)
        self._compare_buckets(connection, keys, verdict)
        people = {row["number"]: row["added_at"] for row in all_rows(connection, PersonRow)}
        compare_rows("persons", people, self._added, verdict)
        grants = {
            (row["person_number"], row["contract_id"], row["role"]): row["granted_at"]
            for row in all_rows(connection, GrantRow)
        }
        compare_rows("grants", grants, self._grants, verdict)
        self.stations.compare(connection, keys, verdict)

    def _compare_ledgers(self, rows: list[dict[str, Any]], keys: KeyStore | None, verdict: Verdict) -> None:
        for values in rows:
            row = LedgerRow(**values)
            what = f"ledgers/{row.id}"
            first = self._first.get(row.id)
            said: Any = first.body if first is not None else {}
            if any(said.get(name) != value for name, value in ledger_body(row).items()):
                verdict.differs(what)
            if row.state != ("closed" if row.id in self.lost else "open"):
                verdict.differs(f"{what}/state")
            if keys is None:
                continue
            try:
                if VerifierKey.decode(row.vkey).public_key != keys.public_key(row.signing_key_id):
                    verdict.differs(f"{what}/vkey")
            except KuraError as error:
                verdict.found(what, error)

    def _compare_contracts(self, rows: list[dict[str, Any]], verdict: Verdict) -> None:
        stored = {row["id"]: (policy_digest(row["policy"]), row["ledger_id"]) for row in rows}
        said = {name: (digest, self._open_ledger(name)) for name, digest in self._policies.items()}
        compare_rows("contracts", stored, said, verdict)

    def _open_ledger(self, contract_id: str) -> str:
        """The ledger that no recovery closed."""
        first = {
            ledger_id
            for ledger_id, event in self._first.items()
            if isinstance(event.body, Mapping) and event.body.get("contract") == contract_id
        }
        return next(iter(sorted(first - set(self.lost))), "")

    def _compare_buckets(self, connection: Connection, keys: KeyStore | None, verdict: Verdict) -> None:
        signers = _signers(connection, keys)
        rows = {values["id"]: BucketRow(**values) for values in all_rows(connection, BucketRow)}
        stored = {bucket_id: describe(row) for bucket_id, row in rows.items()}
        compare_rows("buckets", stored, self._buckets, verdict)
        for bucket_id, row in rows.items():
            what = f"buckets/{bucket_id}"
            try:
                check_public_half(row, signers)
                if row.state != "open":
                    verdict.differs(f"{what}/state")
                if keys is not None:
                    open_bucket(row, keys)
            except (KuraError, ValueError) as error:
                verdict.found(what, error if isinstance(error, KuraError) else IntegrityError("row-differs", what=what))
        verdict.counts["buckets"] += len(rows)
        if keys is not None:
            missing = {row.key_id for row in rows.values()} - keys.disposal_key_ids()
            for key_id in sorted(missing):
                verdict.found("keys/store", IntegrityError("disposal-key-missing", bucket=key_id, count=len(missing)))


def _signers(connection: Connection, keys: KeyStore | None) -> dict[str, bytes]:
    """Who may vouch for buckets: the key store's signing keys, or without it the ledgers' own."""
    if keys is not None:
        return {key_id: keys.public_key(key_id) for key_id in keys.signing_key_ids()}
    query = select(LedgerRow.signing_key_id, LedgerRow.vkey)
    return {row.signing_key_id: VerifierKey.decode(row.vkey).public_key for row in connection.execute(query)}

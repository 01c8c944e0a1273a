"""What a station asks the vault, one method for each route; an answer about a record is checked before it is given."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vault.canonical_json import Json
from vault.client.answers import Ledger, Sent, Taken
from vault.client.batch import MEDIA_TYPE as BATCH
from vault.client.batch import BatchBody, BatchItem, results_of
from vault.client.connection import Answer, Connection, Request
from vault.client.content import Content, content_of
from vault.client.deposit import JOURNAL_KINDS, Deposit, base64url, header_text
from vault.client.problems import told
from vault.client.state import Number
from vault.errors import IntegrityError, KuraError, RefusedError
from vault.ledger.event import format_instant, parse_instant
from vault.ledger.strict_text import encode_base64
from vault.sealing.spooled import MEDIA_TYPE as SPOOLED
from vault.sealing.spooled import SpoolHeader

_TRIES = 4
_NEW = 201
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Health:
    """How the vault is.

    Attributes:
        is_sealed: it takes most records all the same; spools it takes only when open.
        takes: it takes records now.
        clock_ahead_s: how far the station's clock is ahead of the vault's, the way there and back left in.
        newest: the station's highest number that the vault has; 0 where it has none.
    """

    is_sealed: bool
    takes: bool
    clock_ahead_s: float
    newest: int


class Exchange:
    """Asks one vault for one station.

    Every method raises what `Connection.request` does, and IntegrityError `vault-answer-malformed`.
    """

    def __init__(
        self,
        connection: Connection,
        ledger: Ledger,
        checkpoint: Callable[[], str | None],
        clock: Callable[[], datetime],
    ) -> None:
        """Ask over this connection.

        Args:
            connection: to the vault.
            ledger: whose the receipts must be.
            checkpoint: gives the largest signed checkpoint known here, which every deposit shows to the vault: one
                that was put back to yesterday is found out.
            clock: the station's.
        """
        self._connection, self._ledger, self._checkpoint, self._clock = connection, ledger, checkpoint, clock

    def deposit(self, number: Number, deposit: Deposit, content: Content) -> Taken:
        """Send one record, or one journal; IntegrityError where the receipt is not of it."""

        def make() -> Request:
            members, digest = self._members(number, deposit), encode_base64(content.digest)
            if deposit.class_id in JOURNAL_KINDS:
                del members["class"]
                method, path = "POST", f"/v1/journals/{deposit.class_id}"
                members["id"] = number.record_id
            else:
                method, path = "PUT", f"/v1/deposits/{number.record_id}"
            headers = {"Kura-Deposit": header_text(members), "Content-Digest": f"sha-256=:{digest}:"}
            return Request(method, path, self._with_checkpoint(headers), content)

        return self._taken(self._connection.request(make, _TRIES), _sent(number, content.digest))

    def deposit_batch(self, items: Sequence[tuple[Number, Deposit, Content]]) -> list[Taken | KuraError]:
        """Send several small records in one request; for each in order what became of it."""

        def make() -> Request:
            body = BatchBody(
                [
                    BatchItem(self._members(number, deposit) | {"id": number.record_id}, content)
                    for number, deposit, content in items
                ]
            )
            return Request("POST", "/v1/deposits:batch", self._with_checkpoint({"Content-Type": BATCH}), body)

        answer = self._connection.request(make, _TRIES)
        return [
            self._result(result, _sent(number, content.digest))
            for result, (number, _, content) in zip(results_of(answer.body, len(items)), items, strict=True)
        ]

    def deliver(self, header: SpoolHeader, number: Number | None, spool: Content) -> Taken:
        """Send one spool; errors as `deposit`.

        Args:
            header: of the spool.
            number: of its record; None where the station's state was lost, and only the record's id is known.
            spool: the file.
        """
        path = f"/v1/deposits/{header.id}"

        def make() -> Request:
            return Request("PUT", path, self._with_checkpoint({"Content-Type": SPOOLED}), spool)

        class_id, sequence = (number.class_id, number.sequence) if number is not None else (None, None)
        # Once: a spool waits for days if need be, and not for the next seconds.
        return self._taken(self._connection.request(make, 1), Sent(header.id, class_id, sequence, header))

    def receipt(self, number: Number) -> Taken | None:
        """Ask for the receipt of a record, its bytes not compared; None where the vault does not have it."""
        try:
            answer = self._get(f"/v1/deposits/{number.record_id}/receipt")
        except RefusedError as error:
            if error.facts.get("status") == _NOT_FOUND:
                return None
            raise
        try:
            text = answer.decode()
        except UnicodeDecodeError as error:
            raise IntegrityError("vault-answer-malformed") from error
        receipt, checkpoint, _ = self._ledger.check(text, _sent(number, b""))
        return Taken(number.record_id, receipt, checkpoint, is_new=False, is_compared=False)

    def health(self) -> Health:
        """Ask how the vault is, and that it is the one this station belongs to.

        Raises:
            IntegrityError: `vault-differs`: another station, contract or ledger than this folder is of.
        """
        values = _object(self._get("/v1/health"))
        try:
            mine = (self._ledger.station, self._ledger.contract, self._ledger.key.encode())
            if tuple(values[name] for name in ("station", "contract", "log_vkey")) != mine:
                raise IntegrityError("vault-differs")
            ahead = self._clock() - parse_instant(values["time"])
            return Health(bool(values["sealed"]), bool(values["takes"]), ahead.total_seconds(), int(values["newest"]))
        except (KeyError, ValueError, TypeError) as error:
            raise IntegrityError("vault-answer-malformed") from error

    def buckets(self) -> bytes:
        """Fetch the public halves of the buckets that this station's records go to."""
        return self._get("/v1/buckets")

    def certify(self, request: bytes) -> bytes:
        """Have a certificate signing request (PEM) certified; give the certificate (PEM), not checked yet."""
        headers = {"Content-Type": "application/pkcs10"}
        body = content_of(request)
        return self._connection.request(lambda: Request("POST", "/v1/certificate", headers, body), 1).body

    def _get(self, path: str) -> bytes:
        return self._connection.request(lambda: Request("GET", path), 1).body

    def _members(self, number: Number, deposit: Deposit) -> dict[str, Json]:
        return deposit.members(number.sequence) | {"sent_at": format_instant(self._clock())}

    def _with_checkpoint(self, headers: dict[str, str]) -> dict[str, str]:
        note = self._checkpoint()
        return headers if note is None else headers | {"Kura-Checkpoint": base64url(note.encode())}

    def _taken(self, answer: Answer, sent: Sent) -> Taken:
        return self._ledger.taken(_object(answer.body), sent, is_new=answer.status == _NEW)

    def _result(self, result: dict[str, Any], sent: Sent) -> Taken | KuraError:
        try:
            if "problem" in result:
                return told(result["problem"], int(result["problem"]["status"]))
            return self._ledger.taken(result, sent, is_new=bool(result["new"]))
        except IntegrityError as error:
            return error
        except (KeyError, ValueError, TypeError):
            return IntegrityError("vault-answer-malformed")


def _sent(number: Number, digest: bytes) -> Sent:
    return Sent(number.record_id, number.class_id, number.sequence, digest)


def _object(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise IntegrityError("vault-answer-malformed") from error
    if not isinstance(values, dict):
        raise IntegrityError("vault-answer-malformed")
    return values

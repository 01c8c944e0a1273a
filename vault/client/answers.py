"""The vault's answer to a deposit, believed only where its receipt proves it. Pure.

A record is "sent" once all of this holds: the receipt is of the contract's ledger (log.vkey), its entry is the
acceptance of this record under this number from this station, and the entry's commitment opens to the SHA-256 of the
bytes that were sent.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vault.errors import IntegrityError, RefusedError
from vault.ledger.checkpoint import Checkpoint
from vault.ledger.event import EventKind, decode_entry
from vault.ledger.note import VerifierKey
from vault.ledger.receipt import Receipt
from vault.sealing.spooled import SpoolHeader

_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent: the bytes are known by their digest, or by the head of the spool they are sealed in."""

    record_id: str
    class_id: str | None  # None, as the number: of a spool whose station lost its state
    sequence: int | None
    content: bytes | SpoolHeader

    def require_digest(self, digest: bytes) -> None:
        """Check that a digest is of the bytes that were sent.

        Raises:
            IntegrityError: `receipt-not-ours`.
        """
        if isinstance(self.content, bytes):
            _require(hmac.compare_digest(self.content, digest), self.record_id, "digest")
            return
        try:
            self.content.require_digest(digest)
        except RefusedError as error:
            raise IntegrityError("receipt-not-ours", record=self.record_id, member="digest") from error


@dataclass(frozen=True, slots=True)
class Taken:
    """A record that the vault has.

    Attributes:
        record_id: the record.
        receipt: C2SP tlog-proof, to be kept.
        checkpoint: the receipt's, verified.
        is_new: False where the vault had it already.
        is_compared: False where a sealed vault could not compare the bytes with those it has: keep yours.
    """

    record_id: str
    receipt: Receipt
    checkpoint: Checkpoint
    is_new: bool
    is_compared: bool


@dataclass(frozen=True, slots=True)
class Ledger:
    """The ledger that a station's receipts are in: whose they must be."""

    key: VerifierKey
    contract: str
    station: str

    def taken(self, answer: Mapping[str, Any], sent: Sent, *, is_new: bool) -> Taken:
        """Check an answer to what was sent.

        Raises:
            IntegrityError: `vault-answer-malformed`; `receipt-not-ours`; what `Receipt.verify` raises.
        """
        try:
            record_id, text, is_compared = (answer[name] for name in ("record", "receipt", "compared"))
            digest, salt = answer["digest"], answer["salt"]
        except (KeyError, TypeError) as error:
            raise IntegrityError("vault-answer-malformed") from error
        # Only a vault that has the record already, and is sealed, may leave the comparison out.
        if not isinstance(text, str) or is_compared not in (True, False) or (is_new and not is_compared):
            raise IntegrityError("vault-answer-malformed")
        _require(record_id == sent.record_id, sent.record_id, "record")
        receipt, checkpoint, commitment = self.check(text, sent)
        if is_compared:
            if not all(isinstance(part, str) and _HEX.fullmatch(part) for part in (digest, salt)):
                raise IntegrityError("vault-answer-malformed")
            opened = hashlib.sha256(bytes.fromhex(salt) + bytes.fromhex(digest)).hexdigest()
            _require(hmac.compare_digest(opened, commitment), sent.record_id, "commitment")
            sent.require_digest(bytes.fromhex(digest))
        return Taken(sent.record_id, receipt, checkpoint, is_new, is_compared)

    def check(self, text: str, sent: Sent) -> tuple[Receipt, Checkpoint, str]:
        """Check a receipt but for its commitment, which is given beside it: the bytes are not looked at.

        Raises:
            IntegrityError: as `taken`.
        """
        receipt = Receipt.decode(text)
        checkpoint = receipt.verify(self.key)
        event = decode_entry(receipt.entry).event
        body = event.body
        wanted = {
            "record": sent.record_id,
            "class": sent.class_id,
            "contract": self.contract,
            "sequence": sent.sequence,
        }
        _require(event.kind is EventKind.DEPOSIT_ACCEPTED, sent.record_id, "kind")
        _require(event.actor == f"station:{self.station}", sent.record_id, "station")
        for member, value in wanted.items():
            _require(value is None or body.get(member) == value, sent.record_id, member)
        commitment = body.get("commitment")
        if not isinstance(commitment, str) or not _HEX.fullmatch(commitment):
            raise IntegrityError("receipt-not-ours", record=sent.record_id, member="commitment")
        return receipt, checkpoint, commitment


def _require(condition: bool, record_id: str, member: str) -> None:  # noqa: FBT001  # a private guard, read as its call
    if not condition:
        raise IntegrityError("receipt-not-ours", record=record_id, member=member)

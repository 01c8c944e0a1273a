"""`kura receipt check`: whether a receipt holds, and is of a document. Needs no vault and no network."""

import hashlib
import hmac
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from vault.cli.face import Answer, Face, command
from vault.cli.options import open_input, read_text
from vault.errors import IntegrityError, RefusedError
from vault.ledger.event import EventKind, decode_entry, format_instant
from vault.ledger.note import VerifierKey
from vault.ledger.receipt import Receipt
from vault.records.deposit_event import commitment_of

_SALT = re.compile(r"[0-9a-f]{64}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Receipts. 登録証明")
    command(group, "check")(check)
    group.callback()(_group)
    app.add_typer(group, name="receipt")


def _group() -> None:
    """Keep a group with one command a group."""


def check(
    face: Face,
    *,
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", help="登録証明（.tlog-proof）")],
    log_key: Annotated[
        str, typer.Option("--log-key", metavar="VKEY|FILE", help="The ledger's verifier key. 台帳の検証鍵")
    ],
    document: Annotated[Path | None, typer.Argument(metavar="[DOCUMENT]", help="照合する文書")] = None,
    salt: Annotated[str | None, typer.Option("--salt", help="As handed out with the receipt. ソルト")] = None,
) -> Answer:
    """登録証明を検証し、文書と照合します。Check a receipt, and that it is of a document."""
    key = _key(log_key)
    proof = Receipt.decode(_receipt_text(receipt))
    checkpoint = proof.verify(key)
    event = decode_entry(proof.entry).event
    values: dict[str, Any] = {
        "kind": event.kind.value,
        "at": format_instant(event.at),
        "record": event.body.get("record"),
        "index": proof.index,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "document": None,
    }
    if document is not None:
        _compare(document, salt, event.kind, event.body.get("commitment"))
        values["document"] = True
    face.say(
        f"The receipt holds: {values['kind']}, {values['at']}, record {values['record']}, entry {proof.index} of "
        f"{checkpoint.size} in {checkpoint.origin}.",
        f"登録証明は正しいものです：{values['kind']}、{values['at']}、記録 {values['record']}、"
        f"台帳 {checkpoint.origin} の {checkpoint.size} 件中 {proof.index} 番。",
    )
    if document is not None:
        face.say("The document is the one that was deposited.", "文書は登録されたものと同じです。")
    return Answer(values)


def _key(text: str) -> VerifierKey:
    path = Path(text)
    if "+" in text and not path.is_file():
        return VerifierKey.decode(text)
    return VerifierKey.decode(read_text(path).strip())


def _receipt_text(path: Path) -> str:
    """Read a receipt as it is: other line ends than written would be another file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise IntegrityError("receipt-malformed") from error
    except OSError as error:
        raise RefusedError("input-unreadable", reason=type(error).__name__) from error


def _compare(document: Path, salt: str | None, kind: EventKind, commitment: object) -> None:
    if salt is None or not _SALT.fullmatch(salt):
        raise RefusedError("receipt-salt-missing")
    if kind is not EventKind.DEPOSIT_ACCEPTED or not isinstance(commitment, str):
        raise RefusedError("receipt-not-of-deposit")
    with os.fdopen(open_input(document), "rb") as file:
        try:
            digest = hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise RefusedError("input-unreadable", reason=type(error).__name__) from error
    if not hmac.compare_digest(commitment_of(bytes.fromhex(salt), digest), commitment):
        raise IntegrityError("receipt-document-differs")

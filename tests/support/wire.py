"""Requests as bytes, as stations send them: forms, journals and batches."""

import base64
import json

import vaults
from narrow_api import FORM, deposit_header
from raw_http import head

PDF = vaults.pdf(1)
BATCH = "/v1/deposits:batch"


def base64url(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def said(**members: object) -> str:
    """The field that says what a form is; None leaves a member out."""
    return f"Kura-Deposit: {deposit_header(**members)}"


def header(text: str) -> str:
    """The field with this text in it, whatever it is."""
    return f"Kura-Deposit: {base64url(text.encode())}"


def put(*fields: str, content: bytes = PDF, path: str | None = None) -> bytes:
    """Deposit a form."""
    length = f"Content-Length: {len(content)}"
    return head("PUT", path or f"/v1/deposits/{vaults.new_id()}", length, *(fields or [said()])) + content


def post(path: str, *fields: str, content: bytes = b"") -> bytes:
    return head("POST", path, f"Content-Length: {len(content)}", *fields) + content


def batch_line(content: bytes, **members: object) -> bytes:
    """One document of a batch; None leaves a member out."""
    values = FORM | {"id": vaults.new_id(), "content_bytes": len(content)} | members
    return json.dumps({name: value for name, value in values.items() if value is not None}).encode() + b"\n" + content


def batch(content: bytes) -> bytes:
    return post(BATCH, "Content-Type: application/vnd.kura.batch", content=content)

"""Batches: many small documents in one body. Pure.

For each document a line of JSON that ends in LF – the members of Kura-Deposit, with `id`, `content_bytes` and, where
wanted, `sha256` in hex; then exactly that many bytes. Nothing stands between documents, nor after the last.
"""

import re
from dataclasses import dataclass
from typing import Any

from vault.errors import KuraError, RefusedError
from vault.records.announcement import Announced, announced, parse_members

MEDIA_TYPE = "application/vnd.kura.batch"
MAX_DOCUMENTS = 256
MAX_BYTES = 32 << 20
_MAX_LINE_BYTES = 16 << 10
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a batch: what is said of it, or why that cannot be taken; and its bytes."""

    record_id: str | None
    announced: Announced | KuraError
    sha256: bytes | None
    content: memoryview


def parse_batch(body: bytes) -> list[Document]:
    """Cut a batch into its documents.

    Raises:
        RefusedError: `batch-malformed`: where one ends cannot be told, there are none, or too many.
    """
    documents: list[Document] = []
    position, view = 0, memoryview(body)
    while position < len(body):
        end = body.find(b"\n", position, position + _MAX_LINE_BYTES)
        if end < 0 or len(documents) == MAX_DOCUMENTS:
            raise _malformed(len(documents))
        members = _members(body[position:end], len(documents))
        position, size = end + 1, members.pop("content_bytes", None)
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(body) - position:
            raise _malformed(len(documents))
        documents.append(_document(members, view[position : position + size]))
        position += size
    if not documents:
        raise _malformed(0)
    return documents


def _members(line: bytes, position: int) -> dict[str, Any]:
    try:
        return parse_members(line)
    except RefusedError as error:  # its bytes cannot be told from the next document
        raise _malformed(position) from error


def _document(members: dict[str, Any], content: memoryview) -> Document:
    record_id, sha256 = members.pop("id", None), members.pop("sha256", None)
    if not isinstance(record_id, str):
        return Document(None, RefusedError("record-id-malformed"), None, content)
    if sha256 is not None and (not isinstance(sha256, str) or not _SHA256.fullmatch(sha256)):
        return Document(record_id, RefusedError("content-digest-malformed"), None, content)
    try:
        said: Announced | KuraError = announced(record_id, members)
    except RefusedError as error:
        said = error
    return Document(record_id, said, None if sha256 is None else bytes.fromhex(sha256), content)


def _malformed(position: int) -> RefusedError:
    return RefusedError("batch-malformed", position=position)

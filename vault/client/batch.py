"""Many small deposits in one request, `POST /v1/deposits:batch`: its body and its answer."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vault.canonical_json import Json, canonical_json
from vault.client.content import Content
from vault.errors import IntegrityError

MEDIA_TYPE: Final = "application/vnd.kura.batch"
MAX_ITEMS: Final = 256
MAX_ITEM_BYTES: Final = 4 << 20
_MAX_BYTES: Final = 32 << 20  # of one request
_MAX_LINE_BYTES: Final = 16 << 10


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One deposit of a batch: its members of Kura-Deposit, `id` included, and its bytes."""

    members: dict[str, Json]
    content: Content

    def line(self) -> bytes:
        """Write the line that stands before the bytes."""
        measured: dict[str, Json] = {"content_bytes": self.content.size, "sha256": self.content.digest.hex()}
        return canonical_json(self.members | measured) + b"\n"


class BatchBody:
    """The body of a batch."""

    def __init__(self, items: Sequence[BatchItem]) -> None:
        """Take 1 to 256 items."""
        self._lines = [(item.line(), item.content) for item in items]
        self.size = sum(len(line) + content.size for line, content in self._lines)

    def parts(self) -> Iterator[bytes]:
        """Give it in order; errors as `Content.parts`."""
        for line, content in self._lines:
            yield line
            yield from content.parts()


def grouped(sizes: Sequence[int]) -> Iterator[range]:
    """Say which neighbours go together in one request, of contents that each are small enough for one.

    Args:
        sizes: of the contents, in bytes.
    """
    first, total = 0, 0
    for index, size in enumerate(sizes):
        needed = size + _MAX_LINE_BYTES
        if index - first == MAX_ITEMS or total + needed > _MAX_BYTES:
            yield range(first, index)
            first, total = index, 0
        total += needed
    if sizes:
        yield range(first, len(sizes))


def results_of(body: bytes, count: int) -> list[dict[str, Any]]:
    """Take an answer apart into what it says of each item, in order.

    Raises:
        IntegrityError: `vault-answer-malformed`.
    """
    try:
        results = json.loads(body)["results"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise IntegrityError("vault-answer-malformed") from error
    if not isinstance(results, list) or len(results) != count or not all(isinstance(one, dict) for one in results):
        raise IntegrityError("vault-answer-malformed")
    return results

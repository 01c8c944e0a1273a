"""The ledger's test vectors, made by golang.org/x/mod/sumdb and by hand, and how its tests name a refusal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vault.errors import KuraError

_FOLDER = Path(__file__).parents[1] / "vectors"
RFC6962: dict[str, Any] = json.loads((_FOLDER / "rfc6962.json").read_text("utf-8"))
SIGNED_NOTE: dict[str, Any] = json.loads((_FOLDER / "signed_note.json").read_text("utf-8"))


def entry(index: int) -> bytes:
    """Entry `index` of the tree that the vectors describe."""
    return b"entry-%d" % index


def unhex(hashes: list[str]) -> list[bytes]:
    """Decode a list of hashes."""
    return [bytes.fromhex(digest) for digest in hashes]


@contextmanager
def refused(error: type[KuraError], code: str) -> Iterator[None]:
    """Expect a refusal of this class with this code, which has its sentences."""
    with pytest.raises(error) as caught:
        yield
    assert caught.value.code == code
    assert caught.value.sentence("ja")

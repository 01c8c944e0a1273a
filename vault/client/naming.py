"""What a watched file says of its record: by its name, its time, or a sidecar beside it."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vault.client.deposit import Deposit
from vault.errors import RefusedError, UnavailableError
from vault.ledger.event import parse_instant

SIDECAR = ".json"
_MEMBERS = ("subject_key", "title_code", "site", "file_name")
_MOST_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Naming:
    """How files of one folder are described.

    Attributes:
        class_id: of all of them.
        subject_key_from: pattern with the group `subject_key`, found in the file's name; None for no subject key.
        has_sidecars: whether each file waits for `<its whole name>.json` with members of Kura-Deposit.
    """

    class_id: str
    subject_key_from: re.Pattern[str] | None = None
    has_sidecars: bool = False

    def describe(self, file: Path, facts: os.stat_result) -> Deposit:
        """Describe one file; where nothing says when it ended, that is when it was last written.

        Raises:
            RefusedError: `subject-key-not-in-name`, `sidecar-malformed`, `time-without-offset`.
            UnavailableError: `source-unreadable`.
        """
        values: dict[str, Any] = {"ended_at": datetime.fromtimestamp(facts.st_mtime, UTC), "file_name": file.name}
        if self.subject_key_from is not None:
            found = self.subject_key_from.search(file.name)
            if found is None or not found["subject_key"]:
                raise RefusedError("subject-key-not-in-name")
            values["subject_key"] = found["subject_key"]
        if self.has_sidecars:
            values |= _read_sidecar(sidecar_of(file))
        return Deposit(class_id=self.class_id, **values)


def sidecar_of(file: Path) -> Path:
    """Say where the sidecar of a file is."""
    return file.with_name(file.name + SIDECAR)


def _read_sidecar(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES)
    except OSError as error:
        raise UnavailableError("source-unreadable", reason=type(error).__name__) from error
    try:
        given = dict[str, Any](json.loads(text).items())
        values = {name: given.pop(name) for name in _MEMBERS if name in given}
        for name in ("ended_at", "started_at"):
            if name in given:
                values[name] = parse_instant(given.pop(name))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedError("sidecar-malformed") from error
    if given or not all(isinstance(values.get(name, ""), str) for name in _MEMBERS):
        raise RefusedError("sidecar-malformed")
    return values

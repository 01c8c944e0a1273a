"""What a station says of a record, and how the Kura-Deposit header says it. Pure."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vault.canonical_json import Json, canonical_json
from vault.errors import RefusedError
from vault.ledger.event import format_instant

JOURNAL_KINDS: Final = (
    "call_detail_record",
    "entry_log",
    "consignment_list",
    "counter_tally",
    "recorder_journal",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """One record to be deposited. What its members may be, the vault checks.

    Raises RefusedError `time-without-offset` where a time does not name its offset; `deposit-unwritable` where a text
    is none that UTF-8 can write, as names of files may be.

    Attributes:
        class_id: record class, as `application_form`; of a journal its kind.
        ended_at: aware: when the document was received, the recording ended or its case was closed.
        subject_key: the city's number of the case; never a My Number.
        started_at: aware: when the recording began; None for a document.
        title_code: code of the kind of document.
        site: where, by the policy's site id.
        file_name: how the file is called, without a folder.
    """

    class_id: str
    ended_at: datetime
    subject_key: str | None = None
    started_at: datetime | None = None
    title_code: str | None = None
    site: str | None = None
    file_name: str | None = None

    def __post_init__(self) -> None:
        """Refuse times that could be read as another hour, and texts that cannot be written."""
        if any(at is not None and at.utcoffset() is None for at in (self.ended_at, self.started_at)):
            raise RefusedError("time-without-offset")
        try:
            canonical_json(self.members(1))
        except ValueError as error:
            raise RefusedError("deposit-unwritable") from error

    def members(self, sequence: int) -> dict[str, Json]:
        """Give the members of Kura-Deposit; those without a value are left out."""
        values: dict[str, Json] = {
            "class": self.class_id,
            "ended_at": format_instant(self.ended_at),
            "file_name": self.file_name,
            "sequence": sequence,
            "site": self.site,
            "started_at": format_instant(self.started_at) if self.started_at is not None else None,
            "subject_key": self.subject_key,
            "title_code": self.title_code,
        }
        return {name: value for name, value in values.items() if value is not None}


def header_text(members: dict[str, Json]) -> str:
    """Write members as the header holds them: base64url without padding."""
    return base64url(canonical_json(members))


def base64url(data: bytes) -> str:
    """Write bytes in base64url without padding. Source: RFC 4648, section 5."""
    return urlsafe_b64encode(data).decode("ascii").rstrip("=")

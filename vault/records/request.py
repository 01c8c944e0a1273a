"""What a depositor says of a record, checked before a byte is taken. Pure.

A subject key is the number the city gave, never a My Number: a value that passes the My Number check digit is refused
unless the class's own pattern says otherwise.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from retention.policy import AUDIT_TRAIL, Policy, RecordClass
from vault.errors import RefusedError

ORIGINAL: Final = "original"
"""The component that every record has: what was deposited, byte for byte."""

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# RFC 9562, sections 4 (lower case on output), 4.1 (variant) and 5.7 (version 7).
_RECORD_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_SUBJECT_KEY = re.compile(r"[^\s\x00-\x1f\x7f]{1,32}")  # opaque text of at most 32 characters
_MY_NUMBER = re.compile(r"[0-9]{12}")
_FUTURE_TOLERANCE = timedelta(minutes=1)
_TEXT_LENGTH = 255


@dataclass(frozen=True, slots=True)
class DepositRequest:
    """One record to be deposited.

    Attributes:
        id: UUIDv7 chosen by the depositor, in canonical form.
        class_id: record class, as `application_form`.
        subject_key: the city's number of the case; sealed.
        started_at: when the recording began; None for a document.
        ended_at: aware and exclusive: when the recording ended, the document was received or its case closed.
        site: where, by the policy's site id.
        sequence: the station's own number.
        title_code: a code of the kind of document, as the counter system has it.
        file_name: how the depositor called the file; sealed.
        clock_offset_s: how far the vault's clock was before the station's, where it counted.
    """

    id: str
    class_id: str
    subject_key: str | None
    started_at: datetime | None
    ended_at: datetime
    site: str | None = None
    sequence: int | None = None
    title_code: str | None = None
    file_name: str | None = None
    clock_offset_s: int | None = None


def check_request(request: DepositRequest, policy: Policy, now: datetime) -> RecordClass:
    """Check what can be checked without the bytes; give the record class.

    Raises:
        RefusedError: with the code of what is wrong.
    """
    check_record_id(request.id)
    record_class = policy.classes.get(request.class_id)
    if record_class is None or record_class.id == AUDIT_TRAIL:  # the vault alone writes its audit trail
        raise RefusedError("class-unknown", record_class=_shown(request.class_id), contract=policy.contract)
    _check_subject_key(request.subject_key, record_class)
    if request.ended_at.tzinfo is None or (request.started_at is not None and request.started_at.tzinfo is None):
        raise RefusedError("time-without-offset")
    if request.started_at is not None and request.started_at >= request.ended_at:
        raise RefusedError("times-reversed")
    if request.ended_at > now + _FUTURE_TOLERANCE:
        raise RefusedError("ended-in-future")
    if request.site is not None and request.site not in {site.id for site in policy.sites}:
        raise RefusedError("site-unknown", site=_shown(request.site), contract=policy.contract)
    if request.title_code is not None and not _CODE.fullmatch(request.title_code):
        raise RefusedError("title-code-malformed")
    if request.sequence is not None and not 0 <= request.sequence < 1 << 53:
        raise RefusedError("sequence-malformed")
    _check_file_name(request.file_name)
    return record_class


def check_record_id(text: str) -> None:
    """Refuse what is not a UUIDv7 in its canonical form, path tricks included."""
    if not _RECORD_ID.fullmatch(text):
        raise RefusedError("record-id-malformed")


def is_my_number(text: str) -> bool:
    """Tell whether a text is a My Number by its check digit, in any width, whatever stands between its digits.

    Source: Order of the Ministry of Internal Affairs and Communications no. 85 of 2014, art. 5 (modulus 11, weights
    2-7 and 2-6 from the right).
    """
    typed = unicodedata.normalize("NFKC", text).replace("ー", "")  # the long vowel mark, a letter, serves as a hyphen
    digits = "".join(character for character in typed if character.isalnum())
    if not _MY_NUMBER.fullmatch(digits):
        return False
    weights = (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
    rest = sum(int(digit) * weight for digit, weight in zip(digits[:11], weights, strict=True)) % 11
    return int(digits[11]) == (0 if rest <= 1 else 11 - rest)


def metadata_of(request: DepositRequest) -> Mapping[str, str]:
    """What of a request is sealed: all that may point to a citizen."""
    sealed = {"file_name": request.file_name, "subject_key": request.subject_key}
    return {name: value for name, value in sealed.items() if value is not None}


def _check_subject_key(value: str | None, record_class: RecordClass) -> None:
    if value is None:
        if record_class.subject_key == "required":
            raise RefusedError("subject-key-missing", record_class=record_class.id)
        return
    if record_class.subject_key == "none":
        raise RefusedError("subject-key-not-taken", record_class=record_class.id)
    if record_class.subject_key_pattern is not None:
        if not re.fullmatch(record_class.subject_key_pattern, value):
            raise RefusedError("subject-key-malformed", record_class=record_class.id)
        return
    if is_my_number(value):
        raise RefusedError("subject-key-is-my-number")
    if not _SUBJECT_KEY.fullmatch(value) or not _is_plain(value):
        raise RefusedError("subject-key-malformed", record_class=record_class.id)


def _check_file_name(value: str | None) -> None:
    """Refuse what is more than a name: whoever gives the record out may save it under this name."""
    if value is None:
        return
    if len(value) > _TEXT_LENGTH:
        raise RefusedError("file-name-too-long")
    if value in ("", ".", "..") or not {"/", "\\"}.isdisjoint(value) or not _is_plain(value):
        raise RefusedError("file-name-malformed")


def _is_plain(text: str) -> bool:
    """Tell whether a text has no characters that control or hide, and none that UTF-8 cannot write."""
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in text)


def _shown(text: str) -> str:
    """Show a code in an error only where it is one: anything else might be a name."""
    return text if _CODE.fullmatch(text) else "?"

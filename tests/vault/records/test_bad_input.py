"""Bad input: each kind gets its own clear error, and nothing is half-stored: no row, no object, no event."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import crash_load
import pytest
import stored
import vaults
from crash_load import BytesSource
from ledger_vectors import refused

from vault.bootstrap import now_utc, open_vault
from vault.errors import ConflictError, NotFoundError, RefusedError, SealedError, UnavailableError
from vault.people.purpose import ViewPurpose
from vault.records.health import health_of
from vault.records.reading import Purpose
from vault.records.request import DepositRequest, is_my_number
from vault.records.search import Query
from vault.records.source import FileSource, Source
from vault.records.vault import Vault

PDF, SOUND = vaults.pdf(), crash_load.sound(1, 500)
MY_NUMBER = "123456789018"  # fits the check digit; nobody's


@dataclass(frozen=True)
class Bad:
    """A deposit that is refused: what is wrong in the request, or in the bytes."""

    code: str
    request: Callable[[], DepositRequest] = vaults.request
    content: bytes = PDF
    actor: str = vaults.OPERATOR


def asking(**overrides: object) -> Callable[[], DepositRequest]:
    return lambda: vaults.request(**overrides)


def call(**overrides: object) -> Callable[[], DepositRequest]:
    values = {"class_id": "call_recording", "file_name": None} | overrides
    return lambda: vaults.request(**values)


def subject(value: str | None) -> Callable[[], DepositRequest]:
    return asking(subject_key=value)


IDS = {
    "empty": "",
    "path up": "../../../../etc/passwd",
    "path inside": "01a1fe3c/6a95-7614-96bc-ed03bac8d2a5",
    "path after": "01a1fe3c-6a95-7614-96bc-ed03bac8d2a5/..",
    "null byte": "01a1fe3c-6a95-7614-96bc-ed03bac8d2a5\0",
    "newline": "01a1fe3c-6a95-7614-96bc-ed03bac8d2a5\n",
    "upper case": "01A1FE3C-6A95-7614-96BC-ED03BAC8D2A5",
    "braces": "{01a1fe3c-6a95-7614-96bc-ed03bac8d2a5}",
    "urn": "urn:uuid:01a1fe3c-6a95-7614-96bc-ed03bac8d2a5",
    "no hyphens": "01a1fe3c6a95761496bced03bac8d2a5",
    "full width": "０1a1fe3c-6a95-7614-96bc-ed03bac8d2a5",
    "version 4": "01a1fe3c-6a95-4614-96bc-ed03bac8d2a5",
    "nil": "00000000-0000-0000-0000-000000000000",
}
MY_NUMBERS = {
    "as it is": MY_NUMBER,
    "full width": "１２３４５６７８９０１８",
    "hyphens": "1234-5678-9018",
    "full-width hyphens": "1234－5678－9018",
    "long vowel marks": "１２３４ー５６７８ー９０１８",
    "minus signs": "1234−5678−9018",
    "dots": "1234.5678.9018",
    "middle dots": "1234・5678・9018",
    "slashes": "1234/5678/9018",
    "no-break hyphens": "1234‑5678‑9018",
    "zero-width spaces": "1234\u200b5678\u200b9018",
    "soft hyphens": "1234\u00ad5678\u00ad9018",
    "underscores": "1234_5678_9018",
}
FILE_NAMES = {
    "up": "../form.pdf",
    "up, Windows": "..\\form.pdf",
    "absolute": "/etc/passwd",
    "drive": "C:\\Windows\\form.pdf",
    "folder": "forms/form.pdf",
    "null byte": "form.pdf\0.exe",
    "newline": "form\n.pdf",
    "this folder": ".",
    "folder above": "..",
    "empty": "",
    "half a character": "form\udcff.pdf",
    "turned around": "form\u202efdp.exe",
}
BAD = {
    **{f"id: {name}": Bad("record-id-malformed", asking(id=value)) for name, value in IDS.items()},
    **{f"My Number: {name}": Bad("subject-key-is-my-number", subject(value)) for name, value in MY_NUMBERS.items()},
    **{f"file name: {name}": Bad("file-name-malformed", asking(file_name=value)) for name, value in FILE_NAMES.items()},
    "file name too long": Bad("file-name-too-long", asking(file_name="x" * 256)),
    "unknown class": Bad("class-unknown", asking(class_id="secret_file")),
    "class with a path": Bad("class-unknown", asking(class_id="../application_form")),
    "the vault's own class": Bad("class-unknown", asking(class_id="audit_trail"), b"{}", vaults.ADMIN),
    "no subject key": Bad("subject-key-missing", subject(None)),
    "empty subject key": Bad("subject-key-malformed", subject("")),
    "blank in the subject key": Bad("subject-key-malformed", subject("NIS 1")),
    "control character in the subject key": Bad("subject-key-malformed", subject("NIS\x001")),
    "half a character in the subject key": Bad("subject-key-malformed", subject("NIS-\udcff")),
    "long subject key": Bad("subject-key-malformed", subject("N" * 33)),
    "subject key where none is taken": Bad(
        "subject-key-not-taken",
        call(class_id="surveillance_video"),
        crash_load.video(1, 100),
        vaults.MANAGER,
    ),
    "time without offset": Bad("time-without-offset", asking(ended_at=datetime(2026, 1, 1))),  # noqa: DTZ001 - no zone
    "start without offset": Bad("time-without-offset", asking(started_at=datetime(2026, 1, 1))),  # noqa: DTZ001
    "times reversed": Bad(
        "times-reversed", lambda: vaults.request(started_at=now_utc(), ended_at=now_utc() - timedelta(1))
    ),
    "no length": Bad(
        "times-reversed", lambda: vaults.request(started_at=(at := now_utc() - timedelta(hours=1)), ended_at=at)
    ),
    "in the future": Bad("ended-in-future", lambda: vaults.request(ended_at=now_utc() + timedelta(minutes=2))),
    "due already": Bad(
        "record-due-already",
        lambda: vaults.request(class_id="call_recording", ended_at=now_utc() - timedelta(days=190)),
        SOUND,
        vaults.MANAGER,
    ),
    "unknown site": Bad("site-unknown", asking(site="moon_base")),
    "site with a path": Bad("site-unknown", asking(site="../main_office")),
    "title code": Bad("title-code-malformed", asking(title_code="本人 確認")),
    "title code with a path": Bad("title-code-malformed", asking(title_code="../x")),
    "negative sequence": Bad("sequence-malformed", asking(sequence=-1)),
    "sequence beyond exact numbers": Bad("sequence-malformed", asking(sequence=1 << 53)),
    "no permission": Bad("not-allowed", actor=vaults.WORKER),
    "administrator": Bad("not-allowed", actor=vaults.ADMIN),
    "empty document": Bad("media-type-refused", content=b""),
    "text as a form": Bad("media-type-refused", content=b"hello, world"),
    "sound as a form": Bad("media-type-refused", content=SOUND),
    "form as sound": Bad("media-type-refused", call(), PDF, vaults.MANAGER),
    "program with the name of a form": Bad("media-type-refused", content=b"\x7fELF" + bytes(2000)),
    "only the first line of a PDF": Bad("pdf-malformed", content=b"%PDF-1.7\n"),
    "PDF cut in half": Bad("pdf-malformed", content=PDF[: len(PDF) // 2]),
    "noise after the first line of a PDF": Bad(
        "pdf-malformed", content=b"%PDF-1.7\n" + random.Random(1).randbytes(9000)
    ),
}


def deposit(vault: Vault, request: DepositRequest, source: Source, actor: str = vaults.OPERATOR) -> object:
    return vault.deposits.deposit(vault.actor(actor), vaults.CONTRACT, request, source)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_is_wrong_is_refused_by_its_own_name_and_leaves_nothing(shared: Vault, bad: Bad) -> None:
    before = stored.everything(shared)
    with refused(RefusedError, bad.code):
        deposit(shared, bad.request(), BytesSource(bad.content), bad.actor)
    assert stored.everything(shared) == before


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_the_refusal_repeats_nothing_that_might_be_a_citizens(shared: Vault, bad: Bad) -> None:
    request = bad.request()
    with pytest.raises(RefusedError) as caught:
        deposit(shared, request, BytesSource(bad.content), bad.actor)
    for language in ("en", "ja"):
        sentence = caught.value.sentence(language)
        for value in (request.subject_key, request.file_name, request.id):
            assert not value or len(value) < 3 or value not in sentence


@pytest.mark.parametrize("value", ["123456789018", "023456789013", "987654321098"])
def test_only_the_right_check_digit_makes_a_my_number(value: str) -> None:
    digits = [int(digit) for digit in value[:11]]
    weights = [n + 1 if n <= 6 else n - 5 for n in range(11, 0, -1)]  # as the ministry's order writes them
    rest = sum(d * w for d, w in zip(digits, weights, strict=True)) % 11
    right = 0 if rest <= 1 else 11 - rest
    for last in range(10):
        assert is_my_number(value[:11] + str(last)) == (last == right)


@pytest.mark.parametrize("value", ["NIS-123456789018", "12345678901", "1234567890123", "A23456789018", "窓口3"])
def test_other_numbers_are_taken(shared: Vault, value: str) -> None:
    assert deposit(shared, vaults.request(subject_key=value), BytesSource(PDF))


def test_a_record_that_is_too_large_is_dropped_as_soon_as_it_is(shared: Vault) -> None:
    before = stored.everything(shared)
    with refused(RefusedError, "content-too-large"):
        deposit(shared, vaults.request(), BytesSource(b"%PDF-1.7\n" + bytes(52_428_800)))
    assert stored.everything(shared) == before


class Disturbed:
    """A source that does something to its file between two reads."""

    def __init__(self, source: FileSource, disturb: Callable[[], object]) -> None:
        self._source, self._disturb = source, disturb

    def read_into(self, buffer: memoryview) -> int:
        count = self._source.read_into(buffer)
        self._disturb()
        return count

    def finish(self) -> None:
        self._source.finish()


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, b"%", 1_500_000)
    os.close(fd)


DISTURBANCES: dict[str, Callable[[Path], object]] = {
    "cut to nothing": lambda path: os.truncate(path, 0),
    "cut by one byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "cut at what was read": lambda path: os.truncate(path, 1_048_520),
    "grown": append,
    "rewritten in place": rewrite,
}


@pytest.mark.parametrize("disturb", DISTURBANCES.values(), ids=DISTURBANCES)
def test_a_file_that_changes_while_it_is_read_is_refused(
    shared: Vault, tmp_path: Path, disturb: Callable[[Path], object]
) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(crash_load.sound(1, 1_000_000))
    fd = os.open(path, os.O_RDONLY)
    before = stored.everything(shared)
    request = call()()
    with refused(RefusedError, "source-changed"):
        deposit(shared, request, Disturbed(FileSource(fd), lambda: disturb(path)), vaults.MANAGER)
    assert stored.everything(shared) == before
    os.close(fd)


def test_a_folder_or_a_pipe_is_no_source(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    reading, writing = os.pipe()
    for other in (fd, reading):
        with refused(RefusedError, "source-not-a-file"):
            FileSource(other)
    for descriptor in (fd, reading, writing):
        os.close(descriptor)


@pytest.mark.parametrize("contract", ["elsewhere", "../nishinomiya", ""])
def test_an_unknown_contract_is_not_found(shared: Vault, contract: str) -> None:
    with refused(NotFoundError, "contract-unknown"):
        shared.deposits.deposit(shared.actor(vaults.OPERATOR), contract, vaults.request(), BytesSource(PDF))


@pytest.mark.parametrize("number", ["9999", "", "1001; --", "../1001"])
def test_an_unknown_person_is_refused(shared: Vault, number: str) -> None:
    with refused(RefusedError, "person-unknown"):
        shared.actor(number)


def test_a_sealed_vault_refuses_reading_and_search(vault: Vault) -> None:
    request = call()()
    deposit(vault, request, BytesSource(SOUND), vaults.MANAGER)
    vault.seal()
    before = stored.everything(vault)
    manager = vault.actor(vaults.MANAGER)
    with refused(SealedError, "vault-sealed"):
        vault.readings.read(manager, vaults.CONTRACT, request.id, Purpose(ViewPurpose.COMPLAINT))
    with refused(SealedError, "vault-sealed"):
        vault.searches.search(manager, vaults.CONTRACT, Query())
    assert stored.everything(vault) == before


def test_a_store_that_is_gone_is_no_empty_store(vault: Vault) -> None:
    vault.close()
    first, second = (vault.folder / "objects" / store for store in ("a", "b"))
    second.rmdir()
    opened = open_vault(vault.folder, vaults.custodian())
    problems = [store.problem and store.problem.code for store in health_of(opened.ground).stores]
    opened.close()
    assert problems == [None, "store-missing"]
    assert not second.exists()
    first.rmdir()
    with refused(UnavailableError, "store-missing"):
        open_vault(vault.folder, vaults.custodian())


def test_the_folder_has_one_owner(vault: Vault) -> None:
    with refused(ConflictError, "vault-owned"):
        open_vault(vault.folder, vaults.custodian())

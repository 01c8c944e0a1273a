"""What a watched file says of its record."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_vectors import refused

from vault.client.deposit import Deposit
from vault.client.naming import Naming, sidecar_of
from vault.errors import RefusedError, UnavailableError

BY_NAME = Naming("application_form", re.compile(r"^(?P<subject_key>NIS-\d{5})?_"))
BY_SIDECAR = Naming("application_form", has_sidecars=True)


@pytest.fixture
def form(tmp_path: Path) -> Path:
    path = tmp_path / "NIS-00042_申込書.pdf"
    path.write_bytes(b"%PDF")
    return path


def test_a_name_gives_the_subject_key_and_the_time_of_writing(form: Path) -> None:
    deposit = BY_NAME.describe(form, form.stat())
    assert (deposit.class_id, deposit.subject_key, deposit.file_name) == ("application_form", "NIS-00042", form.name)
    assert abs(deposit.ended_at.timestamp() - form.stat().st_mtime) < 0.001
    assert deposit.ended_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("name", ["form.pdf", "_form.pdf", "NIS-123_form.pdf"])
def test_a_name_without_a_subject_key_is_refused(form: Path, name: str) -> None:
    with refused(RefusedError, "subject-key-not-in-name"):
        BY_NAME.describe(form.with_name(name), form.stat())


def test_a_sidecar_says_more_than_the_file(form: Path) -> None:
    sidecar_of(form).write_text('{"subject_key": "NIS-1", "ended_at": "2026-11-21T09:00:00+09:00", "site": "x"}')
    deposit = BY_SIDECAR.describe(form, form.stat())
    assert deposit.ended_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert (deposit.subject_key, deposit.site, deposit.file_name) == ("NIS-1", "x", form.name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        "null",
        '{"subject_key": 7}',
        '{"more": "x"}',
        '{"class": "call_recording"}',
        '{"sequence": 1}',
        '{"ended_at": "2026-11-21T09:00:00"}',
        '{"ended_at": 7}',
        '{"started_at": null}',
        "[" * 60_000,
        " " * (64 << 10) + "{}",
    ],
    ids=range(13),
)
def test_a_sidecar_in_another_form_is_refused(form: Path, text: str) -> None:
    sidecar_of(form).write_text(text)
    with refused(RefusedError, "sidecar-malformed"):
        BY_SIDECAR.describe(form, form.stat())


def test_times_and_texts_that_could_be_read_otherwise_make_no_deposit() -> None:
    with refused(RefusedError, "time-without-offset"):
        Deposit(class_id="application_form", ended_at=datetime(2026, 11, 21, 9))  # noqa: DTZ001 - that is the point
    with refused(RefusedError, "deposit-unwritable"):
        Deposit(class_id="application_form", ended_at=datetime(2026, 11, 21, tzinfo=UTC), file_name="\udcff.pdf")


def test_a_sidecar_that_went_away_is_waited_for(form: Path) -> None:
    with refused(UnavailableError, "source-unreadable"):
        BY_SIDECAR.describe(form, form.stat())

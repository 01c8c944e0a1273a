"""Stations whose clocks are off: the later time counts, the offset is in the ledger, and no record comes due early."""

from collections.abc import Mapping
from datetime import timedelta

import crash_load
import pytest
import stored
import vaults
from narrow_api import Api, PlainStation
from wire import BATCH, PDF, batch_line

from vault.bootstrap import verify_vault
from vault.ledger.event import EventKind, parse_instant
from vault.records.vault import Vault

HOUR = timedelta(hours=1)


def accepted(vault: Vault) -> Mapping[str, object]:
    return stored.events(vault, vault.ground.log_of(vaults.CONTRACT).id, EventKind.DEPOSIT_ACCEPTED)[-1].body


@pytest.mark.parametrize("hours", [-30, -5, 5, 30], ids=lambda hours: f"{hours} hours")
def test_the_later_of_both_clocks_counts(api: Api, vault: Vault, hours: int) -> None:
    exchange, now = api.station("exchange-1", "exchange"), vault.ground.clock()
    theirs = now + timedelta(hours=hours)
    answer = exchange.deposit(
        crash_load.sound(1, 500),
        **{"class": "call_recording"},
        started_at=(theirs - 2 * HOUR).isoformat(),
        ended_at=(theirs - HOUR).isoformat(),
        sent_at=theirs.isoformat(),
    )
    assert answer.status == 201, answer.body
    body = accepted(vault)
    assert abs(int(str(body["clock_offset_s"])) + hours * 3600) <= 60
    started_at, ended_at = parse_instant(str(body["started_at"])), parse_instant(str(body["ended_at"]))
    assert ended_at - started_at == HOUR
    assert now - HOUR <= ended_at <= vault.ground.clock()
    vault.publish()
    vault.close()
    assert verify_vault(vault.folder, vaults.custodian()).findings == []


@pytest.mark.parametrize("seconds", [-50, 0, 50])
def test_less_than_a_minute_is_not_told_of(vault: Vault, counter: PlainStation, seconds: int) -> None:
    now = vault.ground.clock()
    ended_at = (now - HOUR).isoformat()
    sent_at = (now + timedelta(seconds=seconds)).isoformat()
    assert counter.deposit(PDF, ended_at=ended_at, sent_at=sent_at).status == 201
    assert "clock_offset_s" not in accepted(vault)
    assert parse_instant(str(accepted(vault)["ended_at"])) == now - HOUR


def test_a_station_in_the_future_is_not_refused_for_it(vault: Vault, counter: PlainStation) -> None:
    ahead = (vault.ground.clock() + 3 * HOUR).isoformat()
    assert counter.deposit(PDF, ended_at=ahead).code == "ended-in-future"
    assert counter.deposit(PDF, ended_at=ahead, sent_at=ahead).status == 201


@pytest.mark.parametrize(
    "sent_at",
    ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)
def test_the_ends_of_the_calendar_are_times_as_well(counter: PlainStation, sent_at: str) -> None:
    for ended_at in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", sent_at, "2026-11-20T00:00:00Z"):
        answer = counter.deposit(PDF, ended_at=ended_at, started_at="0001-01-01T00:00:00Z", sent_at=sent_at)
        assert answer.status in (201, 400, 422), answer.body


def test_each_document_of_a_batch_has_its_own_clock(vault: Vault, counter: PlainStation) -> None:
    now = vault.ground.clock()
    lines = [
        batch_line(PDF, ended_at=(now - hours * HOUR).isoformat(), sent_at=(now - hours * HOUR).isoformat())
        for hours in (0, 2, 4)
    ]
    answer = counter.ask("POST", BATCH, b"".join(lines), content_type="application/vnd.kura.batch")
    assert answer.status == 200
    events = stored.events(vault, vault.ground.log_of(vaults.CONTRACT).id, EventKind.DEPOSIT_ACCEPTED)
    offsets = [int(str(event.body.get("clock_offset_s", 0))) for event in events]
    assert [round(offset / 3600) for offset in offsets] == [0, 2, 4]


def test_a_deposit_again_hours_later_is_the_same_record(vault: Vault, counter: PlainStation) -> None:
    now, record_id = vault.ground.clock(), vaults.new_id()
    theirs = (now - 5 * HOUR).isoformat()
    first = counter.deposit(PDF, record_id, ended_at=theirs, sent_at=theirs)
    again = counter.deposit(PDF, record_id, ended_at=theirs, sent_at=(now - 2 * HOUR).isoformat())
    assert (first.status, again.status, again.json) == (201, 200, first.json)

"""A station that asks too often is told when to come again; others are not held up."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import stored
from narrow_api import Api, listening
from wire import PDF

from vault.records.vault import Vault


@pytest.fixture
def slow(vault: Vault, tmp_path: Path) -> Iterator[Api]:
    with listening(vault, tmp_path, requests_per_second=1, burst=3) as api:
        yield api


def test_too_many_requests_are_refused_and_taken_later(slow: Api, vault: Vault) -> None:
    station, other = slow.station("counter-1"), slow.station("counter-2")
    answers = [station.ask("GET", "/v1/health") for _ in range(8)]
    refused = [answer for answer in answers if answer.status != 200]
    assert [answer.status for answer in answers[:3]] == [200] * 3
    assert len(refused) >= 3
    assert {(answer.status, answer.code) for answer in refused} == {(429, "rate-exceeded")}
    assert other.ask("GET", "/v1/health").status == 200
    before, attempts = stored.everything(vault), 0
    while (answer := station.deposit(PDF)).status == 429 and attempts < 20:
        assert stored.everything(vault) == before
        attempts += 1
        time.sleep(int(answer.headers["retry-after"]))
    assert answer.status == 201


def test_a_refusal_counts_for_the_station_not_for_the_connection(slow: Api) -> None:
    station = slow.station()
    statuses = []
    for _ in range(6):
        statuses.append(station.ask("GET", "/v1/health").status)
        station.close()
    assert 429 in statuses

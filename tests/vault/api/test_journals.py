"""Journals over the narrow API: kept as records, their lines under a root in the ledger that `verify` counts again."""

import pytest
import stored
import vaults
from narrow_api import Answer, Api, PlainStation, deposit_header

from vault.bootstrap import verify_vault
from vault.ledger.event import EventKind
from vault.ledger.receipt import Receipt
from vault.records.journals import JournalKind
from vault.records.vault import Vault

TALLY = b"time,counter,applications\n09:00,1,12\n10:00,1,9\n"
OF_KIND = {
    "call_detail_record": "exchange",
    "entry_log": "recorder",
    "consignment_list": "counter",
    "counter_tally": "counter",
    "recorder_journal": "recorder",
}


def journal(station: PlainStation, kind: str, content: bytes, record_id: str | None = None) -> Answer:
    said = deposit_header(**{"class": None}, subject_key=None, id=record_id or vaults.new_id())
    return station.ask("POST", f"/v1/journals/{kind}", content, kura_deposit=said)


def require_sound(vault: Vault) -> None:
    vault.publish()
    vault.close()
    assert verify_vault(vault.folder, vaults.custodian()).findings == []


@pytest.mark.parametrize("kind", list(JournalKind))
def test_every_kind_is_taken_from_its_own_station_only(api: Api, vault: Vault, kind: JournalKind) -> None:
    for station_kind in ("counter", "scanner", "recorder", "exchange"):
        answer = journal(api.station(f"{station_kind}-1", station_kind), kind, TALLY)
        is_its_own = station_kind == OF_KIND[kind] or (station_kind, kind) == ("scanner", "counter_tally")
        assert answer.status == (201 if is_its_own else 403)
    events = stored.events(vault, vault.ground.log_of(vaults.CONTRACT).id, EventKind.DEPOSIT_ACCEPTED)
    assert {event.body["class"] for event in events} == {kind}
    require_sound(vault)


LARGE = b"2026-11-20T10:00:00+09:00,1,call\n" * 60_000
JOURNALS = [
    pytest.param(TALLY, 3, id="some lines"),
    pytest.param(TALLY[:-1], 3, id="no last LF"),
    pytest.param(TALLY.replace(b"\n", b"\r\n"), 3, id="CRLF"),
    pytest.param(b"nothing happened today", 1, id="one line"),
    pytest.param(b"nothing happened today\n\n\n", 3, id="empty lines"),
    pytest.param("窓口,件数\n一番,12\n".encode("cp932"), 2, id="Shift_JIS"),
    pytest.param(LARGE, 60_000, id="more than 1 MiB", marks=pytest.mark.both_worlds),
]


@pytest.mark.parametrize(("content", "lines"), JOURNALS)
def test_lines_are_counted_and_their_root_is_in_the_ledger(
    vault: Vault, counter: PlainStation, content: bytes, lines: int
) -> None:
    if lines == 3:  # sealed or open, it is the same
        vault.seal()
    answer = journal(counter, "counter_tally", content)
    assert answer.status == 201, answer.body
    Receipt.decode(answer.json["receipt"]).verify(vault.ground.log_of(vaults.CONTRACT).key)
    [event] = stored.events(vault, vault.ground.log_of(vaults.CONTRACT).id, EventKind.DEPOSIT_ACCEPTED)
    [(stored_lines, root)] = stored.rows(vault, "SELECT lines, lines_root FROM records")
    assert (event.body["lines"], event.body["lines_root"]) == (lines, root.hex())
    assert stored_lines == lines
    assert all(content[:20] not in path.read_bytes() for path in vault.folder.rglob("*") if path.is_file())
    require_sound(vault)


def test_an_empty_journal_is_no_journal(vault: Vault, counter: PlainStation) -> None:
    before = stored.everything(vault)
    answer = journal(counter, "counter_tally", b"")
    assert (answer.status, answer.code) == (415, "media-type-refused")
    assert stored.everything(vault) == before


@pytest.mark.both_worlds
@pytest.mark.parametrize("column", ["lines = lines + :one", "lines_root = :zeros"])
def test_another_number_or_root_is_found_out(vault: Vault, counter: PlainStation, column: str) -> None:
    assert journal(counter, "counter_tally", TALLY).status == 201
    vault.publish()
    values = {"one": 1} if ":one" in column else {"zeros": bytes(32)}
    stored.change(vault, f"UPDATE records SET {column}", **values)  # noqa: S608 - from the list above
    vault.close()
    assert verify_vault(vault.folder, vaults.custodian()).findings != []


@pytest.mark.both_worlds
def test_the_same_journal_again_gives_the_same_receipt(vault: Vault, counter: PlainStation) -> None:
    record_id = vaults.new_id()
    first = journal(counter, "counter_tally", TALLY, record_id)
    before = stored.everything(vault)
    again = journal(counter, "counter_tally", TALLY, record_id)
    assert (again.status, again.json) == (200, first.json)
    other = journal(counter, "counter_tally", TALLY + b"x", record_id)
    assert (other.status, other.code) == (409, "record-id-taken")
    kind = journal(counter, "consignment_list", TALLY, record_id)
    assert (kind.status, kind.code) == (409, "record-id-taken")
    assert stored.everything(vault) == before


def test_the_same_lines_in_two_journals_have_different_roots(vault: Vault, counter: PlainStation) -> None:
    for _ in range(2):
        assert journal(counter, "counter_tally", TALLY).status == 201
    roots = stored.rows(vault, "SELECT lines_root FROM records")
    assert roots[0] != roots[1]

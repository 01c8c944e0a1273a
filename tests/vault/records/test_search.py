"""Search: each filter, pages that stay put while records are added, and nothing of a class that is not allowed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import crash_load
import pytest
import stored
import vaults
from crash_load import BytesSource
from ledger_vectors import refused

from vault.errors import NotFoundError, RefusedError, UnavailableError
from vault.ledger.event import EventKind
from vault.people.persons import NewPerson
from vault.records.search import MAX_PAGE, Page, Query
from vault.records.vault import Vault

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def deposit(vault: Vault, key: str | None, minutes: int, class_id: str = "call_recording", **overrides: object) -> str:
    content = overrides.pop("content", None)
    actor = str(overrides.pop("actor", vaults.MANAGER))
    request = vaults.request(
        class_id=class_id, subject_key=key, ended_at=NOW - minutes * MINUTE, file_name=None, **overrides
    )
    source = BytesSource(content if isinstance(content, bytes) else crash_load.sound(minutes, 50))
    return vault.deposits.deposit(vault.actor(actor), vaults.CONTRACT, request, source).record_id


def search(vault: Vault, actor: str = vaults.MANAGER, **query: object) -> Page:
    return vault.searches.search(vault.actor(actor), vaults.CONTRACT, Query(**query))  # type: ignore[arg-type]


def ids(page: Page) -> list[str]:
    return [record["id"] for record in page.records]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Vault, dict[str, str]]]:
    vault = vaults.new_vault(tmp_path_factory.mktemp("search"), clock=lambda: NOW)
    vault.add_person(vault.actor(vaults.ADMIN), vaults.CONTRACT, NewPerson.parse("2002:別人:operations_manager"))
    records = {
        "call 1": deposit(vault, "NIS-1", 10),
        "call 2": deposit(vault, "ＮＩＳ-２", 20),
        "call 1 again": deposit(vault, "nis-1", 30),
        "call of nobody": deposit(vault, None, 40),
        "damaged call": deposit(vault, "NIS-1", 50, content=crash_load.sound(1, 99)[:-9]),
        "other's call": deposit(vault, "NIS-9", 60, actor="2002"),
        "clip": deposit(vault, None, 70, "surveillance_video", content=crash_load.video(1, 99)),
        "form": deposit(vault, "NIS-1", 80, "application_form", content=vaults.pdf(), actor=vaults.OPERATOR),
        "old call": deposit(vault, "NIS-1", 60 * 24 * 60),
    }
    yield vault, records
    vault.close()


ALL = ["call 1", "call 2", "call 1 again", "call of nobody", "damaged call", "other's call", "clip", "form", "old call"]
FILTERS: dict[str, tuple[dict[str, object], list[str]]] = {
    "none": ({}, ALL),
    "class": ({"class_ids": ["surveillance_video"]}, ["clip"]),
    "two classes": ({"class_ids": ["surveillance_video", "application_form"]}, ["clip", "form"]),
    "subject key": ({"subject_key": "NIS-1"}, ["call 1", "call 1 again", "damaged call", "form", "old call"]),
    "subject key, full width": ({"subject_key": " ｎｉｓ－２ "}, ["call 2"]),
    "subject key of nobody": ({"subject_key": "NIS-77"}, []),
    "part of a subject key": ({"subject_key": "NIS"}, []),
    "wildcards": ({"subject_key": "%"}, []),
    "subject key and class": ({"subject_key": "NIS-1", "class_ids": ["application_form"]}, ["form"]),
    "from, inclusive": ({"ended_from": NOW - 20 * MINUTE}, ["call 1", "call 2"]),
    "before, exclusive": ({"ended_before": NOW - 70 * MINUTE}, ["form", "old call"]),
    "between": (
        {"ended_from": NOW - 40 * MINUTE, "ended_before": NOW - 20 * MINUTE},
        ["call 1 again", "call of nobody"],
    ),
    "station": ({"station": "person:2002"}, ["other's call"]),
    "status": ({"status": "quarantined"}, ["damaged call"]),
    "everything": (
        {
            "class_ids": ["call_recording"],
            "subject_key": "NIS-1",
            "ended_from": NOW - 55 * MINUTE,
            "ended_before": NOW,
            "station": "person:2001",
            "status": "kept",
        },
        ["call 1", "call 1 again"],
    ),
}


@pytest.mark.both_worlds
@pytest.mark.parametrize(("query", "expected"), FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("limit", [1, 2, 50])
def test_each_filter_finds_what_it_says_newest_first_at_any_page_size(
    filled: tuple[Vault, dict[str, str]], query: dict[str, object], expected: list[str], limit: int
) -> None:
    vault, records = filled
    allowed = vaults.MANAGER
    found: list[str] = []
    page = search(vault, allowed, **query, limit=limit)
    found += ids(page)
    while page.next_after is not None:
        assert len(page.records) == limit
        page = search(vault, allowed, **query, limit=limit, after=page.next_after)
        found += ids(page)
    assert found == [records[name] for name in expected]


@pytest.mark.both_worlds
def test_only_classes_that_the_actor_may_read_are_searched(filled: tuple[Vault, dict[str, str]]) -> None:
    vault, records = filled
    assert ids(search(vault, vaults.OPERATOR)) == [records["form"]]
    assert ids(search(vault, vaults.OPERATOR, subject_key="NIS-1")) == [records["form"]]


@pytest.mark.both_worlds
@pytest.mark.parametrize("who", [vaults.ADMIN, vaults.WORKER])
def test_who_may_search_nothing_is_refused(filled: tuple[Vault, dict[str, str]], who: str) -> None:
    with refused(RefusedError, "not-allowed"):
        search(filled[0], who)
    event = stored.events(filled[0], vaults.CONTRACT)[-1]
    assert (event.kind, event.actor) == (EventKind.SEARCH_REFUSED, f"person:{who}")


def test_asking_for_a_class_that_is_not_allowed_is_refused_not_left_out(filled: tuple[Vault, dict[str, str]]) -> None:
    with refused(RefusedError, "not-allowed"):
        search(filled[0], vaults.OPERATOR, class_ids=["application_form", "call_recording"])
    with refused(RefusedError, "class-unknown"):
        search(filled[0], class_ids=["nothing"])


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1])
def test_a_page_has_one_to_five_hundred_records(filled: tuple[Vault, dict[str, str]], limit: int) -> None:
    with refused(RefusedError, "page-size-wrong"):
        search(filled[0], limit=limit)


def test_an_unknown_contract_is_not_found(filled: tuple[Vault, dict[str, str]]) -> None:
    vault, _ = filled
    with refused(NotFoundError, "contract-unknown"):
        vault.searches.search(vault.actor(vaults.MANAGER), "elsewhere", Query())


@pytest.mark.both_worlds
def test_pages_stay_put_while_records_are_added(vault: Vault) -> None:
    vault.ground.clock = lambda: NOW
    expected = [deposit(vault, "NIS-1", minutes) for minutes in range(10, 19)]
    found: list[str] = []
    query = Query(limit=2)
    for turn in range(6):
        page = vault.searches.search(vault.actor(vaults.MANAGER), vaults.CONTRACT, query)
        found += ids(page)
        deposit(vault, "NIS-2", turn)  # newer than all that was found
        if page.next_after is None:
            break
        query = replace(query, after=page.next_after)
    assert found == expected


@pytest.mark.both_worlds
def test_records_of_one_instant_are_neither_lost_nor_repeated(vault: Vault) -> None:
    vault.ground.clock = lambda: NOW
    expected = sorted((deposit(vault, "NIS-1", 5) for _ in range(7)), reverse=True)
    for key in (None, "NIS-1"):
        found, after = [], None
        while True:
            page = search(vault, limit=3, after=after, subject_key=key)
            found += ids(page)
            if (after := page.next_after) is None:
                break
        assert found == expected


@pytest.mark.both_worlds
def test_a_search_is_logged_with_its_term_sealed(vault: Vault) -> None:
    search(vault, subject_key="NIS-SECRET", status="kept", class_ids=["call_recording"])
    [event] = stored.events(vault, vaults.CONTRACT, EventKind.RECORDS_SEARCHED)
    assert event.actor == f"person:{vaults.MANAGER}"
    assert event.body == {"classes": ["call_recording"], "found": 0, "status": "kept"}
    query = "SELECT entry FROM events WHERE ledger_id = :ledger ORDER BY entry_index DESC LIMIT 1"
    [[entry]] = stored.rows(vault, query, ledger=vaults.CONTRACT)
    assert b"NIS-SECRET" not in entry


def test_where_the_log_cannot_be_written_nothing_is_found(vault: Vault) -> None:
    vault.ground.sequencer.halt(UnavailableError("guard-unwritable", reason="OSError"))
    with refused(UnavailableError, "guard-unwritable"):
        search(vault)


@pytest.mark.both_worlds
def test_equal_keys_of_two_classes_have_unlike_tokens(filled: tuple[Vault, dict[str, str]]) -> None:
    vault, records = filled
    tokens = dict(stored.rows(vault, "SELECT record_id, token FROM index_tokens"))
    assert tokens[records["call 1"]] == tokens[records["call 1 again"]]
    assert tokens[records["call 1"]] != tokens[records["form"]]
    assert tokens[records["call 1"]] != tokens[records["old call"]]

"""The policies that ship: each reads, and the dates are those that the requirements computed by hand."""

from datetime import date, datetime
from importlib.resources import files

import pytest

from retention.periods import JST
from retention.policy import Policy
from retention.policy_reader import read_policy

DOCUMENTS = ("application_form", "issuance_receipt", "case_document_set", "identity_document_copy")
RECORDINGS = ("call_recording", "surveillance_video")
JOURNALS = ("call_detail_record", "entry_log", "consignment_list", "counter_tally", "recorder_journal")
OWN_PAPERS = ("roster", "confidentiality_pledge", "audit_trail")
SHIPPED = sorted(file.name for file in files("policies").iterdir() if file.name.endswith(".toml"))


def shipped(name: str) -> Policy:
    return read_policy(files("policies").joinpath(name).read_text("utf-8"), f"policies/{name}")


@pytest.fixture(scope="module")
def nishinomiya() -> Policy:
    return shipped("nishinomiya.toml")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_policy_reads_and_is_named_as_its_file(name: str) -> None:
    assert f"{shipped(name).contract}.toml" == name


def test_nishinomiya_is_the_contract_of_its_documents(nishinomiya: Policy) -> None:
    assert (nishinomiya.contract, nishinomiya.city) == ("nishinomiya", "西宮市")
    assert (nishinomiya.starts_on, nishinomiya.ends_on) == (date(2024, 8, 1), date(2025, 3, 31))
    assert [site.id for site in nishinomiya.sites] == [
        *("contact_center", "back_office_center", "main_office"),
        *("special_venue", "acta_station", "outreach"),
    ]
    assert set(nishinomiya.classes) == {*DOCUMENTS, *RECORDINGS, *OWN_PAPERS, *JOURNALS}


def test_only_the_six_months_are_stated_by_the_contract(nishinomiya: Policy) -> None:
    assert {id_ for id_, record_class in nishinomiya.classes.items() if record_class.stated} == set(RECORDINGS)


def test_nothing_leaves_the_premises_and_only_video_is_doubled(nishinomiya: Policy) -> None:
    assert {record_class.residence for record_class in nishinomiya.classes.values()} == {"on-premises"}
    doubled = {id_ for id_, record_class in nishinomiya.classes.items() if record_class.copies == 2}
    assert doubled == {"surveillance_video"}


def test_the_administrator_reads_nothing_and_writes_the_audit_trail_alone(nishinomiya: Policy) -> None:
    for record_class in nishinomiya.classes.values():
        assert "vault_admin" not in record_class.read
        assert ("vault_admin" in record_class.deposit) == (record_class.id == "audit_trail")


@pytest.mark.parametrize("class_id", RECORDINGS)
@pytest.mark.parametrize(
    ("ended_at", "disposal"),
    [
        (datetime(2024, 8, 1, 12, tzinfo=JST), date(2025, 2, 2)),  # worked example 1
        (datetime(2024, 9, 30, 12, tzinfo=JST), date(2025, 4, 1)),  # 10
        (datetime(2025, 2, 28, 12, tzinfo=JST), date(2025, 9, 1)),  # 15
        (datetime(2025, 4, 1, 0, tzinfo=JST), date(2025, 10, 1)),  # 19: the last segment of the last day
        (datetime(2024, 9, 1, 0, 4, tzinfo=JST), date(2025, 3, 2)),  # 24: a call across midnight
        (datetime(2024, 9, 1, 0, 0, tzinfo=JST), date(2025, 3, 1)),  # 26: cut at midnight
    ],
)
def test_recordings_are_due_six_months_after_they_end(
    nishinomiya: Policy, class_id: str, ended_at: datetime, disposal: date
) -> None:
    recording = nishinomiya.classes[class_id]
    assert recording.disposal_date_for(recording.trigger_date_for(ended_at)) == disposal


@pytest.mark.parametrize("class_id", DOCUMENTS)
@pytest.mark.parametrize(
    ("closed_at", "disposal"),
    [
        (datetime(2024, 10, 15, 17, 30, tzinfo=JST), date(2030, 4, 1)),  # worked example 47
        (datetime(2025, 3, 31, 23, 59, tzinfo=JST), date(2030, 4, 1)),  # 45
        (datetime(2025, 4, 1, 9, 0, tzinfo=JST), date(2031, 4, 1)),  # 46
    ],
)
def test_documents_are_due_five_years_after_the_fiscal_year_of_their_case(
    nishinomiya: Policy, class_id: str, closed_at: datetime, disposal: date
) -> None:
    document = nishinomiya.classes[class_id]
    assert not document.pending
    assert document.disposal_date_for(document.trigger_date_for(closed_at)) == disposal


@pytest.mark.parametrize("class_id", OWN_PAPERS)
def test_own_papers_wait_for_the_end_of_the_contract(nishinomiya: Policy, class_id: str) -> None:
    paper = nishinomiya.classes[class_id]
    assert paper.pending
    assert paper.trigger_date_for(datetime(2024, 8, 1, 9, tzinfo=JST)) is None
    assert paper.disposal_date_for(None) is None
    assert paper.disposal_date_for(nishinomiya.ends_on) == date(2030, 4, 1)  # worked example 33


@pytest.mark.parametrize("class_id", JOURNALS)
def test_a_journal_lives_as_long_as_what_is_checked_against_it(nishinomiya: Policy, class_id: str) -> None:
    journal = nishinomiya.classes[class_id]
    written = datetime(2024, 11, 30, 12, tzinfo=JST)
    assert journal.disposal_date_for(journal.trigger_date_for(written)) == date(2030, 4, 1)
    assert (journal.stated, journal.subject_key, journal.quarantine) == (False, "none", True)

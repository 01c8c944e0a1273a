"""Bad requests: each kind gets its own clear error, nothing is half-stored, and the listener serves on."""

from collections.abc import Iterator

import pytest
import stored
import vaults
from bad_requests import BAD, Bad
from narrow_api import Answer, PlainStation, listening
from raw_http import RawConnection, exchange, head
from wire import PDF, put, said

from vault.people.persons import NewPerson
from vault.records.vault import Vault


@pytest.fixture(scope="module")
def counter(shared: Vault, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainStation]:
    """A counter of the one contract, where another contract has a class that this one has not."""
    policy = vaults.policy_text().replace('"nishinomiya"', '"elsewhere"').replace("application_form", "elsewhere_form")
    shared.open_contract(policy, [NewPerson.parse("1:名前:worker")])
    with listening(shared, tmp_path_factory.mktemp("served")) as api:
        yield api.station()


def require_health(answer: Answer | None) -> None:
    assert answer is not None
    assert (answer.status, answer.json["takes"]) == (200, True)


def require_nothing_of_a_citizen(answer: Answer) -> None:
    for secret in (b"1234", b"9018", b"form.pdf", b"NIS-"):
        assert secret not in answer.body


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_is_wrong_is_refused_by_its_own_name_and_leaves_nothing(
    shared: Vault, counter: PlainStation, bad: Bad
) -> None:
    before = stored.everything(shared)
    with RawConnection(counter) as connection:
        connection.send(bad.request)
        answer = connection.answer()
        assert answer is not None
        assert (answer.status, answer.code) == (bad.status, bad.code)
        assert stored.everything(shared) == before
        require_nothing_of_a_citizen(answer)
        if answer.headers.get("connection") != "close":
            connection.send(head("GET", "/v1/health"))
            require_health(connection.answer())
    require_health(exchange(counter, head("GET", "/v1/health")))


def test_the_same_id_with_other_bytes_is_refused(shared: Vault, counter: PlainStation) -> None:
    record_id = vaults.new_id()
    assert counter.deposit(PDF, record_id).status == 201
    before = stored.everything(shared)
    for content in (vaults.pdf(2), vaults.large_pdf(), PDF + b"\n"):
        answer = counter.deposit(content, record_id)
        assert (answer.status, answer.code) == (409, "record-id-taken")
    other = counter.deposit(PDF, record_id, subject_key="NIS-00002")
    assert (other.status, other.code) == (409, "record-id-taken")
    assert stored.everything(shared) == before


def test_a_number_is_given_once(shared: Vault, counter: PlainStation) -> None:
    assert counter.deposit(PDF, sequence=7).status == 201
    before = stored.everything(shared)
    for content in (PDF, vaults.large_pdf()):
        answer = counter.deposit(content, sequence=7)
        assert (answer.status, answer.code) == (409, "sequence-taken")
    assert stored.everything(shared) == before


def test_a_method_that_is_not_taken_says_which_are(counter: PlainStation) -> None:
    answer = counter.ask("DELETE", f"/v1/deposits/{vaults.new_id()}")
    assert (answer.status, answer.headers["allow"]) == (405, "PUT")


def test_the_target_may_be_a_whole_address(counter: PlainStation) -> None:
    path = f"https://localhost/v1/deposits/{vaults.new_id()}"
    answer = exchange(counter, put(said(), path=path))
    assert answer is not None
    assert answer.status == 201

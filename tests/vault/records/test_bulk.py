import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stored
from vaults import ADMIN, CONTRACT, OPERATOR, new_vault, pdf, request, source

from vault.errors import KuraError, RefusedError, UnavailableError
from vault.records.bulk import deposit_many
from vault.records.deposited import Deposited
from vault.records.order import Order
from vault.records.prepare import Prepared
from vault.records.request import DepositRequest
from vault.records.source import FileSource, Source
from vault.records.vault import Vault

pytestmark = pytest.mark.in_buckets

Item = tuple[DepositRequest, Callable[[], Source]]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = new_vault(tmp_path)
    yield vault
    vault.close()


def item(tmp_path: Path, content: bytes | None = None, **fields: object) -> Item:
    opened = source(content if content is not None else pdf(1), tmp_path)
    return request(**fields), lambda: opened


def object_count(vault: Vault) -> int:
    return len(stored.objects(vault))


@pytest.mark.both_worlds
def test_many_records_share_commits_and_each_has_its_own_receipt(vault: Vault, tmp_path: Path) -> None:
    items = [item(tmp_path) for _ in range(150)]
    outcomes = dict(deposit_many(vault.deposits, vault.actor(OPERATOR), CONTRACT, items))
    assert sorted(outcomes) == list(range(150))
    log = vault.ground.log_of(CONTRACT)
    sizes = set()
    for position, outcome in outcomes.items():
        assert isinstance(outcome, Deposited)
        assert outcome.record_id == items[position][0].id
        sizes.add(outcome.receipt.verify(log.key).size)
        assert vault.deposits.receipt(CONTRACT, outcome.record_id).encode() == outcome.receipt.encode()
    assert len(sizes) < 75  # checkpoints: groups, not single commits
    assert object_count(vault) == 150


@pytest.mark.both_worlds
def test_large_records_are_not_kept_waiting_for_each_other(vault: Vault, tmp_path: Path) -> None:
    actor = vault.actor(OPERATOR)
    orders = [Order(actor, CONTRACT, *item(tmp_path, large)) for large in [pdf(1, 20 << 20)] * 5]
    first = vault.deposits.begin_many(orders)
    assert len(first) == 2
    assert len(first.finish()) == 2
    prepared = vault.deposits.prepare_many(orders[2:])
    assert [type(one) for one in prepared] == [Prepared] * 3


def test_a_group_is_no_larger_than_asked(vault: Vault, tmp_path: Path) -> None:
    before = vault.ground.log_of(CONTRACT).size
    outcomes = list(
        deposit_many(vault.deposits, vault.actor(OPERATOR), CONTRACT, [item(tmp_path) for _ in range(7)], group=1)
    )
    sizes = sorted(
        outcome.receipt.verify(vault.ground.log_of(CONTRACT).key).size
        for _, outcome in outcomes
        if isinstance(outcome, Deposited)
    )
    assert sizes == list(range(before + 1, before + 8))


def test_what_is_refused_stops_no_other(vault: Vault, tmp_path: Path) -> None:
    def vanished() -> Source:
        raise UnavailableError("source-unreadable", reason="gone")

    items = [
        item(tmp_path),
        item(tmp_path, b"not a PDF"),
        item(tmp_path, class_id="no_such_class"),
        (request(), vanished),
        item(tmp_path, subject_key="123456789018"),
        item(tmp_path),
    ]
    outcomes = dict(deposit_many(vault.deposits, vault.actor(OPERATOR), CONTRACT, items))
    codes = [outcome.code if isinstance(outcome, KuraError) else "" for _, outcome in sorted(outcomes.items())]
    assert codes == ["", "media-type-refused", "class-unknown", "source-unreadable", "subject-key-is-my-number", ""]
    assert object_count(vault) == 2


@pytest.mark.both_worlds
def test_repeating_gives_the_same_receipts(vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / "form.pdf"
    path.write_bytes(pdf(1))
    fd = os.open(path, os.O_RDONLY)
    requests = [request() for _ in range(10)]

    def run() -> dict[int, str]:
        items = [(one, lambda: FileSource(fd)) for one in requests]
        outcomes = deposit_many(vault.deposits, vault.actor(OPERATOR), CONTRACT, items)
        return {position: outcome.receipt.encode() for position, outcome in outcomes if isinstance(outcome, Deposited)}

    first = run()
    assert len(first) == 10
    assert run() == first
    assert object_count(vault) == 10
    os.close(fd)


@pytest.mark.both_worlds
def test_the_same_id_twice_in_one_run_is_one_record(vault: Vault, tmp_path: Path) -> None:
    one = request()
    items = [(one, item(tmp_path)[1]) for _ in range(4)]
    outcomes = [outcome for _, outcome in deposit_many(vault.deposits, vault.actor(OPERATOR), CONTRACT, items)]
    receipts = {outcome.receipt.encode() for outcome in outcomes if isinstance(outcome, Deposited)}
    assert (len(outcomes), len(receipts)) == (4, 1)
    assert object_count(vault) == 1


def test_items_that_end_in_an_error_are_answered_first(vault: Vault, tmp_path: Path) -> None:
    def items() -> Iterator[Item]:
        for _ in range(5):
            yield item(tmp_path)
        raise UnavailableError("request-cut")

    run = deposit_many(vault.deposits, vault.actor(OPERATOR), CONTRACT, items())
    assert sorted(next(run)[0] for _ in range(5)) == list(range(5))
    with pytest.raises(UnavailableError):
        next(run)
    assert object_count(vault) == 5


@pytest.mark.both_worlds
def test_whoever_stops_asking_leaves_no_orphan_and_no_thread(vault: Vault, tmp_path: Path) -> None:
    def endless() -> Iterator[Item]:
        while True:
            yield item(tmp_path)

    run = deposit_many(vault.deposits, vault.actor(OPERATOR), CONTRACT, endless(), group=2)
    for _ in range(3):
        next(run)
    run.close()  # type: ignore[attr-defined]  # it is a generator
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith(("sealing", "feeding"))] == []
    with vault.ground.engine.connect() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM objects").scalar()
    assert object_count(vault) == count


def test_no_more_than_a_bounded_number_is_on_its_way(vault: Vault, tmp_path: Path) -> None:
    drawn = 0

    def items() -> Iterator[Item]:
        nonlocal drawn
        for _ in range(400):
            drawn += 1
            yield item(tmp_path, b"not a PDF")

    most = 0
    for answered, _ in enumerate(deposit_many(vault.deposits, vault.actor(OPERATOR), CONTRACT, items())):
        most = max(most, drawn - answered)
    assert drawn == 400
    assert most <= 130


def test_a_defect_is_raised_and_not_swallowed(vault: Vault, tmp_path: Path) -> None:
    def broken() -> Source:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(deposit_many(vault.deposits, vault.actor(OPERATOR), CONTRACT, [item(tmp_path), (request(), broken)]))


def test_who_may_not_deposit_gets_an_error_for_each(vault: Vault, tmp_path: Path) -> None:
    outcomes = list(deposit_many(vault.deposits, vault.actor(ADMIN), CONTRACT, [item(tmp_path) for _ in range(3)]))
    assert [isinstance(outcome, RefusedError) for _, outcome in outcomes] == [True] * 3
    assert object_count(vault) == 0


def test_nothing_to_deposit(vault: Vault) -> None:
    assert list(deposit_many(vault.deposits, vault.actor(OPERATOR), CONTRACT, [])) == []

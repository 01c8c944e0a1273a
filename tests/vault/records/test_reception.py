"""The reception: many depositors' records at once, each with its own answer."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import vaults

from vault.errors import RefusedError, UnavailableError
from vault.people.actor import Actor
from vault.records.order import Order
from vault.records.reception import Reception
from vault.records.source import BytesSource
from vault.records.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = vaults.new_vault(tmp_path)
    yield vault
    vault.close()


@pytest.fixture
def reception(vault: Vault) -> Iterator[Reception]:
    reception = Reception(vault.deposits)
    yield reception
    reception.close()


def order(actor: Actor, content: bytes, **fields: object) -> Order:
    return Order(actor, vaults.CONTRACT, vaults.request(**fields), lambda: BytesSource(content))


@pytest.mark.both_worlds
def test_what_comes_together_shares_a_commit_and_one_that_is_refused_stops_no_other(
    vault: Vault, reception: Reception
) -> None:
    clerk, officer = vault.actor(vaults.OPERATOR), vault.actor(vaults.OFFICER)
    orders = [
        order(clerk, vaults.pdf(1)),
        order(officer, vaults.pdf(2)),
        order(clerk, b"no PDF"),
        order(clerk, vaults.pdf(3)),
    ]
    before = vault.ground.log_of(vaults.CONTRACT).size
    first, denied, refused, last = reception.deposit_together(orders)
    key = vault.ground.log_of(vaults.CONTRACT).key
    assert {answer.result().receipt.verify(key).size for answer in (first, last)} == {before + 2}
    for answer, code in ((denied, "not-allowed"), (refused, "media-type-refused")):
        with pytest.raises(RefusedError) as error:
            answer.result()
        assert error.value.code == code


def test_nothing_handed_over_is_answered_with_nothing(reception: Reception, vault: Vault) -> None:
    assert reception.deposit_together([]) == []
    assert reception.deposit(order(vault.actor(vaults.OPERATOR), vaults.pdf(1))).result().is_new


@pytest.mark.both_worlds
def test_closing_answers_what_was_handed_over(vault: Vault) -> None:
    reception = Reception(vault.deposits)
    answers = [reception.deposit(order(vault.actor(vaults.OPERATOR), vaults.pdf(number))) for number in range(40)]
    reception.close()
    assert all(answer.result().is_new for answer in answers)


BREAKS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "preparing": lambda patch: patch.setattr(
        "vault.records.prepare._known", lambda *_: (_ for _ in ()).throw(UnavailableError("commit-failed", reason="x"))
    ),
    "committing": lambda patch: patch.setattr(
        "vault.records.deposit.rows_of", lambda *_: (_ for _ in ()).throw(ZeroDivisionError)
    ),
}


@pytest.mark.both_worlds
@pytest.mark.parametrize("where", list(BREAKS))
def test_a_failure_is_told_to_everybody_and_the_next_is_taken(vault: Vault, reception: Reception, where: str) -> None:
    clerk = vault.actor(vaults.OPERATOR)
    with pytest.MonkeyPatch.context() as patch:
        BREAKS[where](patch)
        answers = reception.deposit_together([order(clerk, vaults.pdf(1)), order(clerk, vaults.pdf(2))])
        for answer in answers:
            with pytest.raises((UnavailableError, ZeroDivisionError)):
                answer.result()
    assert reception.deposit(order(clerk, vaults.pdf(3))).result().is_new

"""Two `kura serve` on one vault: they share the work, end in order or are killed, and say what they lack."""

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import engines
import pytest
from crash_stations import Sender
from kura_command import Kura
from two_owners import Owner, TwoOwners, two_owners, under_load

from vault.keys.pkcs11_uri import parse_hsm_uri
from vault.ledger.note import VerifierKey
from vault.ledger.receipt import Receipt

pytestmark = pytest.mark.engines
_SENDERS = ("counter", "counter", "exchange", "exchange", "counter", "counter")
_WAIT_S = 120


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoOwners]:
    with two_owners(tmp_path_factory.mktemp("pair"), _SENDERS) as vault:
        yield vault


@pytest.fixture
def vault(pair: TwoOwners) -> TwoOwners:
    """The vault of this module, both owners running."""
    pair.serve()
    return pair


def until(is_so: Callable[[], object]) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + _WAIT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def acknowledged(vault: TwoOwners, owner: Owner, to: dict[str, Owner]) -> int:
    return sum(len(sender.receipts) for sender in vault.senders if to[sender.name] is owner)


def recorded(vault: TwoOwners) -> set[str]:
    return {record_id for (record_id,) in vault.asked("SELECT id FROM records")}


def unanswered(senders: Iterable[Sender]) -> set[str]:
    """Ids of what was sent and never answered."""
    return {item.record_id for sender in senders for items in sender.waiting for item in items}


def require_all_once(vault: TwoOwners, kura: Kura) -> None:
    """Send again what was not answered, to whoever runs; then all is there, once, and everything holds."""
    for sender in vault.senders:
        for owner in (vault.one, vault.two):  # either gives the receipt of what the other took
            sender.unchecked = list(sender.receipts)
            assert sender.work(owner.port, 0)
    key = VerifierKey.decode(vault.log_vkey)
    receipts = [Receipt.decode(text) for sender in vault.senders for text in sender.receipts.values()]
    for receipt in receipts:
        receipt.verify(key)
    assert unanswered(vault.senders) == set()
    assert len({receipt.index for receipt in receipts}) == len(receipts)
    assert recorded(vault) == {record_id for sender in vault.senders for record_id in sender.receipts}
    [[count]] = vault.asked("SELECT count(*) FROM records")
    assert count == len(receipts)
    stations = kura("station", "list", "--as", "9001", "--dir", vault.two.folder, "--json").json["stations"]
    assert {one["station"]: (one["newest"], one["missing"]) for one in stations} == {
        sender.name: (sender.newest, []) for sender in vault.senders
    }


def holds(vault: TwoOwners, kura: Kura, owner: Owner) -> bool:
    return kura("verify", owner.folder, "--passphrase-file", vault.passphrase).code == 0


def test_both_take_records_and_neither_starves(vault: TwoOwners, kura: Kura) -> None:
    with under_load(vault) as load:
        until(lambda: sum(len(sender.receipts) for sender in vault.senders) >= 80)
        shares = [acknowledged(vault, owner, load.to) for owner in (vault.one, vault.two)]
    assert min(shares) >= 15, shares
    require_all_once(vault, kura)
    for owner in (vault.one, vault.two):
        assert holds(vault, kura, owner)


def test_one_that_is_told_to_end_finishes_what_it_took_while_the_other_goes_on(vault: TwoOwners, kura: Kura) -> None:
    with under_load(vault) as load:
        until(lambda: vault.tending() is not None)
        ending = vault.tending() or vault.one
        other = vault.other(ending)
        assert ending.end(signal.SIGTERM) == 0
        load.await_stations_of(ending)
        of_it = [sender for sender in vault.senders if load.to[sender.name] is ending]
        assert not unanswered(of_it) & recorded(vault), "what it took it has answered"
        assert ending.holder not in {holder for (holder,) in vault.asked("SELECT holder FROM leases")}
        until(lambda: vault.tending() is other)
        before = acknowledged(vault, other, load.to)
        until(lambda: acknowledged(vault, other, load.to) > before)
    ending.start()
    vault.serve()
    require_all_once(vault, kura)


def test_one_that_is_killed_loses_nothing_and_its_jobs_go_over(vault: TwoOwners, kura: Kura) -> None:
    with under_load(vault) as load:
        until(lambda: vault.tending() is not None)
        killed = vault.tending() or vault.one
        other = vault.other(killed)
        assert killed.end(signal.SIGKILL) == -signal.SIGKILL
        before = acknowledged(vault, other, load.to)
        until(lambda: acknowledged(vault, other, load.to) > before)
        assert vault.tending() is killed, "its lease has not ended, and nobody takes it before that"
        [[left_s]] = vault.asked(
            "SELECT until / 1e6 - extract(epoch FROM clock_timestamp()) FROM leases WHERE job = 'tend-stores'"
        )
        assert 0 < left_s <= 60
        vault.asked("UPDATE leases SET until = until - 60000000 WHERE job = 'tend-stores'")  # a minute has passed
        until(lambda: vault.tending() is other)
    for sender in vault.senders:  # they turn to the other, with the same ids and numbers
        assert sender.work(other.port, 1)
    killed.start()
    vault.serve()
    require_all_once(vault, kura)
    until(lambda: vault.asked("SELECT 1 FROM copies WHERE locked_until < lock_wanted LIMIT 1") == [])
    assert holds(vault, kura, other)


def test_both_name_the_engine_that_is_away_and_are_well_again_after(vault: TwoOwners, kura: Kura) -> None:
    both = (vault.one, vault.two)

    def doctor(owner: Owner) -> dict[str, str]:
        examined = kura("doctor", "--dir", owner.folder, "--json")
        return {check["check"]: check["level"] for check in examined.json["checks"]}

    def all_say(name: str) -> None:
        for owner in both:
            assert vault.health(owner)["missing"] == [name]
        assert doctor(vault.two)[name] == "wrong"

    def is_well(owner: Owner) -> bool:
        return vault.health(owner).get("missing") == [] and kura("doctor", "--dir", owner.folder).code == 0

    assert [vault.health(owner)["missing"] for owner in both] == [[], []]
    vault.way.late_s = 30
    all_say("store 2")
    vault.way.late_s = 0
    token = parse_hsm_uri(vault.hsm).token
    engines.run("softhsm", "away", token)
    all_say("keys")
    engines.run("softhsm", "back", token)
    engines.run("postgresql", "stop")
    assert [vault.health(owner)["code"] for owner in both] == ["database-away", "database-away"]
    assert doctor(vault.two)["database"] == "wrong"
    engines.run("postgresql", "start")
    for owner in both:
        until(partial(is_well, owner))
    for sender in vault.senders[:2]:
        assert sender.work(vault.one.port, 1)
        assert sender.work(vault.two.port, 1)
    require_all_once(vault, kura)

"""Several owners of one database: each sees what the other did, nothing is made twice, and one at a time does jobs."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import engines
import pytest
import vaults
from ledger_vectors import refused
from second_owner import second_owner
from sqlalchemy import func, select
from station_keys import signing_request

from vault.bootstrap import now_utc, open_vault, verify_vault
from vault.errors import ConflictError, IntegrityError, KuraError
from vault.ledger.checkpoint import Checkpoint, open_checkpoint
from vault.people.persons import NewPerson
from vault.people.stations import Station
from vault.records.deposited import Deposited
from vault.records.leases import Leases
from vault.records.vault import Vault
from vault.sealing.bucket import BucketId
from vault.storage.tables import AuthorityRow, BucketRow, LeaseRow, RecordRow

pytestmark = pytest.mark.engines
AT = now_utc()


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Vault]:
    vault = vaults.new_vault(tmp_path)
    yield vault
    vault.close()


@pytest.fixture
def two(one: Vault, tmp_path: Path) -> Iterator[Vault]:
    vault = second_owner(one, tmp_path / "second")
    yield vault
    vault.close()


def deposit(vault: Vault, tmp_path: Path, number: int = 1, **overrides: object) -> Deposited:
    actor = vault.actor(vaults.OPERATOR)
    source = vaults.source(vaults.pdf(number), tmp_path)
    return vault.deposits.deposit(actor, vaults.CONTRACT, vaults.request(**overrides), source)


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Call all at the same moment; give what each returned or raised of ours."""
    line = threading.Barrier(len(calls))

    def call(one: Callable[[], object]) -> object:
        line.wait()
        try:
            return one()
        except KuraError as error:
            return error.code

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def count(vault: Vault, row: type) -> int:
    with vault.ground.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(row)) or 0


def test_both_take_records_and_the_vault_verifies(one: Vault, two: Vault, tmp_path: Path) -> None:
    done = [deposit((one, two)[number % 2], tmp_path, number) for number in range(6)]
    assert len({one.receipt.index for one in done}) == 6
    for vault in (one, two):
        for made in done:
            again = vault.deposits.receipt(vaults.CONTRACT, made.record_id)
            assert again.encode() == made.receipt.encode()
    two.publish()
    one.publish()
    log = one.ground.log_of(vaults.CONTRACT)
    heads = [
        open_checkpoint((vault.published_folder(log.id) / "checkpoint").read_bytes(), log.key) for vault in (one, two)
    ]
    assert heads[0] == heads[1] == log.checkpoint()
    verdict = verify_vault(one.folder, vaults.custodian())
    assert [str(finding) for finding in verdict.findings if finding.what != "database"] == []


def test_one_id_is_one_record_whoever_is_asked(one: Vault, two: Vault, tmp_path: Path) -> None:
    for number in range(4):
        wanted = vaults.new_id()
        answers = at_once(*(partial(deposit, vault, tmp_path, id=wanted, ended_at=AT) for vault in (one, two)))
        receipts = {answer.receipt.encode() for answer in answers if isinstance(answer, Deposited)}
        assert len(receipts) == 1
        assert sorted(answer.is_new for answer in answers if isinstance(answer, Deposited)) == [False, True]
        assert count(one, RecordRow) == number + 1


def test_a_checkpoint_that_the_other_signed_is_no_rollback(one: Vault, two: Vault, tmp_path: Path) -> None:
    deposit(one, tmp_path)
    log = one.ground.log_of(vaults.CONTRACT)
    assert two.ground.log_of(vaults.CONTRACT).size < log.size
    two.confront(vaults.CONTRACT, log.signed(log.checkpoint()))
    assert two.problem is None
    assert two.ground.log_of(vaults.CONTRACT).size == log.size


@pytest.mark.parametrize("is_told_by_a_station", [False, True])
def test_a_database_that_went_back_halts_both_and_one_recovers(
    one: Vault, two: Vault, tmp_path: Path, *, is_told_by_a_station: bool
) -> None:
    log = one.ground.log_of(vaults.CONTRACT)
    before = (log.size, log.head.encode())
    deposit(one, tmp_path)
    two.publish()
    engines.put_back_head(one.ground.engine.url.database or "", log.id, *before)
    if is_told_by_a_station:
        newer = log.checkpoint()
        later = Checkpoint(newer.origin, newer.size + 1, newer.root)  # of an entry that both have forgotten
        with refused(IntegrityError, "ledger-went-back"):
            one.confront(vaults.CONTRACT, log.signed(later))
    for vault in (one, two):
        if vault.problem is None:
            with refused(IntegrityError, "ledger-went-back"):
                vault.publish()
        with refused(IntegrityError, "ledger-went-back"):
            deposit(vault, tmp_path, 2)
    [recovered] = one.recover(one.actor(vaults.ADMIN))
    assert one.ground.log_of(vaults.CONTRACT).id == recovered.id
    assert deposit(one, tmp_path, 3).is_new
    three = second_owner(one, tmp_path / "third")  # a restart of the other finds the successor
    assert deposit(three, tmp_path, 4).is_new
    three.close()


def test_a_contract_that_the_other_opened_is_served(one: Vault, two: Vault, tmp_path: Path) -> None:
    policy = vaults.policy_text().replace('contract = "nishinomiya"', 'contract = "ashiya"')
    assert policy != vaults.policy_text()
    people = [NewPerson.parse(vaults.PEOPLE[0])]
    answers = at_once(lambda: one.open_contract(policy, people), lambda: two.open_contract(policy, people))
    assert sorted(isinstance(answer, str) for answer in answers) == [False, True]
    assert "contract-exists" in answers
    for number, vault in enumerate((one, two)):
        source = vaults.source(vaults.pdf(number), tmp_path)
        assert vault.deposits.deposit(vault.actor(vaults.OPERATOR), "ashiya", vaults.request(), source).is_new


def test_a_bucket_is_made_once(one: Vault, two: Vault) -> None:
    wanted = [BucketId(vaults.CONTRACT, "application_form", f"2099-01-{day:02}") for day in range(1, 9)]
    made = at_once(lambda: one.buckets.make(wanted), lambda: two.buckets.make(wanted))
    assert sum(int(str(number)) for number in made) == len(wanted)
    with one.ground.engine.connect() as connection:
        live = set(connection.scalars(select(BucketRow.key_id)))
    assert live == one.ground.keys.disposal_key_ids()  # the keys of whoever was second are gone again
    assert one.buckets.find(wanted[0]).id == two.buckets.find(wanted[0]).id


def test_there_is_one_authority_and_a_name_is_enrolled_once(one: Vault, two: Vault) -> None:
    authorities = at_once(lambda: one.enrolment.authority().certificate, lambda: two.enrolment.authority().certificate)
    assert authorities[0] == authorities[1]
    assert count(one, AuthorityRow) == 1
    station = Station.parse("counter-1", "counter", vaults.CONTRACT)
    admin = one.actor(vaults.ADMIN)
    answers = at_once(*(partial(vault.enrolment.enrol, admin, station, signing_request()) for vault in (one, two)))
    assert "station-exists" in answers
    assert [type(answer) for answer in answers].count(bytes) == 1


def test_a_lease_has_one_holder_and_ends_with_it(one: Vault, two: Vault) -> None:
    with one.leases.held("sweep") as is_mine:
        assert is_mine
        with two.leases.held("sweep") as is_mine_too:
            assert not is_mine_too
        with two.leases.held("another") as is_mine_too:
            assert is_mine_too
    with two.leases.held("sweep") as is_mine:
        assert is_mine
    assert count(one, LeaseRow) == 0


def test_the_lease_of_one_that_was_killed_ends_by_itself(one: Vault, two: Vault) -> None:
    brief = Leases(two.ground.sequencer, "killed", lease_s=0.5)
    two.ground.sequencer.run(lambda _: None)
    assert brief._take("sweep")  # noqa: SLF001 - as one that is killed: it neither renews nor releases
    took: list[bool] = []
    while not took:
        with one.leases.held("sweep") as is_mine:
            took += [True] if is_mine else []
    with Leases(two.ground.sequencer, "killed").held("sweep") as is_mine:
        assert is_mine  # released above


def test_at_once_one_of_two_gets_a_lease(one: Vault, two: Vault) -> None:
    for number in range(5):
        entered = threading.Barrier(2)

        def hold(vault: Vault, job: str = f"job {number}", entered: threading.Barrier = entered) -> bool:
            with vault.leases.held(job) as is_mine:
                entered.wait()
                return is_mine

        assert sorted(map(bool, at_once(lambda: hold(one), lambda: hold(two)))) == [False, True]


def test_a_copy_of_a_folder_with_keys_in_a_file_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    used = vaults.on_engines(tmp_path)
    one = vaults.new_vault(tmp_path, engines_used={name: used[name] for name in ("database", "owner_url")})
    copy = tmp_path / "copy"
    shutil.copytree(one.folder, copy, ignore=shutil.ignore_patterns("lock", "socket"))
    with refused(ConflictError, "keys-owned"):
        open_vault(copy, vaults.custodian())
    one.close()
    open_vault(copy, vaults.custodian()).close()

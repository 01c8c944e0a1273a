"""Many stations at once, small documents and large uploads together: all receipts hold, nothing is there twice."""

import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import crash_load
import stored
import vaults
from narrow_api import Answer, Api, PlainStation
from wire import PDF

from vault.bootstrap import verify_vault
from vault.ledger.receipt import Receipt
from vault.records.vault import Vault

CLIENTS, EACH = 64, 20
UPLOADS, SAMPLES = 8, 6 << 20  # 12 MiB each


def together(works: Iterable[Callable[[], list[Answer]]]) -> list[Answer]:
    """Do all at the same time."""
    waiting = list(works)
    barrier = threading.Barrier(len(waiting))

    def do(work: Callable[[], list[Answer]]) -> list[Answer]:
        barrier.wait(timeout=60)
        return work()

    with ThreadPoolExecutor(len(waiting)) as pool:
        return [answer for answers in pool.map(do, waiting) for answer in answers]


def test_sixty_four_clients_and_eight_uploads_at_once(api: Api, vault: Vault) -> None:
    counters = [api.station(f"counter-{number}") for number in range(CLIENTS)]
    exchanges = [api.station(f"exchange-{number}", "exchange") for number in range(2)]
    calls = [crash_load.sound(number, SAMPLES) for number in range(UPLOADS)]

    def small(station: PlainStation) -> Callable[[], list[Answer]]:
        return lambda: [station.deposit(vaults.pdf(number), sequence=number + 1) for number in range(EACH)]

    def large(number: int) -> Callable[[], list[Answer]]:
        of = exchanges[number % 2]
        station = api.connecting(of.name, of.context)
        said = {"class": "call_recording", "started_at": "2026-11-20T09:00:00+09:00"}
        return lambda: [station.deposit(calls[number], sequence=number // 2 + 1, **said)]

    answers = together([*map(small, counters), *map(large, range(UPLOADS))])
    assert [answer.status for answer in answers] == [201] * (CLIENTS * EACH + UPLOADS)
    key, wanted = vault.ground.log_of(vaults.CONTRACT).key, [vaults.pdf(number) for number in range(EACH)] * CLIENTS
    for answer, content in zip(answers, wanted + calls, strict=True):
        values = answer.json
        receipt, digest = Receipt.decode(values["receipt"]), hashlib.sha256(content).hexdigest()
        receipt.verify(key)
        commitment = hashlib.sha256(bytes.fromhex(values["salt"] + digest)).hexdigest()
        assert values["digest"] == digest
        assert commitment.encode() in receipt.entry
        assert values["record"].encode() in receipt.entry
    assert len({answer.json["record"] for answer in answers}) == len(answers)
    assert len({Receipt.decode(answer.json["receipt"]).index for answer in answers}) == len(answers)
    assert stored.rows(vault, "SELECT count(*) FROM records") == [(len(answers),)]
    assert len(stored.objects(vault)) == len(answers)
    for station in counters:
        assert station.ask("GET", "/v1/health").json["newest"] == EACH
    vault.publish()
    vault.close()
    assert verify_vault(vault.folder, vaults.custodian()).findings == []


def test_the_same_record_from_many_connections_is_one_record(api: Api, vault: Vault, counter: PlainStation) -> None:
    for content, count in ((PDF, 1), (vaults.large_pdf(), 2)):
        record_id = vaults.new_id()

        def send(record_id: str = record_id, content: bytes = content) -> list[Answer]:
            return [api.connecting("again", counter.context).deposit(content, record_id, sequence=len(content))]

        answers = together([send] * 8)
        assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
        assert len({answer.body for answer in answers}) == 1
        assert len(stored.objects(vault)) == count


def test_one_number_for_several_records_is_given_once(api: Api, vault: Vault, counter: PlainStation) -> None:
    answers = together([lambda: [api.connecting("again", counter.context).deposit(PDF, sequence=1)]] * 8)
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    assert len(stored.objects(vault)) == 1


def test_the_same_record_twice_at_once_in_a_sealed_vault(api: Api, vault: Vault, counter: PlainStation) -> None:
    vault.seal()
    record_id = vaults.new_id()
    answers = together([lambda: [api.connecting("again", counter.context).deposit(PDF, record_id)]] * 8)
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert len(stored.objects(vault)) == 1

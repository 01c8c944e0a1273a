"""A vault that was put back to yesterday meets what its stations were told since: it halts, and appends nothing."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import past
import pytest
import stored
import vaults
from narrow_api import Answer, Api, PlainStation, deposit_header, listening
from wire import BATCH, PDF, base64url, batch_line

from vault.bootstrap import open_vault
from vault.people.persons import NewPerson
from vault.records.vault import Vault

Send = Callable[[PlainStation, str], Answer]


def checkpoint_of(receipt: str) -> str:
    """The header field from a receipt: the signed note at its end, its dash as the note has it."""
    return base64url(receipt[receipt.index("\n\n") + 2 :].encode())


class Restored:
    """A vault that was copied back from yesterday whole, its epoch folder and guard included; nothing here knows."""

    def __init__(self, tmp_path: Path) -> None:
        vault = vaults.new_vault(tmp_path)
        with listening(vault, tmp_path) as api:
            station = api.station()
            self.context = station.context
            self.kept = station.deposit(PDF).json["receipt"]
        vault.close()
        folders = [vault.folder, tmp_path / "vault.epoch"]
        for folder in folders:
            shutil.copytree(folder, tmp_path / "yesterday" / folder.name)
        rows = past.save(vault.folder)
        vault = open_vault(vault.folder, vaults.custodian())
        with listening(vault, tmp_path) as api:
            self.lost = api.connecting("counter-1", self.context).deposit(PDF).json["receipt"]
        vault.close()
        for folder in folders:
            shutil.rmtree(folder)
            shutil.copytree(tmp_path / "yesterday" / folder.name, folder)
        past.put_back(vault.folder, rows)
        self.vault = open_vault(vault.folder, vaults.custodian())


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[Restored]:
    restored = Restored(tmp_path)
    yield restored
    restored.vault.close()


@pytest.fixture
def back(restored: Restored, tmp_path: Path) -> Iterator[Api]:
    with listening(restored.vault, tmp_path) as api:
        yield api


SENDS: dict[str, Send] = {
    "deposit": lambda station, told: station.ask(
        "PUT", f"/v1/deposits/{vaults.new_id()}", PDF, kura_deposit=deposit_header(), kura_checkpoint=told
    ),
    "batch": lambda station, told: station.ask(
        "POST", BATCH, batch_line(PDF), content_type="application/vnd.kura.batch", kura_checkpoint=told
    ),
    "journal": lambda station, told: station.ask(
        "POST",
        "/v1/journals/counter_tally",
        b"a,b\n",
        kura_deposit=deposit_header(**{"class": None}, subject_key=None, id=vaults.new_id()),
        kura_checkpoint=told,
    ),
}


@pytest.mark.both_worlds
@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_a_later_checkpoint_halts_the_vault_and_nothing_is_appended(restored: Restored, back: Api, send: Send) -> None:
    vault, station = restored.vault, back.connecting("counter-1", restored.context)
    assert vault.problem is None  # the guard went back, too
    before = stored.everything(vault)
    answer = send(station, checkpoint_of(restored.lost))
    assert (answer.status, answer.code) == (503, "vault-halted")
    assert int(answer.headers["retry-after"]) > 0
    assert vault.problem is not None
    assert vault.problem.code == "ledger-went-back"
    for again in SENDS.values():  # now also without any checkpoint, and from others
        assert again(station, "").code == "vault-halted"
    assert station.deposit(PDF).code == "vault-halted"
    assert station.ask("POST", "/v1/certificate", b"x").code == "vault-halted"
    assert station.ask("GET", "/v1/health").json["takes"] is False
    assert stored.everything(vault) == before


@pytest.mark.both_worlds
def test_after_a_recovery_stations_go_on_with_what_they_were_told_before(restored: Restored, back: Api) -> None:
    vault, station = restored.vault, back.connecting("counter-1", restored.context)
    assert SENDS["deposit"](station, checkpoint_of(restored.lost)).status == 503
    vault.recover(vault.actor(vaults.ADMIN))
    assert station.ask("GET", "/v1/health").json["takes"] is True
    for told in (restored.kept, restored.lost):
        answer = SENDS["deposit"](station, checkpoint_of(told))
        assert answer.status == 201, answer.body
    assert vault.problem is None
    later = SENDS["deposit"](station, checkpoint_of(answer.json["receipt"]))
    assert later.status == 201
    assert b"nishinomiya.2\n" in later.body or "nishinomiya.2" in later.json["receipt"]


def test_the_checkpoint_of_the_last_receipt_is_fine(api: Api, vault: Vault, counter: PlainStation) -> None:
    receipt = counter.deposit(PDF).json["receipt"]
    others = [api.station(f"counter-{number}") for number in (2, 3)]
    for station in (counter, *others):
        assert SENDS["deposit"](station, checkpoint_of(receipt)).status == 201
    assert vault.problem is None


def test_the_checkpoint_of_another_ledger_is_refused_and_halts_nothing(
    api: Api, vault: Vault, counter: PlainStation
) -> None:
    vault.open_contract(
        vaults.policy_text().replace('"nishinomiya"', '"elsewhere"'), [NewPerson.parse("1:名前:worker")]
    )
    other = api.station("counter-2", contract="elsewhere").ask("GET", "/v1/checkpoint").body
    own = counter.ask("GET", "/v1/checkpoint").body
    forged = own.replace(own.split(b"\n")[1], str(int(own.split(b"\n")[1]) + 1).encode(), 1)
    before = stored.everything(vault)
    for told in (other, forged, own[:-5], b"", b"\xff\xfe", own + own):
        for send in SENDS.values():
            answer = send(counter, base64url(told))
            assert (answer.status, answer.code) == (400, "checkpoint-header-malformed")
    assert vault.problem is None
    assert stored.everything(vault) == before
    assert counter.deposit(PDF).status == 201


def test_a_halted_vault_still_gives_receipts_and_its_checkpoint(restored: Restored, back: Api) -> None:
    """What was promised can be shown, whatever has to be looked at."""
    station = back.connecting("counter-1", restored.context)
    assert SENDS["deposit"](station, checkpoint_of(restored.lost)).status == 503
    assert station.ask("GET", "/v1/checkpoint").status == 200
    [(record_id,)] = stored.rows(restored.vault, "SELECT id FROM records")
    assert station.ask("GET", f"/v1/deposits/{record_id}/receipt").body.decode() == restored.kept

"""`kura-send` as a clerk runs it, against a real vault."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import vaults
from sqlalchemy import select

from vault.client.send import main
from vault.ledger.event import EventKind, decode_entry
from vault.ledger.note import VerifierKey
from vault.ledger.receipt import Receipt
from vault.records.numbering import numbers_from
from vault.storage.tables import RecordRow

if TYPE_CHECKING:
    from tests.vault.client.conftest import Served

pytestmark = pytest.mark.usefixtures("pauses")
BY_NAME = ("--subject-key-from", r"(?P<subject_key>NIS-\d+)")


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    path = tmp_path / "inbox"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def lay(inbox: Path, count: int) -> dict[str, bytes]:
    contents = {f"NIS-{number:05}_申込書.pdf": vaults.pdf(number) for number in range(count)}
    for name, content in contents.items():
        (inbox / name).write_bytes(content)
    return contents


def watch(served: "Served", inbox: Path, *more: str) -> int:
    options = ["--station", str(served.path), "--class", "application_form", "--settle", "0", "--once", *more]
    return main(["watch", str(inbox), *options])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def arrived(served: "Served") -> tuple[int, int, list[tuple[int, int]]]:
    with served.vault.ground.engine.connect() as connection:
        numbers = numbers_from(connection, "counter-1")
    return numbers.newest, numbers.arrived, list(numbers.missing)


def digests_in(served: "Served") -> list[str]:
    """The commitments of what the vault has, one for each record: they differ where the records do."""
    with served.vault.ground.engine.connect() as connection:
        return list(connection.scalars(select(RecordRow.id)))


def test_files_go_and_their_receipts_stand_beside_them(served: "Served", inbox: Path) -> None:
    contents = lay(inbox, 5)
    assert watch(served, inbox, *BY_NAME) == 0
    assert names(inbox) == set()
    key = VerifierKey.decode((served.path / "log.vkey").read_text().strip())
    for name, content in contents.items():
        assert (inbox / "sent" / name).read_bytes() == content
        receipt = Receipt.decode((inbox / "sent" / f"{name}.tlog-proof").read_text("utf-8"))
        receipt.verify(key)
        assert decode_entry(receipt.entry).event.kind is EventKind.DEPOSIT_ACCEPTED
    assert arrived(served) == (5, 5, [])


def test_sent_files_may_be_deleted_and_the_receipt_keeps_no_name(served: "Served", inbox: Path) -> None:
    lay(inbox, 2)
    assert watch(served, inbox, *BY_NAME, "--delete") == 0
    assert names(inbox) == set()
    assert sorted(names(inbox / "sent")) == sorted(f"{record_id}.tlog-proof" for record_id in digests_in(served))


def test_a_refused_file_is_put_aside_with_why_and_the_others_go(
    served: "Served", inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(inbox, 2)
    (inbox / "NIS-00009.pdf").write_bytes(b"no PDF")
    (inbox / "nobody.pdf").write_bytes(vaults.pdf(9))
    assert watch(served, inbox, *BY_NAME) == 2
    assert names(inbox) == set()
    assert len(names(inbox / "sent")) == 4
    assert names(inbox / "refused") == {"NIS-00009.pdf", "NIS-00009.pdf.txt", "nobody.pdf", "nobody.pdf.txt"}
    for name in ("NIS-00009.pdf.txt", "nobody.pdf.txt"):
        assert len((inbox / "refused" / name).read_text("utf-8").splitlines()) == 1
    said = capsys.readouterr()
    assert "NIS-00009" not in said.out + said.err  # the output does not go to a screen
    lay(inbox, 3)
    assert watch(served, inbox, *BY_NAME) == 0
    assert arrived(served)[2] == []


def test_while_the_vault_is_away_files_wait_in_their_place(
    served: "Served", inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = lay(inbox, 3)
    served.stop()
    assert watch(served, inbox, *BY_NAME) == 2
    assert names(inbox) == set(contents)
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not list((served.path / "state" / "spool").glob("*.spool"))
    served.start()
    assert watch(served, inbox, *BY_NAME) == 0
    assert arrived(served) == (3, 3, [])


def test_a_revoked_station_leaves_every_file_where_it_is(served: "Served", inbox: Path) -> None:
    contents = lay(inbox, 2)
    served.vault.enrolment.revoke(served.vault.actor(vaults.ADMIN), vaults.CONTRACT, "counter-1")
    assert watch(served, inbox, *BY_NAME) == 2
    assert names(inbox) == set(contents)


def test_a_file_that_a_sealed_vault_could_not_compare_stays(served: "Served", inbox: Path) -> None:
    [(name, content)] = lay(inbox, 1).items()
    kept = (inbox / name).stat()
    assert watch(served, inbox, *BY_NAME) == 0
    (inbox / name).write_bytes(content)  # back, as if it had never been moved
    os.utime(inbox / name, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    served.vault.seal()
    assert watch(served, inbox, *BY_NAME) == 2
    assert names(inbox) == {name}
    served.vault.unseal(vaults.custodian())
    assert watch(served, inbox, *BY_NAME) == 0
    assert names(inbox / "sent") == {name, f"{name}.tlog-proof", f"2-{name}", f"2-{name}.tlog-proof"}
    assert arrived(served) == (1, 1, [])


def test_sidecars_say_what_the_file_does_not_and_go_with_it(served: "Served", inbox: Path) -> None:
    for name in ("good.pdf", "bad.pdf", "waits.pdf"):
        (inbox / name).write_bytes(vaults.pdf(len(name)))
    (inbox / "good.pdf.json").write_text(json.dumps({"subject_key": "NIS-00007", "title_code": "A-1"}))
    (inbox / "bad.pdf.json").write_text("{")
    assert watch(served, inbox, "--sidecar") == 2
    assert names(inbox) == {"waits.pdf"}
    assert names(inbox / "sent") == {"good.pdf", "good.pdf.json", "good.pdf.tlog-proof"}
    assert names(inbox / "refused") == {"bad.pdf", "bad.pdf.json", "bad.pdf.txt"}


@pytest.mark.parametrize("name", [".hidden.pdf", "form.pdf.part", "form.tmp", "form.pdf~", "form.crdownload"])
def test_temporary_and_hidden_files_links_and_folders_are_left_alone(served: "Served", inbox: Path, name: str) -> None:
    (inbox / name).write_bytes(vaults.pdf(1))
    (inbox / "folder").mkdir()
    (inbox / "link.pdf").symlink_to(inbox / name)
    assert watch(served, inbox) == 0
    assert names(inbox) == {name, "link.pdf"}
    assert arrived(served) == (0, 0, [])


def test_a_name_that_is_no_text_is_put_aside(served: "Served", inbox: Path) -> None:
    name = os.fsdecode(b"NIS-00001_\xff.pdf")
    (inbox / name).write_bytes(vaults.pdf(1))
    assert watch(served, inbox, *BY_NAME) == 2
    assert names(inbox / "refused") == {name, f"{name}.txt"}


def test_a_name_too_long_for_a_receipt_beside_it_stays_and_stops_no_other(served: "Served", inbox: Path) -> None:
    long = "NIS-00001_" + "申" * 80 + ".pdf"
    (inbox / long).write_bytes(vaults.pdf(1))
    (inbox / "NIS-00002.pdf").write_bytes(vaults.pdf(2))
    assert watch(served, inbox, *BY_NAME) == 2
    assert names(inbox) == {long}
    assert arrived(served) == (1, 1, [])


LOCKING = """
import fcntl, sys
with open(sys.argv[1], "ab") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("locked", flush=True)
    sys.stdin.readline()
"""


def test_a_file_that_its_writer_has_locked_waits(served: "Served", inbox: Path) -> None:
    [name] = lay(inbox, 1)
    command = [sys.executable, "-c", LOCKING, str(inbox / name)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdin is not None
        assert writer.stdout.readline() == "locked\n"
        assert watch(served, inbox, *BY_NAME) == 2
        assert names(inbox) == {name}
        writer.stdin.write("\n")
    assert watch(served, inbox, *BY_NAME) == 0


def test_a_file_that_is_written_to_again_is_sent_once_it_rests(served: "Served", inbox: Path) -> None:
    command = [sys.executable, "-m", "vault.client.send", "watch", str(inbox), "--station", str(served.path)]
    command += ["--class", "application_form", "--settle", "1", *BY_NAME]
    content = vaults.pdf(1, 60_000)
    path = inbox / "NIS-00001.pdf"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sending:
        with path.open("wb") as file:
            for start in range(0, len(content), 10_000):
                file.write(content[start : start + 10_000])
                file.flush()
                time.sleep(0.3)
        assert sending.stdout is not None
        assert sending.stdout.readline().startswith("Sent: ")
        sending.send_signal(signal.SIGKILL)
    assert (inbox / "sent" / path.name).read_bytes() == content
    assert arrived(served) == (1, 1, [])
    assert names(inbox / "refused") == set()


def test_numbers_of_files_that_were_taken_away_leave_no_gap(served: "Served", inbox: Path) -> None:
    contents = lay(inbox, 3)
    served.stop()
    assert watch(served, inbox, *BY_NAME) == 2  # the first has its number now
    (inbox / min(contents)).unlink()
    served.start()
    for _ in range(2):
        assert watch(served, inbox, *BY_NAME) == 0
    (inbox / "NIS-00077.pdf").write_bytes(vaults.pdf(77))
    assert watch(served, inbox, *BY_NAME) == 0
    assert arrived(served) == (3, 3, [])


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_every_file_arrives_once_and_no_number_is_missing(
    served: "Served", inbox: Path, seed: int
) -> None:
    contents, drawn = lay(inbox, 40), random.Random(seed)
    command = [sys.executable, "-m", "vault.client.send", "watch", str(inbox), "--station", str(served.path)]
    command += ["--class", "application_form", "--settle", "0", "--once", *BY_NAME]
    kills = 0
    while names(inbox):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sending:
            assert sending.stdout is not None
            sending.stdout.readline()
            time.sleep(drawn.random() / 20)
            sending.send_signal(signal.SIGKILL)
        kills += sending.returncode == -signal.SIGKILL
    assert kills > 1
    assert watch(served, inbox, *BY_NAME) == 0
    assert arrived(served) == (40, 40, [])
    assert {name: (inbox / "sent" / name).read_bytes() for name in contents} == contents
    proofs = [(inbox / "sent" / f"{name}.tlog-proof").read_text("utf-8") for name in contents]
    records = {decode_entry(Receipt.decode(proof).entry).event.body["record"] for proof in proofs}
    assert records == set(digests_in(served))


def test_init_makes_what_enrolment_needs(served: "Served", tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new"
    assert main(["init", str(path), "--vault", f"https://localhost:{served.port}", "--name", "counter-2"]) == 0
    assert "counter-2.csr" in capsys.readouterr().out
    assert names(path) == {"counter-2.key", "counter-2.csr", "station.toml"}
    assert main(["init", str(path), "--vault", "https://localhost", "--name", "counter-2"]) == 2
    assert main(["status", "--station", str(path)]) == 2  # not enrolled yet
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_status_says_numbers_and_certificate_while_another_process_sends(
    served: "Served", inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--station", str(served.path)]) == 0
    assert "nothing sent yet" in capsys.readouterr().out
    lay(inbox, 2)
    watch(served, inbox, *BY_NAME)
    assert main(["status", "--station", str(served.path)]) == 0
    said = capsys.readouterr().out
    assert "numbers 1 to 2: 2 in the vault" in said
    assert "certificate good until" in said


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["send"],
        ["init", "x"],
        ["init", "x", "--vault", "http://x", "--name", "a"],
        ["watch", "x", "--station", "y"],
        ["watch", "x", "--station", "y", "--class", "c", "--subject-key-from", "("],
        ["watch", "x", "--station", "y", "--class", "c", "--subject-key-from", "no group"],
        ["watch", "x", "--station", "y", "--class", "c", "--settle", "-1"],
        ["watch", "x", "--station", "y", "--class", "c", "--settle", "x"],
        ["watch", "x", "--station", "y", "--class", "c"],
        ["status", "--station", "y"],
    ],
    ids=range(11),
)
def test_wrong_use_is_one_line_and_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code: object = main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_it_speaks_japanese_where_the_clerk_does(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    assert main(["status", "--station", str(tmp_path)]) == 2
    assert "送信端末" in capsys.readouterr().err

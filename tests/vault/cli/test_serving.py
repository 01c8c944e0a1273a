"""The owner of the folder and its socket: verbs through it, a sealed vault, bad clients."""

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kura_command import DEPOSIT, Kura, deposited, make_home, served
from vaults import new_vault, pdf

from vault.cli.owner.address import connect


def say(connected: socket.socket, line: bytes) -> dict[str, Any]:
    connected.sendall(line)
    with connected.makefile("rb") as answers:
        values: dict[str, Any] = json.loads(answers.readline())
        return values


def code_of(answer: dict[str, Any]) -> str:
    return str(answer["error"]["code"])


def reached(home: Path) -> socket.socket:
    connected = connect(home / "vault")
    assert connected is not None
    return connected


def test_everything_goes_through_the_owner_while_one_serves(home: Path, kura: Kura) -> None:
    with served(home):
        assert stat.S_IMODE((home / "vault/socket").stat().st_mode) == 0o600
        record = deposited(kura, "--receipts", "receipts")
        assert Path(record["receipt"]).is_file()
        [hit] = kura("find", "--subject-key", "nis-00001", "--as", "1001", "--json").json["records"]
        assert kura("open", hit["id"], "-o", "out.pdf", "--purpose", "case_processing", "--as", "1001").code == 0
        assert (home / "out.pdf").read_bytes() == pdf(1)
        assert kura("scrub", "--as", "9001", "--json").json["checked"] == 1
        assert kura("backup", "copy", "--as", "9001").code == 0
        assert kura("person", "add", "1002:渡辺:scan_operator", "--as", "9001").code == 0
        assert kura("doctor", "--json").json["contracts"][0]["records"] == 1
    assert not (home / "vault/socket").exists()
    assert kura("verify").code == 0


def test_an_import_of_hundreds_goes_through_the_socket(home: Path, kura: Kura) -> None:
    (home / "many").mkdir()
    content = pdf(7)
    for number in range(300):  # more files than one message may hand over, and than records may be on their way
        (home / f"many/NIS-{number}.pdf").write_bytes(content)
    several = ("import", "many", "--class", "application_form", "--subject-key-from", "name", "--as", "1001", "--json")
    with served(home) as server:
        assert kura(*several).json["taken"] == 300
        assert kura(*several).json["there_before"] == 300
        held = [str(link.readlink()) for link in Path(f"/proc/{server.pid}/fd").iterdir()]
        assert [path for path in held if "/many/" in path] == []


def test_a_sealed_vault_takes_and_shows_nothing(home: Path, kura: Kura) -> None:
    with served(home, sealed=True):
        record = deposited(kura)
        assert kura("find", "--as", "1001", "--json").error_code == "vault-sealed"
        show = ("open", record["record"], "-o", "out.pdf", "--purpose", "case_processing", "--as", "1001", "--json")
        assert kura(*show).error_code == "vault-sealed"
        assert not (home / "out.pdf").exists()
        (home / "wrong").write_text("another passphrase\n")
        assert kura("unseal", "--passphrase-file", "wrong", "--json").error_code == "custodian-secret-wrong"
        assert kura("unseal").code == 0
        assert kura(*show).code == 0
        assert kura("seal").code == 0
        assert kura("find", "--as", "1001", "--json").error_code == "vault-sealed"


def test_unseal_wants_an_owner(home: Path, kura: Kura) -> None:
    assert home.is_dir()
    assert kura("unseal", "--json").error_code == "owner-missing"


def test_a_folder_deeper_than_a_socket_address(tmp_path: Path, kura: Kura, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    new_vault(deep).close()
    monkeypatch.setenv("KURA_DIR", str(deep / "vault"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "form.pdf").write_bytes(pdf(1))
    with served(deep, sealed=True):
        deposited(kura)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"no JSON\n", "request-malformed"),
        (b"[1]\n", "request-malformed"),
        (b"[" * 100_000 + b"\n", "request-malformed"),
        (b"\xff\xfe\n", "request-malformed"),
        (b'{"verb": 1, "arguments": {}}\n', "request-malformed"),
        (b'{"verb": "deposit", "as": 5, "arguments": {}}\n', "request-malformed"),
        (b'{"verb": "steal", "arguments": {}}\n', "verb-unknown"),
        (b'{"verb": "__class__", "arguments": {}}\n', "verb-unknown"),
        (b'{"verb": "find", "arguments": {}}\n', "person-not-named"),
        (b'{"verb": "find", "as": "7777", "arguments": {}}\n', "person-unknown"),
        (b'{"verb": "find", "as": "1001", "arguments": {"limit": "9"}}\n', "argument-wrong"),
        (b'{"verb": "find", "as": "1001", "arguments": {"limit": 1e300}}\n', "argument-wrong"),
        (b'{"verb": "find", "as": "1001", "arguments": {"station": "\\ud800"}}\n', "argument-wrong"),
        (b'{"verb": "find", "as": "1001", "arguments": {"classes": "all"}}\n', "argument-wrong"),
        (b'{"verb": "find", "as": "1001", "arguments": {"contract": "../x"}}\n', "contract-unknown"),
        (b'{"verb": "open", "as": "1001", "arguments": {}}\n{"item": {}}\n', "request-malformed"),  # no descriptor
        (b'{"verb": "deposit", "as": "1001", "arguments": {}}\n{"item": []}\n', "request-malformed"),
        (b'{"verb": "unseal", "arguments": {"secret": ["a"]}}\n', "argument-wrong"),
        (b'{"verb": "' + b"x" * (2 << 20), "request-too-large"),
    ],
)
def test_a_bad_request_gets_an_error_and_hurts_nobody(owned: Path, line: bytes, code: str) -> None:
    with reached(owned) as connected:
        try:
            assert code_of(say(connected, line)) == code
        except BrokenPipeError:  # the answer came before all of it was sent
            with connected.makefile("rb") as answers:
                assert code_of(json.loads(answers.readline())) == code
    with reached(owned) as connected:  # the owner goes on
        assert "result" in say(connected, b'{"verb": "state", "arguments": {}}\n{"end": true}\n')


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("owned")
    make_home(folder)
    with served(folder):
        yield folder


def test_a_client_that_goes_away_leaves_nothing_half_done(home: Path, kura: Kura) -> None:
    request = b'{"verb": "deposit", "as": "1001", "arguments": {}}\n'
    with served(home):
        for end in (b"", b'{"item": {"id"', b'{"item": {}}\n'):
            with reached(home) as connected:
                connected.sendall(request + end)
        with reached(home) as connected, (home / "form.pdf").open("rb") as file:
            connected.sendall(request)
            fields = {"id": "../../x", "class_id": "application_form"}
            socket.send_fds(connected, [json.dumps({"item": fields}).encode() + b"\n"], [file.fileno()])
        assert kura("deposit", "form.pdf", *DEPOSIT).code == 0
        assert kura("doctor", "--json").json["contracts"][0]["records"] == 1


def test_a_command_waits_for_another_that_owns_the_folder(home: Path, kura: Kura, kura_process: Kura) -> None:
    assert home.is_dir()
    with served(home):
        pass
    assert kura_process("deposit", "form.pdf", *DEPOSIT).code == 0
    assert kura("doctor").code == 0

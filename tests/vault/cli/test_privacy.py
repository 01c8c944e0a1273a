"""Nothing that points to a citizen is readable in what is stored, sent to the log, or said on standard error."""

from pathlib import Path

from kura_command import Kura, served
from vaults import pdf

PLANTED = ("市民太郎", "SHIMIN-TARO", "NIS-SECRET-4711", "shimin-hanako")


def planted_in(content: bytes) -> list[str]:
    return [name for name in PLANTED if name.encode() in content or name.encode("utf-16-le") in content]


def test_names_planted_in_every_field_are_nowhere_readable(home: Path, kura: Kura) -> None:
    said = []
    folder = home / "shimin-hanako"
    folder.mkdir()
    (folder / "市民太郎.pdf").write_bytes(pdf(1))
    (folder / "SHIMIN-TARO.pdf").write_bytes(b"not a PDF")
    as_clerk = ("--as", "1001", "--json")
    key = ("--subject-key", "NIS-SECRET-4711")
    log: list[str] = []
    with served(home, log=log):
        taken = kura(
            "deposit",
            folder / "市民太郎.pdf",
            "--class",
            "application_form",
            "--subject-key",
            "NIS-SECRET-4711",
            *as_clerk,
        )
        assert taken.code == 0
        record = taken.json["records"][0]["record"]
        said += [
            kura("import", folder, "--class", "application_form", "--subject-key-from", "name", *as_clerk),
            kura("find", *key, *as_clerk),
            kura(
                "open",
                record,
                "-o",
                home / "o",
                "--purpose",
                "complaint",
                "--reason",
                "市民太郎 SHIMIN-TARO",
                *as_clerk,
            ),
            kura("person", "add", "1002:市民太郎:scan_operator", "--as", "9001"),
        ]
        wrong = ("deposit", folder / "市民太郎.pdf", "--class", "application_form", *key)
        for name in ("--site", "--title-code", "--id", "--ended-at", "--started-at", "--sequence", "--contract"):
            said.append(kura(*wrong, name, "市民太郎", *as_clerk))
        for name in ("--class", "--station", "--status", "--after", "--from"):
            said.append(kura("find", name, "SHIMIN-TARO", *as_clerk))
        said.append(kura("find", "--as", "市民太郎"))
        said.append(kura("open", "SHIMIN-TARO", "-o", home / "o2", "--purpose", "市民太郎", *as_clerk))
        said.append(kura("deposit", folder / "missing-市民太郎.pdf", "--class", "市民太郎", *as_clerk))
        assert kura("find", *key, *as_clerk).json["records"]
        while_running = [path.read_bytes() for path in (home / "vault").rglob("*") if path.is_file()]
    assert [planted_in(ran.err.encode()) for ran in said if planted_in(ran.err.encode())] == []
    assert "deposit" in log[0]
    assert planted_in(log[0].encode()) == []
    files = [path for root in ("vault", "vault.epoch") for path in (home / root).rglob("*") if path.is_file()]
    assert any(path.name == "kura.db" for path in files)
    for content in [*while_running, *(path.read_bytes() for path in files)]:
        assert planted_in(content) == []

"""What is refused, with which code, in one line, leaving nothing behind."""

from pathlib import Path

import pytest
from kura_command import DEPOSIT, Kura, deposited
from vaults import pdf

MY_NUMBER = "123456789018"


def stored_objects(home: Path) -> list[Path]:
    return [path for path in (home / "vault/objects").rglob("*") if path.is_file()]


def changed(options: tuple[str, ...], name: str, value: str) -> list[str]:
    words = list(options)
    words[words.index(name) + 1] = value
    return words


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("--as", "9001", "not-allowed"),
        ("--as", "7777", "person-unknown"),
        ("--as", "山田花子", "person-unknown"),
        ("--class", "no_such_class", "class-unknown"),
        ("--class", "audit_trail", "class-unknown"),
        ("--class", "../../x", "class-unknown"),
        ("--subject-key", MY_NUMBER, "subject-key-is-my-number"),
        ("--subject-key", "1234-5678-9018", "subject-key-is-my-number"),
        ("--subject-key", "a b", "subject-key-malformed"),
        ("--subject-key", "x" * 33, "subject-key-malformed"),
        ("--subject-key", "a\x07", "argument-wrong"),
    ],
)
def test_a_deposit_is_refused_and_leaves_nothing(home: Path, kura: Kura, name: str, value: str, code: str) -> None:
    ran = kura("deposit", "form.pdf", *changed(DEPOSIT, name, value))
    assert (ran.code, ran.error_code) == (2, code)
    if name == "--subject-key" or not value.isascii():
        assert value not in ran.err
    assert stored_objects(home) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--id", "../../x"), "record-id-malformed"),
        (("--id", "01a1fe3a-206a-42e7-ab8b-9407530c75ea"), "record-id-malformed"),  # version 4
        (("--ended-at", "2026-01-01T00:00:00"), "time-without-offset"),
        (("--ended-at", "yesterday"), "argument-wrong"),
        (("--ended-at", "2999-01-01T00:00:00Z"), "ended-in-future"),
        (("--started-at", "2026-01-02T00:00:00Z", "--ended-at", "2026-01-01T00:00:00Z"), "times-reversed"),
        (("--ended-at", "2001-01-01T00:00:00Z"), "record-due-already"),
        (("--site", "nowhere"), "site-unknown"),
        (("--sequence", "-1"), "argument-wrong"),
        (("--sequence", "9" * 30), "argument-wrong"),
        (("--title-code", "a/b"), "title-code-malformed"),
        (("--contract", "elsewhere"), "contract-unknown"),
    ],
)
def test_what_is_said_of_a_record_is_checked(home: Path, kura: Kura, words: tuple[str, ...], code: str) -> None:
    assert kura("deposit", "form.pdf", *DEPOSIT, *words).error_code == code
    assert stored_objects(home) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "media-type-refused"),
        (b"<html>", "media-type-refused"),
        (b"%PDF-1.7\n" + b"\0" * 5000, "pdf-malformed"),
        (pdf(1)[:1000], "pdf-malformed"),
    ],
)
def test_a_file_that_is_no_sound_pdf_is_refused(home: Path, kura: Kura, content: bytes, code: str) -> None:
    (home / "form.pdf").write_bytes(content)
    assert kura("deposit", "form.pdf", *DEPOSIT).error_code == code
    assert stored_objects(home) == []


def test_what_is_no_file_is_refused(home: Path, kura: Kura) -> None:
    assert kura("deposit", "missing.pdf", *DEPOSIT).error_code == "input-unreadable"
    assert kura("deposit", str(home), *DEPOSIT).error_code == "source-not-a-file"
    assert kura("import", "missing", "--class", "application_form", "--as", "1001", "--json").code == 2


def test_a_deposit_without_a_person_is_refused(home: Path, kura: Kura) -> None:
    assert home.is_dir()
    words = ("deposit", "form.pdf", "--class", "application_form", "--json")
    assert kura(*words).error_code == "person-not-named"
    assert kura(*words, "--as", "1001").error_code == "subject-key-missing"


def test_the_same_id_with_other_bytes_is_a_conflict(home: Path, kura: Kura) -> None:
    record = deposited(kura)["record"]
    assert kura("deposit", "form.pdf", *DEPOSIT, "--id", record).json["there_before"] == 1
    (home / "form.pdf").write_bytes(pdf(2))
    assert kura("deposit", "form.pdf", *DEPOSIT, "--id", record).error_code == "record-id-taken"


def test_several_files_one_of_them_bad(home: Path, kura: Kura) -> None:
    (home / "bad.pdf").write_text("no")
    ran = kura("deposit", "form.pdf", "bad.pdf", "form.pdf", *DEPOSIT)
    assert (ran.code, ran.json["taken"], ran.json["refused"]) == (2, 2, 1)
    assert [(failed["file"], failed["code"]) for failed in ran.json["failed"]] == [("bad.pdf", "media-type-refused")]
    assert ran.error_code == "files-refused"


def test_a_file_name_with_a_line_break_stops_no_other(home: Path, kura: Kura) -> None:
    (home / "scans").mkdir()
    for name in ("a.pdf", "b\x1b[31m.pdf", "c.pdf"):
        (home / "scans" / name).write_bytes(pdf(1))
    several = ("import", "scans", "--class", "application_form", "--subject-key-from", "name", "--as", "1001", "--json")
    ran = kura(*several)
    assert (ran.code, ran.json["taken"], ran.json["refused"]) == (2, 2, 1)


OPEN = ("--purpose", "case_processing", "--as", "1001", "--json")


def test_an_output_file_is_not_written_over(home: Path, kura: Kura) -> None:
    record = deposited(kura)["record"]
    (home / "out.pdf").write_text("mine")
    assert kura("open", record, "-o", "out.pdf", *OPEN).error_code == "output-exists"
    assert (home / "out.pdf").read_text() == "mine"
    assert kura("open", record, "-o", "out.pdf", *OPEN, "--force").code == 0
    assert (home / "out.pdf").read_bytes() == pdf(1)
    (home / "link").symlink_to("nowhere")
    assert kura("open", record, "-o", "link", *OPEN).error_code == "output-exists"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("--as", "9001", "not-allowed"),
        ("--as", "5001", "not-allowed"),
        ("--purpose", "curiosity", "purpose-unknown"),
    ],
)
def test_a_reading_is_refused_and_writes_nothing(home: Path, kura: Kura, name: str, value: str, code: str) -> None:
    record = deposited(kura)["record"]
    before = sorted(home.iterdir())
    assert kura("open", record, "-o", "out.pdf", *changed(OPEN, name, value)).error_code == code
    assert sorted(home.iterdir()) == before


@pytest.mark.parametrize("record", ["../../x", "..", "", "x" * 5000, "01a1fe3a-206a-72e7-ab8b-9407530c75ea"])
def test_a_record_that_is_not_there_is_not_opened(home: Path, kura: Kura, record: str) -> None:
    assert kura("open", record, "-o", "out.pdf", *OPEN).code == 2
    assert not (home / "out.pdf").exists()


def test_a_damaged_object_leaves_no_output_and_exits_with_1(home: Path, kura: Kura) -> None:
    record = deposited(kura)["record"]
    [path] = stored_objects(home)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    before = sorted(home.iterdir())
    ran = kura("open", record, "-o", "out.pdf", *OPEN)
    assert (ran.code, sorted(home.iterdir())) == (1, before)
    scrubbed = kura("scrub", "--as", "9001", "--json")
    assert (scrubbed.code, scrubbed.json["damaged"]) == (1, [record])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--limit", "0"), "page-size-wrong"),
        (("--limit", "501"), "page-size-wrong"),
        (("--after", "x"), "argument-wrong"),
        (("--after", "2026-01-01T00:00:00Z,../x"), "record-id-malformed"),
        (("--class", "../x"), "class-unknown"),
        (("--station", "SHIMIN-TARO"), "station-malformed"),
        (("--status", "lost"), "status-unknown"),
        (("--from", "x"), "argument-wrong"),
    ],
)
def test_a_wrong_search_is_refused(home: Path, kura: Kura, words: tuple[str, ...], code: str) -> None:
    assert home.is_dir()
    assert kura("find", "--as", "1001", "--json", *words).error_code == code


def test_pages_of_a_search_follow_each_other(home: Path, kura: Kura) -> None:
    assert home.is_dir()
    assert kura("deposit", *["form.pdf"] * 5, *DEPOSIT).json["taken"] == 5
    found: list[str] = []
    after: tuple[str, ...] = ()
    while True:
        page = kura("find", "--as", "1001", "--json", "--limit", "2", *after).json
        found += [record["id"] for record in page["records"]]
        if page["after"] is None:
            break
        after = ("--after", page["after"])
    assert len(found) == len(set(found)) == 5


@pytest.mark.parametrize(
    "words",
    [
        ("deposit",),
        ("nonsense",),
        ("find", "--limit", "many"),
        ("open", "x", "--purpose", "disclosure"),
        ("init", "new", "--policy", "nishinomiya"),
        ("--nonsense",),
    ],
)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_wrong_use_is_one_line_and_exits_with_2(kura: Kura, words: tuple[str, ...], language: str) -> None:
    ran = kura(*words, "--lang", language)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "Traceback" not in ran.err


INIT = ("--person", "1001:山田:scan_operator", "--json")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--policy", "nowhere"), "policy-unknown"),
        (("--policy", "../nishinomiya"), "policy-unknown"),
        (("--policy", "form.pdf"), "input-unreadable"),
        (("--policy", "passphrase"), "policy-wrong"),
        (("--policy", "nishinomiya", "--person", "1:x:king"), "role-unknown"),
        (("--policy", "nishinomiya", "--person", "x"), "person-malformed"),
        (("--policy", "nishinomiya", "--shares", "two"), "share-plan-malformed"),
        (("--policy", "nishinomiya", "--shares", "2-of-3"), "custodian-options-exclude"),
        (("--policy", "nishinomiya", "--passphrase-file", "nowhere"), "input-unreadable"),
    ],
)
def test_an_init_that_is_wrong_makes_nothing(home: Path, kura: Kura, words: tuple[str, ...], code: str) -> None:
    before = sorted(home.iterdir())
    assert kura("init", "new", *words, *INIT).error_code == code
    assert sorted(home.iterdir()) == before


def test_an_init_over_a_vault_is_refused(home: Path, kura: Kura) -> None:
    assert kura("init", "vault", "--policy", "nishinomiya", *INIT).error_code == "folder-not-empty"
    assert kura("doctor").code == 0
    assert home.is_dir()


def test_an_init_without_a_secret_is_refused(home: Path, kura: Kura, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KURA_PASSPHRASE_FILE")
    assert kura("init", home / "new", "--policy", "nishinomiya", *INIT).error_code == "custodian-missing"


def test_a_folder_that_is_no_vault(home: Path, kura: Kura, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kura("find", "--dir", home, "--as", "1001", "--json").error_code == "settings-missing"
    monkeypatch.delenv("KURA_DIR")
    assert kura("find", "--as", "1001", "--json").error_code == "dir-not-named"


def test_errors_speak_the_language_of_the_environment(home: Path, kura: Kura, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.is_dir()
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert "起動していません" in kura("unseal").err
    assert "保管庫" not in kura("unseal", "--lang", "en").err


def test_only_some_may_add_people(home: Path, kura: Kura) -> None:
    assert home.is_dir()
    words = ("person", "add", "1002:渡辺:scan_operator", "--json")
    assert kura(*words, "--as", "1001").error_code == "not-allowed"
    assert kura(*words, "--as", "9001").code == 0
    assert kura(*words, "--as", "9001").error_code == "role-held"
    assert kura("contract", "open", "nishinomiya", "--person", "1001:山田:worker", "--json").error_code == (
        "contract-exists"
    )

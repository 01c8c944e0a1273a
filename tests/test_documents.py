"""The documents say what the code does: settings, events, columns, links, test names, and the script in formats.md."""

import re
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from vaults import CONTRACT, OPERATOR, new_vault, pdf, request, source

from vault.cli.face import FINE, PROOF_FAILED, WRONG_USE
from vault.errors import sentences
from vault.ledger.event import EventKind
from vault.records.deposited import Deposited
from vault.records.prepare import Prepared
from vault.settings import Settings
from vault.storage.tables import Base

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("README*.md"), *DOCS.rglob("*.md")])
FORMATS, OPERATIONS, THREATS, ARCHITECTURE = (
    (DOCS / f"{name}.md").read_text("utf-8") for name in ("formats", "operations", "threat-model", "architecture")
)


def section(text: str, heading: str) -> str:
    """Give what stands under a heading, up to the next one of its level or above."""
    level = heading.split(" ", 1)[0]
    return re.split(rf"(?m)^#{{1,{len(level)}}} ", text.split(f"{heading}\n", 1)[1])[0]


def table_rows(text: str) -> dict[str, str]:
    """Give the rows of tables whose first cell is one word of code, by that word."""
    return {match[1]: match[0] for match in re.finditer(r"(?m)^\| `([^`]+)` \|.*$", text)}


def settings() -> Iterator[tuple[str, str, str | None]]:
    """Give every setting: key, variable of the environment, default."""
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        assert isinstance(kind, type)
        for key, inner in kind.model_fields.items():
            yield f"{name}.{key}", f"KURA_{name}__{key}".upper(), None if inner.is_required() else str(inner.default)


@pytest.mark.parametrize(("key", "variable", "default"), list(settings()))
def test_every_setting_is_documented(key: str, variable: str, default: str | None) -> None:
    row = table_rows(section(OPERATIONS, "## Settings"))[key]
    assert f"`{variable}`" in row
    if default is not None:
        shown = row.split("|")[2].strip(" `")
        found = re.findall(r"[\w./]+", default.lower().replace("posixpath", ""))
        assert re.findall(r"[\w./]+", shown) == found


def test_no_setting_is_documented_that_does_not_exist() -> None:
    assert set(table_rows(section(OPERATIONS, "## Settings"))) == {key for key, _, _ in settings()}


def test_every_event_kind_is_documented_and_no_other() -> None:
    assert set(table_rows(section(FORMATS, "## Events"))) == {kind.value for kind in EventKind}


def test_every_column_is_documented_and_no_other() -> None:
    rows = table_rows(section(FORMATS, "## The database"))
    assert set(rows) == set(Base.metadata.tables)
    for name, table in Base.metadata.tables.items():
        assert set(re.findall(r"`([a-z_0-9]+)`", rows[name].split("|")[2])) == {column.name for column in table.columns}


def test_every_exit_code_is_documented() -> None:
    documented = re.findall(r"(?m)^\| ([0-9]+) \|", section(OPERATIONS, "## Alarms and exit codes"))
    assert {str(code) for code in (FINE, PROOF_FAILED, WRONG_USE)} <= set(documented)


def test_every_error_code_that_operations_name_exists() -> None:
    alarms = section(OPERATIONS, "## Alarms and exit codes").split("| alarm | do |", 1)[1]
    named = {code for line in alarms.splitlines() for code in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", line)}
    assert len(named) > 10
    assert named - set(sentences()) == set()


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as readers of Markdown make them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text("utf-8"))
    broken = []
    for link in links:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_file_and_folder_that_the_architecture_names_exists() -> None:
    names = {path.name for top in ("vault", "retention") for path in (ROOT / top).rglob("*.py")}
    assert set(re.findall(r"`(?:[a-z_]+/)*([a-z_0-9]+\.py)`", ARCHITECTURE)) - names == set()
    packages = {path.parent for top in ("vault", "retention") for path in (ROOT / top).rglob("__init__.py")}
    rooms = {path.name for path in packages if path.parent in (ROOT, ROOT / "vault")}
    assert rooms - set(re.findall(r"([a-z]+)/", ARCHITECTURE)) - {"vault"} == set()


def test_every_test_that_the_threat_model_names_exists() -> None:
    held = {path: path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    files = {path.relative_to(ROOT / "tests").as_posix() for path in held}
    for named in re.findall(r"`((?:[a-z_]+/)*test_[a-z_0-9]+\.py)", THREATS):
        assert any(file == named or file.endswith(f"/{named}") for file in files), named
    for function in re.findall(r"\b(test_[a-z_0-9]+)\b(?!\.py)", THREATS):
        assert any(f"def {function}(" in text for text in held.values()), function


def test_decisions_are_numbered_without_gaps_and_have_all_their_parts() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    for number, path in enumerate(decisions, 1):
        text = path.read_text("utf-8")
        assert text.startswith(f"# {number:04}: ")
        assert path.name.startswith(f"{number:04}-")
        assert re.findall(r"(?m)^## (.+)$", text) == ["Context", "Options", "Outcome", "Consequences"]


@dataclass(frozen=True)
class Given:
    """What depositors got: the script of the documents, the ledger's key, receipts with documents and salts."""

    script: Path
    vkey: Path
    deposited: list[Deposited]
    documents: list[Path]

    def check(self, receipt: str, *more: str, vkey: Path | None = None) -> int:
        """Run the script on a receipt; give its exit code."""
        file = self.script.with_name("receipt.tlog-proof")
        file.write_text(receipt, "utf-8", newline="")
        command = ["sh", str(self.script), str(file), str(vkey or self.vkey), *more]
        return subprocess.run(command, check=False, capture_output=True).returncode


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    folder = tmp_path_factory.mktemp("receipts")
    script = re.search(r"<!-- check-receipt -->\n```sh\n(.*?)```", FORMATS, re.DOTALL)
    assert script is not None
    (folder / "check-receipt").write_text(script[1], "utf-8")
    vault = new_vault(folder)
    try:
        contents = [pdf(number) for number in range(9)]
        clerk = vault.actor(OPERATOR)
        waiting = [vault.deposits.prepare(clerk, CONTRACT, request(), source(content, folder)) for content in contents]
        deposited = vault.deposits.commit([item for item in waiting if isinstance(item, Prepared)])
        (folder / "log.vkey").write_text(vault.ground.log_of(CONTRACT).key.encode() + "\n")
        (folder / "operator.vkey").write_text(vault.ground.sequencer.log("operator").key.encode() + "\n")
    finally:
        vault.close()
    documents = [folder / f"{number}.pdf" for number in range(len(contents))]
    for path, content in zip(documents, contents, strict=True):
        path.write_bytes(content)
    whole = [item for item in deposited if isinstance(item, Deposited)]
    return Given(folder / "check-receipt", folder / "log.vkey", whole, documents)


def salt_of(deposited: Deposited) -> str:
    assert deposited.salt is not None
    return deposited.salt.hex()


def test_the_script_of_the_documents_accepts_every_receipt_and_its_document(given: Given) -> None:
    assert len(given.deposited) == 9
    for deposited, document in zip(given.deposited, given.documents, strict=True):
        receipt = deposited.receipt.encode()
        assert given.check(receipt) == 0
        assert given.check(receipt, str(document), salt_of(deposited)) == 0


def test_the_script_refuses_another_document_and_another_salt(given: Given) -> None:
    first, second = given.deposited[:2]
    receipt = first.receipt.encode()
    assert given.check(receipt, str(given.documents[1]), salt_of(first)) != 0
    assert given.check(receipt, str(given.documents[0]), salt_of(second)) != 0


def test_the_script_refuses_the_key_of_another_ledger(given: Given) -> None:
    receipt = given.deposited[0].receipt.encode()
    assert given.check(receipt, vkey=given.vkey.with_name("operator.vkey")) != 0


def on_line(number: int, change: Callable[[str], str]) -> Callable[[str], str]:
    """Change one line of a receipt, counted from 0."""

    def changed(receipt: str) -> str:
        lines = receipt.split("\n")
        lines[number] = change(lines[number])
        return "\n".join(lines)

    return changed


def flipped(encoded: str) -> str:
    """Flip a bit of the last word of a line, which is base64."""
    start, space, word = encoded.rpartition(" ")
    data = bytearray(b64decode(word))
    data[-1] ^= 1
    return start + space + b64encode(data).decode()


def without_line(number: int) -> Callable[[str], str]:
    """Leave out one line of a receipt, counted from 0."""

    def shortened(receipt: str) -> str:
        lines = receipt.split("\n")
        del lines[number]
        return "\n".join(lines)

    return shortened


ALTERATIONS: dict[str, Callable[[str], str]] = {
    "another format": on_line(0, lambda line: line.replace("v1", "v2")),
    "another entry": on_line(1, flipped),
    "no entry": on_line(1, lambda _: "extra "),
    "another index": on_line(2, lambda line: f"index {int(line.split()[1]) ^ 1}"),
    "an index that is none": on_line(2, lambda _: "index $(id)"),
    "an index far outside": on_line(2, lambda _: "index 999999"),
    "another sibling": on_line(3, flipped),
    "a sibling missing": without_line(3),
    "a sibling twice": on_line(3, lambda line: f"{line}\n{line}"),
    "siblings of other lengths": on_line(3, lambda line: b64encode(b64decode(line) + b"\0").decode()),
    "another origin": lambda receipt: receipt.replace(f"/{CONTRACT}\n", "/other\n"),
    "another root": lambda receipt: on_line(receipt.split("\n").index("") + 3, flipped)(receipt),
    "another size": lambda receipt: on_line(receipt.split("\n").index("") + 2, lambda line: f"1{line}")(receipt),
    "a line more in the checkpoint": lambda receipt: on_line(
        receipt.split("\n").index("") + 3, lambda line: f"{line}\nmore"
    )(receipt),
    "another signature": on_line(-2, flipped),
    "no signature": without_line(-2),
    "cut short": lambda receipt: receipt[:200],
    "nothing": lambda _: "",
}


@pytest.mark.parametrize("alteration", sorted(ALTERATIONS))
def test_the_script_refuses_an_altered_receipt(given: Given, alteration: str) -> None:
    receipt = given.deposited[3].receipt.encode()
    altered = ALTERATIONS[alteration](receipt)
    assert altered != receipt
    assert given.check(altered) != 0

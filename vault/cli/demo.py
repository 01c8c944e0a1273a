"""`kura demo`: the sample day, a summary of it, and how to look at what it left."""

from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from vault.cli.day import MANAGER, Day, live_day
from vault.cli.engines import SERVERS, TrialEngines
from vault.cli.face import FINE, PROOF_FAILED, Answer, Face, command
from vault.cli.init import read_policy
from vault.cli.service import serve
from vault.errors import Language

_DEFAULT = "kura-demo"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "demo")(demo)


def demo(
    face: Face,
    samples: Annotated[
        Path | None, typer.Option("--samples", help="Folder with scans/, calls/, video/. 見本データのフォルダー")
    ] = None,
    *,
    on_engines: Annotated[
        bool, typer.Option("--engines", help="On PostgreSQL, S3 and an HSM, started here. 実エンジンで実行")
    ] = False,
    keep_serving: Annotated[bool, typer.Option("--serve", help="Serve the vault afterwards. 続けて起動")] = False,
) -> Answer:
    """見本の一日を実行し、検証します。Run the sample day through a real vault, and verify it."""
    folder = (face.named_folder or _new_folder()).resolve()
    engines = _started(face) if on_engines else None
    day = live_day(folder, read_policy("nishinomiya"), samples, face.say, engines)
    if not face.as_json:
        Console().print(summary(day, face.language))
        _say_how_to_look(face, day)
        if engines is not None:
            _say_how_to_stop(face, engines)
    holds = all(day.proofs.values())
    if keep_serving and holds:
        if face.as_json:
            face.print_json(day.as_json())
        return serve(face.at(folder))
    return Answer(day.as_json(), FINE if holds else PROOF_FAILED)


def _started(face: Face) -> TrialEngines:
    face.say("Starting PostgreSQL, an S3 engine and an HSM …", "PostgreSQL・S3・HSM を起動しています…")
    engines = TrialEngines()
    engines.start()
    return engines


def _new_folder() -> Path:
    """Name a folder that is not there yet: each sample day stays for looking at."""
    names = (_DEFAULT if number == 1 else f"{_DEFAULT}-{number}" for number in count(1))
    return next(path for path in map(Path, names) if not path.exists())


def summary(day: Day, language: Language) -> Table:
    """Draw the closing table."""
    names = _NAMES[language]
    table = Table(title=names["title"])
    table.add_column(names["what"])
    table.add_column(names["value"], justify="right")
    for name, value in (day.counts | day.figures).items():
        table.add_row(names.get(name, name), str(value))
    for name, holds in day.proofs.items():
        table.add_row(names[name], names["holds"] if holds else names["fails"])
    return table


def _say_how_to_look(face: Face, day: Day) -> None:
    one = next(day.receipts.glob("*.tlog-proof"))
    face.say("Look at it:", "中を見るには：")
    for line in (
        f"kura find --dir {day.folder} --as {MANAGER}",
        f"kura open {one.stem} -o page.pdf --purpose case_processing --dir {day.folder} --as {MANAGER}",
        f"kura receipt check {one} --log-key {day.receipts / 'log.vkey'}",
        f"kura verify {day.folder}",
    ):
        face.say(f"  .venv/bin/{line}", f"  .venv/bin/{line}")
    face.say(
        "This vault opens itself: it is for looking at, not for records.",
        "この Kura は鍵なしで開きます。お試し専用です。実際の記録には使わないでください。",
    )


def _say_how_to_stop(face: Face, engines: TrialEngines) -> None:
    face.say("Its engines still run. End and forget them:", "エンジンは動いたままです。終了して消すには：")
    for engine in SERVERS:
        line = f"scripts/engines/{engine} stop {engines.folder / engine}"
        face.say(f"  {line}", f"  {line}")
    face.say(f"  rm -r {engines.folder}", f"  rm -r {engines.folder}")
    line = f"export SOFTHSM2_CONF={engines.facts['SOFTHSM2_CONF']}"
    face.say(f"Before the commands above, type: {line}", f"上のコマンドの前に実行：{line}")


_NAMES: dict[Language, dict[str, str]] = {
    "en": {
        "title": "The sample day",
        "what": "what",
        "value": "value",
        "records": "records deposited",
        "bytes": "bytes",
        "receipts": "receipts",
        "found": "found by subject key",
        "fixity_checked": "copies checked",
        "ledger_entries": "ledger entries",
        "deposit_s": "depositing, s",
        "verify_s": "verifying, s",
        "intact": "proof: intact",
        "complete": "proof: complete",
        "holds": "holds",
        "fails": "DOES NOT HOLD",
    },
    "ja": {
        "title": "見本の一日",
        "what": "項目",
        "value": "値",
        "records": "登録した記録",
        "bytes": "バイト数",
        "receipts": "登録証明",
        "found": "進捗管理番号で見つけた記録",
        "fixity_checked": "照合した記録",
        "ledger_entries": "監査台帳の項目",
        "deposit_s": "登録の時間（秒）",
        "verify_s": "検証の時間（秒）",
        "intact": "証明：改ざんなし",
        "complete": "証明：欠落なし",
        "holds": "成立",
        "fails": "不成立",
    },
}

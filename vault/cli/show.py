"""`kura find` and `kura open`: finding records, and showing one to whoever may see it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from vault.cli.face import Answer, Face, command
from vault.cli.host.call import Item
from vault.cli.options import As, Contract, PassphraseFile, perform
from vault.errors import ConflictError, UnavailableError

_COLUMNS = {
    "id": "記録",
    "class_id": "区分",
    "ended_at": "終了",
    "station": "登録者",
    "status": "状態",
    "content_bytes": "bytes",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "find")(find)
    command(app, "open")(open_record)


def find(  # noqa: PLR0913 - one option each
    face: Face,
    *,
    class_id: Annotated[list[str] | None, typer.Option("--class", help="Record class. 記録区分")] = None,
    subject_key: Annotated[str | None, typer.Option("--subject-key", help="The city's number. 進捗管理番号")] = None,
    ended_from: Annotated[str | None, typer.Option("--from", help="First instant, inclusive. 終了日時（以降）")] = None,
    ended_before: Annotated[
        str | None, typer.Option("--before", help="Last instant, exclusive. 終了日時（より前）")
    ] = None,
    station: Annotated[str | None, typer.Option("--station", help="Who deposited, as person:1001. 登録者")] = None,
    status: Annotated[str | None, typer.Option("--status", help="kept, quarantined. 状態")] = None,
    limit: Annotated[int, typer.Option("--limit", help="Records per page. 1 ページの件数")] = 50,
    after: Annotated[str | None, typer.Option("--after", help="Where the page before ended. 続きの位置")] = None,
    contract: Contract = None,
    actor: As = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """記録を探します（記録されます）。Find records, newest first; logged."""
    arguments = {
        "classes": class_id or [],
        "subject_key": subject_key,
        "ended_from": ended_from,
        "ended_before": ended_before,
        "station": station,
        "status": status,
        "limit": limit,
        "after": after,
        "contract": contract,
    }
    result = perform(face, "find", arguments, person=actor, passphrase_file=passphrase_file)
    if not face.as_json:
        _print(face, result["records"])
        if result["after"]:
            face.say(f"More: --after {result['after']}", f"続き：--after {result['after']}")
    return Answer(result)


def open_record(  # noqa: PLR0913 - one option each
    face: Face,
    *,
    record_id: Annotated[str, typer.Argument(metavar="ID", help="記録の ID")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to. 出力先")],
    purpose: Annotated[str, typer.Option("--purpose", metavar="CODE", help="Why, as case_processing. 閲覧の目的")],
    reason: Annotated[str | None, typer.Option("--reason", help="In words; sealed. 理由（封印されます）")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over the file. 上書きする")] = False,
    contract: Contract = None,
    actor: As = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """記録を取り出します（先に記録されます）。Write a record's bytes to a file; logged before shown."""
    if not force and os.path.lexists(output):
        raise ConflictError("output-exists")
    fresh = output.with_name(f".{output.name}.{os.getpid()}.kura")

    def items() -> Iterator[Item]:
        yield Item({}, _create(fresh))

    try:
        arguments = {"id": record_id, "purpose": purpose, "reason": reason, "contract": contract}
        with face.progress("opening", "取り出し中") as show:
            result = perform(
                face,
                "open",
                arguments,
                person=actor,
                passphrase_file=passphrase_file,
                items=items(),
                tell=lambda said: show(said["done"], said["total"]),
            )
        # Only now has the whole of it been compared with what was deposited.
        _place(fresh, output, force=force)
    finally:
        with suppress(OSError):
            fresh.unlink()
    face.say(
        f"{result['content_bytes']} bytes in {output}.", f"{output} に {result['content_bytes']} バイトを出力しました。"
    )
    return Answer(result | {"output": str(output)})


def _create(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UnavailableError("output-failed", reason=type(error).__name__) from error


def _place(fresh: Path, output: Path, *, force: bool) -> None:
    try:
        if force:
            fresh.replace(output)
        else:
            os.link(fresh, output)  # unlike a rename, never over a file that came meanwhile
    except FileExistsError as error:
        raise ConflictError("output-exists") from error
    except OSError as error:
        raise UnavailableError("output-failed", reason=type(error).__name__) from error


def _print(face: Face, records: list[dict[str, object]]) -> None:
    """Print a table on a terminal, and one line per record, split by tabs, elsewhere."""
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        for record in records:
            line = "\t".join(str(record[name]) for name in _COLUMNS)
            face.say(line, line)
        return
    table = Table(*(_COLUMNS[name] if face.language == "ja" else name for name in _COLUMNS))
    for record in records:
        table.add_row(*(str(record[name]) for name in _COLUMNS))
    console.print(table)

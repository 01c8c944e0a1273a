"""`kura deposit` and `kura import`: handing files to the vault, keeping their receipts."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
import uuid_utils

from vault.cli.face import PROOF_FAILED, WRONG_USE, Answer, Face, command
from vault.cli.folder import files_below
from vault.cli.host.call import Item
from vault.cli.options import As, Contract, PassphraseFile, Receipts, open_input, perform
from vault.cli.owner.wire import decode_error
from vault.errors import IntegrityError, KuraError, RefusedError

_SHOWN_AT_MOST = 50  # refused files that are listed for people; --json lists all

Class = Annotated[str, typer.Option("--class", help="Record class, as application_form. 記録区分")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "deposit")(deposit)
    command(app, "import")(import_folder)


def deposit(  # noqa: PLR0913 - one option each
    face: Face,
    *,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="ファイル")],
    class_id: Class,
    subject_key: Annotated[
        str | None, typer.Option("--subject-key", help="The city's number of the case. 進捗管理番号")
    ] = None,
    ended_at: Annotated[
        str | None, typer.Option("--ended-at", help="End, or receipt; default now. 終了・受領の日時")
    ] = None,
    started_at: Annotated[str | None, typer.Option("--started-at", help="Begin of a recording. 開始の日時")] = None,
    site: Annotated[str | None, typer.Option("--site", help="Site of the policy. 拠点")] = None,
    sequence: Annotated[str | None, typer.Option("--sequence", help="The station's own number. 連番")] = None,
    title_code: Annotated[str | None, typer.Option("--title-code", help="Kind of document. 文書の種類")] = None,
    record_id: Annotated[
        str | None, typer.Option("--id", help="UUIDv7 of the record; default a new one. 記録の ID")
    ] = None,
    contract: Contract = None,
    actor: As = None,
    receipts: Receipts = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """ファイルを登録します。Deposit files; each is a record with a receipt."""
    if record_id is not None and len(files) > 1:
        raise RefusedError("argument-wrong", name="--id")
    fields = {
        "class_id": class_id,
        "subject_key": subject_key,
        "ended_at": ended_at,
        "started_at": started_at,
        "site": site,
        "sequence": _number(sequence),
        "title_code": title_code,
    }
    for path in files:
        os.close(open_input(path))  # told before the first is taken

    def items() -> Iterator[Item]:
        for path in files:
            name = {"id": record_id or str(uuid_utils.uuid7()), "file_name": _shown(path.name)}
            yield Item(_given(fields | name), open_input(path))

    run = _Taking(face, receipts, is_listing=True)
    run.names = [_shown(str(path)) for path in files]
    with face.progress("depositing", "登録中") as show:
        run.show = lambda done: show(done, len(files))
        arguments = {"contract": contract}
        result = perform(
            face, "deposit", arguments, person=actor, passphrase_file=passphrase_file, items=items(), tell=run.hear
        )
    if len(files) == 1 and run.errors:
        raise run.errors[0]
    return run.answer(result)


def import_folder(
    face: Face,
    *,
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="フォルダー")],
    class_id: Class,
    subject_key_from: Annotated[
        str | None,
        typer.Option("--subject-key-from", help="name: the file's name without its ending. 案件番号の取り方"),
    ] = None,
    contract: Contract = None,
    actor: As = None,
    receipts: Receipts = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """フォルダーをまとめて登録します。Deposit every file of a folder; repeating it takes only what is missing."""
    if subject_key_from not in (None, "name"):
        raise RefusedError("argument-wrong", name="--subject-key-from")
    found = files_below(source)
    run = _Taking(face, receipts, is_listing=False)

    def items() -> Iterator[Item]:
        for file in found:
            name = _shown(str(file.relative))
            try:
                descriptor = file.open()
            except RefusedError as error:  # gone since the folder was listed
                run.refuse(name, error)
                continue
            fields = {
                "path": os.fsencode(file.relative).hex(),
                "class_id": class_id,
                "subject_key": _shown(file.relative.stem) if subject_key_from == "name" else None,
                "ended_at": file.written_at(os.fstat(descriptor)),
                "file_name": _shown(file.relative.name),
            }
            run.names.append(name)
            yield Item(_given(fields), descriptor)

    with face.progress("importing", "取り込み中") as show:
        run.show = lambda done: show(done, len(found))
        arguments = {"contract": contract}
        result = perform(
            face, "deposit", arguments, person=actor, passphrase_file=passphrase_file, items=items(), tell=run.hear
        )
    return run.answer(result)


class _Taking:
    """What the owner says of each file, as it says it."""

    def __init__(self, face: Face, receipts: Path | None, *, is_listing: bool) -> None:
        self.names: list[str] = []  # of the files handed over, by position
        self.errors: list[KuraError] = []
        self.show: Callable[[int], None] = lambda _done: None
        self._face, self._receipts, self._is_listing = face, receipts, is_listing
        self._records: dict[int, dict[str, Any]] = {}
        self._failed: list[dict[str, str]] = []
        self._done = 0
        if receipts is not None:
            _make_folder(receipts)

    def hear(self, said: Mapping[str, Any]) -> None:
        """Keep one file's receipt, or its error."""
        position = int(said["position"])
        if "error" in said:
            self.refuse(self.names[position], decode_error(said["error"]))
        else:
            self._keep(position, said)
        self._done += 1
        self.show(self._done)

    def refuse(self, name: str, error: KuraError) -> None:
        """Note a file that was not taken."""
        self.errors.append(error)
        self._failed.append({"file": name, "code": error.code, "sentence": error.sentence(self._face.language)})

    def answer(self, result: Mapping[str, Any]) -> Answer:
        """Say what was taken and what was not."""
        failed = sorted(self._failed, key=lambda value: value["file"])
        taken, before = result["taken"], result["there_before"]
        self._face.say(f"Taken: {taken}. There before: {before}.", f"登録：{taken} 件、登録済み：{before} 件。")
        for value in failed[:_SHOWN_AT_MOST]:
            self._face.say(f"{value['file']}: {value['sentence']}", f"{value['file']}：{value['sentence']}")
        if len(failed) > _SHOWN_AT_MOST:
            self._face.say(f"and {len(failed) - _SHOWN_AT_MOST} more", f"ほか {len(failed) - _SHOWN_AT_MOST} 件")
        values = dict(result) | {"refused": len(failed), "failed": failed}
        if self._is_listing:
            values["records"] = [value for _, value in sorted(self._records.items())]
        if not failed:
            return Answer(values)
        error = RefusedError("files-refused", count=len(failed), total=len(failed) + len(self._records))
        values["error"] = {"code": error.code, "sentence": self._face.complain_only(error)}
        is_broken = any(isinstance(error, IntegrityError) for error in self.errors)
        return Answer(values, PROOF_FAILED if is_broken else WRONG_USE)

    def _keep(self, position: int, said: Mapping[str, Any]) -> None:
        record = str(UUID(said["record"]))  # it names a file below: take nothing else from a socket
        values = {name: said[name] for name in ("record", "digest", "salt", "is_new", "is_compared")}
        if self._receipts is not None:
            path = self._receipts / f"{record}.tlog-proof"
            _write_receipt(path, said["receipt"])
            values["receipt"] = str(path)
        if self._is_listing:
            name, salt = self.names[position], said["salt"] or "-"
            self._face.say(f"{name}: record {record}, salt {salt}", f"{name}：記録 {record}、ソルト {salt}")
        self._records[position] = values


def _write_receipt(path: Path, text: str) -> None:
    """Write a receipt whole or not at all; the same receipt may be there already."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(text, "utf-8")
        fresh.replace(path)
    except OSError as error:
        raise RefusedError("output-failed", reason=type(error).__name__) from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RefusedError("output-failed", reason=type(error).__name__) from error


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise RefusedError("argument-wrong", name="--sequence")
    return int(text)


def _shown(name: str) -> str:
    """Give a name as text, whatever bytes the file system has for it."""
    return os.fsencode(name).decode("utf-8", "replace")


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}

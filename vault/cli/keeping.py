"""`kura backup` and `kura restore`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from vault.bootstrap import open_vault
from vault.cli.face import Answer, Face, command
from vault.cli.host.call import Item
from vault.cli.options import As, PassphraseFile, custodian_of, perform
from vault.errors import UnavailableError
from vault.ledger.event import format_instant
from vault.records.restore import restore


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "backup")(backup)
    command(app, "restore")(restore_backup)


def backup(
    face: Face,
    *,
    target: Annotated[Path, typer.Argument(metavar="DEST", help="Folder on another disk. 別ディスクのフォルダー")],
    actor: As = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """バックアップを作成・更新します。Make or renew a backup; without the epoch slots it opens nothing."""

    def items() -> Iterator[Item]:
        yield Item({}, _folder(target))

    with face.progress("backing up", "バックアップ中") as show:
        result = perform(
            face,
            "backup",
            {},
            person=actor,
            passphrase_file=passphrase_file,
            items=items(),
            tell=lambda said: show(said["done"], said["total"]),
        )
    face.say(
        f"{result['files']} files, {result['bytes']} bytes; {result['copied']} were copied.",
        f"{result['files']} ファイル、{result['bytes']} バイト（うち今回 {result['copied']} 件をコピー）。",
    )
    return Answer(result)


def restore_backup(
    face: Face,
    *,
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="バックアップのフォルダー")],
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder. 新しいフォルダー")],
    epoch_dir: Annotated[Path, typer.Option("--epoch-dir", help="The live epoch slots. 現在のエポック鍵の場所")],
    key_file: Annotated[Path | None, typer.Option("--key-file", help="A newer key store. 新しい鍵保管ファイル")] = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """バックアップを新しいフォルダーに復元します。Restore a backup into a new folder and open it."""
    custodian = custodian_of(passphrase_file)
    with face.progress("restoring", "復元中") as show:
        manifest = restore(source, target, epoch_dir, key_file, show)
    face.say(f"Restored in {target}.", f"{target} に復元しました。")
    vault = open_vault(target, custodian)
    try:
        problem = vault.problem
    finally:
        vault.close()
    halted = None
    if problem is not None:
        sentence = face.complain_only(problem)
        halted = {"code": problem.code, "sentence": sentence}
    made_at = format_instant(manifest.made_at)
    return Answer({"dir": str(target.resolve()), "made_at": made_at, "files": len(manifest.files), "halted": halted})


def _folder(path: Path) -> int:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UnavailableError("output-failed", reason=type(error).__name__) from error

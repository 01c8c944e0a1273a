"""`kura backup`, `kura restore` and `kura migrate`."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from vault.bootstrap import migrate_database, open_vault
from vault.cli.face import Answer, Face, command
from vault.cli.host.call import Item
from vault.cli.options import As, DatabaseUrl, OwnerUrl, PassphraseFile, custodian_of, database_of, perform
from vault.errors import RefusedError, UnavailableError
from vault.ledger.event import format_instant
from vault.records.restore import ServedDatabase, restore


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "backup")(backup)
    command(app, "restore")(restore_backup)
    command(app, "migrate")(migrate)


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
    database: DatabaseUrl = None,
    owner_url: OwnerUrl = None,
    passphrase_file: PassphraseFile = None,
) -> Answer:
    """バックアップを新しいフォルダーに復元します。Restore a backup into a new folder, or with rows in PostgreSQL."""
    custodian = custodian_of(passphrase_file)
    served = _served(database, owner_url)
    with face.progress("restoring", "復元中") as show:
        manifest = restore(source, target, epoch_dir, key_file, show, served)
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


def migrate(face: Face, owner_url: OwnerUrl = None) -> Answer:
    """データベースを新しい版に移行し、権限を付け直します。Bring the database to this program's schema."""
    migrate_database(face.folder, owner_url)
    face.say("The database is of this program's schema.", "データベースはこのプログラムの構造になりました。")
    return Answer({"migrated": True})


def _served(url: str | None, owner_url: str | None) -> ServedDatabase | None:
    if database_of(url).url is None or url is None:
        return None
    if owner_url is None:
        raise RefusedError("owner-url-missing")
    return ServedDatabase(url, owner_url)


def _folder(path: Path) -> int:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UnavailableError("output-failed", reason=type(error).__name__) from error

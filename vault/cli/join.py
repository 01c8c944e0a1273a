"""`kura join`: a further process on the same database."""

from pathlib import Path
from typing import Annotated

import typer

from vault.bootstrap import Joining, join_vault
from vault.cli.face import Answer, Face, command
from vault.cli.init import listener_of


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "join")(join)


def join(
    face: Face,
    *,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder. 新しいフォルダー")],
    other: Annotated[
        Path, typer.Option("--from", metavar="DIR", help="Folder that holds the vault's kura.toml. 元のフォルダー")
    ],
    epoch_dir: Annotated[
        Path | None, typer.Option("--epoch-dir", help="For its rollback guards. 巻き戻し検知ファイルの場所")
    ] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Let stations connect. 送信端末の接続先")
    ] = None,
) -> Answer:
    """同じデータベースで動く別のフォルダーを作成します。Make a folder for a further process on the same database."""
    epoch = epoch_dir or target.with_name(f"{target.resolve().name}.epoch")
    settings = join_vault(target, other, Joining(epoch, listener_of(listen)))
    face.say(
        f"{target} has joined the vault {settings.vault.id}.", f"{target} を Kura {settings.vault.id} に追加しました。"
    )
    return Answer({"dir": str(target.resolve()), "vault": settings.vault.id, "epoch_dir": str(epoch.resolve())})

"""Options that several commands share, and what they are read into."""

import getpass
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from vault.cli.face import Face
from vault.cli.host.call import Item, Request
from vault.cli.host.keys import read_secret
from vault.cli.owner.owner import Tell, ask
from vault.errors import RefusedError
from vault.keys.custodian import CustodianSecret
from vault.settings import DatabaseSettings

As = Annotated[str | None, typer.Option("--as", metavar="NUMBER", help="Who acts, by staff number. 操作者の職員番号")]
Contract = Annotated[
    str | None, typer.Option("--contract", help="Needed where there are several. 契約（複数ある場合）")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        envvar="KURA_PASSPHRASE_FILE",
        help="File with the passphrase, or with shares, one per line. パスフレーズか分散鍵のファイル",
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="PostgreSQL, as the role that serves. 接続用ロールのURL"),
]
OwnerUrl = Annotated[
    str | None,
    typer.Option("--owner-url", envvar="KURA_OWNER_URL", metavar="URL", help="Who owns its tables. 表の所有者のURL"),
]
Receipts = Annotated[Path | None, typer.Option("--receipts", help="Folder for receipts. 登録証明の出力先フォルダー")]


def read_passphrase(path: Path | None) -> str | None:
    """Read the secret's file, where one was named.

    Raises:
        RefusedError: it cannot be read.
    """
    if path is None:
        return None
    return read_text(path)


def typed_passphrase(path: Path | None) -> str:
    """Read the secret's file, or ask for a passphrase at the terminal.

    Raises:
        RefusedError: the file cannot be read, or there is neither file nor terminal.
    """
    text = read_passphrase(path)
    if text is None and sys.stdin.isatty():
        text = getpass.getpass("passphrase / パスフレーズ: ")
    if text is None:
        raise RefusedError("custodian-missing")
    return text


def custodian_of(path: Path | None) -> CustodianSecret | None:
    """Give the custodians' secret that a file holds, or None where no file was named."""
    text = read_passphrase(path)
    return read_secret(text) if text is not None else None


def read_text(path: Path) -> str:
    """Read a text file that the user named.

    Raises:
        RefusedError: it cannot be read; the sentence does not repeat its name.
    """
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError("input-unreadable", reason=type(error).__name__) from error


def read_bytes(path: Path) -> bytes:
    """Read a file that the user named; errors as `read_text`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RefusedError("input-unreadable", reason=type(error).__name__) from error


def database_of(url: str | None) -> DatabaseSettings:
    """Give the settings of a database: of PostgreSQL by its URL, or in the vault's folder where there is none.

    Raises:
        RefusedError: `settings-wrong`.
    """
    try:
        return DatabaseSettings(url=url)
    except ValidationError as error:
        raise RefusedError("settings-wrong", key="database.url", reason=error.errors()[0]["msg"]) from error


def open_input(path: Path) -> int:
    """Open a file that the user named, for reading; a pipe without a writer does not block.

    Raises:
        RefusedError: it cannot be opened.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise RefusedError("input-unreadable", reason=type(error).__name__) from error


def perform(
    face: Face,
    verb: str,
    arguments: Mapping[str, Any],
    *,
    person: str | None = None,
    passphrase_file: Path | None = None,
    items: Iterable[Item] = (),
    tell: Tell = lambda _: None,
) -> dict[str, Any]:
    """Have a host verb performed by the owner of the vault's folder, whoever that is; give its result."""
    given = {name: value for name, value in arguments.items() if value is not None}
    return ask(face.folder, Request(verb, person, given), custodian_of(passphrase_file), items, tell)

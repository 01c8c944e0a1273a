"""`kura init`: a new vault, its policy, its founders and what opens it."""

import re
import secrets
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from vault.bootstrap import NewVault, create_vault
from vault.cli.face import Answer, Face, command
from vault.cli.host.keys import read_secret
from vault.cli.options import DatabaseUrl, OwnerUrl, PassphraseFile, database_of, read_passphrase, read_text
from vault.errors import RefusedError
from vault.keys.custodian import CustodianSecret
from vault.keys.shares import SHARED_BYTES, split_secret
from vault.people.persons import NewPerson
from vault.settings import ListenerSettings, SecondDiskSettings, StorageSettings

_PACKAGED = re.compile(r"[a-z0-9_-]+")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}")
_PLAN = re.compile(r"([0-9]{1,2})-of-([0-9]{1,2})")
_RANDOM_PASSPHRASE_BYTES = 24


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "init")(init)


def init(  # noqa: PLR0913 - one option each
    face: Face,
    *,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder. 新しいフォルダー")],
    policy: Annotated[str, typer.Option("--policy", help="Policy file, or a packaged one's name. 契約別ルール")],
    person: Annotated[list[str], typer.Option("--person", metavar="NUMBER:NAME:ROLE", help="A founder. 最初の利用者")],
    epoch_dir: Annotated[Path | None, typer.Option("--epoch-dir", help="Default: DIR.epoch. エポック鍵の場所")] = None,
    second_disk: Annotated[
        Path | None, typer.Option("--second-disk", help="Keep rows, keys, copies there, too. 第二ディスク")
    ] = None,
    second_epoch_dir: Annotated[
        Path | None, typer.Option("--second-epoch-dir", help="Default: beside it. 第二ディスクのエポック鍵の場所")
    ] = None,
    auto_unseal: Annotated[bool, typer.Option("--auto-unseal", help="For a first try only. お試し専用")] = False,
    origin: Annotated[str | None, typer.Option("--origin", help="Schema-less URL of its ledgers. 台帳の名称")] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Let stations connect. 送信端末の接続先")
    ] = None,
    store: Annotated[
        list[str] | None, typer.Option("--store", metavar="PLACE", help="Folder or bucket; once or twice. 保存先")
    ] = None,
    hsm: Annotated[str | None, typer.Option("--hsm", metavar="URI", help="Keys in an HSM. 鍵をHSMに置く")] = None,
    passphrase_file: PassphraseFile = None,
    shares: Annotated[
        str | None, typer.Option("--shares", metavar="K-of-N", help="Open by shares. 分散鍵で開く")
    ] = None,
    database: DatabaseUrl = None,
    owner_url: OwnerUrl = None,
) -> Answer:
    """Kuraを作成します。Make a vault."""
    people = [NewPerson.parse(text) for text in person]
    lines = _shares(shares, passphrase_file, auto_unseal=auto_unseal) if shares is not None else []
    passphrase = None if lines else _passphrase(passphrase_file, auto_unseal=auto_unseal)
    custodian = read_secret("\n".join(lines) if passphrase is None else passphrase)
    epoch = epoch_dir or target.with_name(f"{target.resolve().name}.epoch")
    new = NewVault(
        read_policy(policy),
        people,
        custodian,
        epoch,
        passphrase if auto_unseal else None,
        origin,
        listener_of(listen),
        database_of(database),
        owner_url,
        storage=_storage(store),
        second=_second(second_disk, second_epoch_dir),
        hsm=hsm,
    )
    vault = create_vault(target, new)
    try:
        logs = {log.id: log.key.encode() for log in vault.ground.sequencer.logs()}
        contract = next(iter(vault.ground.contracts))
        vault_id = vault.ground.vault_id
    finally:
        vault.close()
    face.say(f"The vault {vault_id} is made in {target}.", f"Kura {vault_id} を {target} に作成しました。")
    face.say(
        f"Its epoch slots, to be kept out of backups: {epoch}", f"エポック鍵（バックアップに含めないこと）：{epoch}"
    )
    face.say(f"Verifier key of the ledger {contract}: {logs[contract]}", f"台帳 {contract} の検証鍵：{logs[contract]}")
    for line in lines:
        face.say(line, line)
    if lines:
        face.say(
            "Hand these lines to the custodians; they are not shown again.",
            "鍵管理者に渡してください。二度と表示しません。",
        )
    values = {"dir": str(target.resolve()), "vault": vault_id, "contract": contract, "log_vkeys": logs}
    return Answer(values | {"epoch_dir": str(epoch.resolve()), "auto_unseal": auto_unseal, "shares": lines})


def read_policy(name: str) -> str:
    """Read a policy by its file, or a packaged one by its name.

    Raises:
        RefusedError: there is none such.
    """
    if Path(name).is_file():
        return read_text(Path(name))
    packaged = files("policies")
    if _PACKAGED.fullmatch(name) and packaged.joinpath(f"{name}.toml").is_file():
        return packaged.joinpath(f"{name}.toml").read_text("utf-8")
    names = sorted(entry.name.removesuffix(".toml") for entry in packaged.iterdir() if entry.name.endswith(".toml"))
    raise RefusedError("policy-unknown", names=", ".join(names))


def _storage(places: Sequence[str] | None) -> StorageSettings:
    """Read where objects shall lie.

    Raises:
        RefusedError: more than two places.
    """
    if not places:
        return StorageSettings()
    try:
        return StorageSettings(stores=tuple(places))
    except ValidationError as error:
        raise RefusedError("settings-wrong", key="storage.stores", reason=error.errors()[0]["msg"]) from error


def _second(folder: Path | None, epoch_dir: Path | None) -> SecondDiskSettings:
    if folder is None:
        return SecondDiskSettings()
    folder = folder.resolve()
    epoch = epoch_dir.resolve() if epoch_dir is not None else folder.with_name(f"{folder.name}.epoch")
    return SecondDiskSettings(folder=folder, epoch_dir=epoch)


def listener_of(address: str | None) -> ListenerSettings:
    """Read where stations are to connect: the name by which they know this machine, and a port; on all its cards.

    Raises:
        RefusedError: `listen-malformed`.
    """
    if address is None:
        return ListenerSettings()
    host, _, port = address.rpartition(":")
    if not _HOST.fullmatch(host) or not port.isdecimal():
        raise RefusedError("listen-malformed")
    is_here = host in ("localhost", "127.0.0.1")
    try:
        return ListenerSettings(
            port=int(port),
            address="127.0.0.1" if is_here else "0.0.0.0",  # noqa: S104 - who may connect is decided by certificate
            hosts=("localhost", "127.0.0.1") if is_here else (host,),
        )
    except ValidationError as error:
        raise RefusedError("listen-malformed") from error


def _shares(plan: str, passphrase_file: Path | None, *, auto_unseal: bool) -> list[str]:
    match = _PLAN.fullmatch(plan)
    if match is None:
        raise RefusedError("share-plan-malformed")
    if passphrase_file is not None or auto_unseal:
        raise RefusedError("custodian-options-exclude")
    secret = secrets.token_bytes(SHARED_BYTES)
    return [share.line() for share in split_secret(secret, int(match[1]), int(match[2]))]


def _passphrase(path: Path | None, *, auto_unseal: bool) -> str:
    text = read_passphrase(path)
    if text is None and not auto_unseal:
        raise RefusedError("custodian-missing")
    if text is None:
        return secrets.token_urlsafe(_RANDOM_PASSPHRASE_BYTES)
    CustodianSecret.from_passphrase(text)
    return text.rstrip("\r\n")
